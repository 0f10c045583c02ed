import numpy as np
import pytest
from tests.motion import clip_row, walker, write_set

from dreampose3d.data.mocap import read_mocap


@pytest.fixture
def folder(tmp_path):
    """A parent of one set: two subjects, three splits."""
    clips = [
        clip_row(0), clip_row(1, split="val", fps=29.97, frames=7), clip_row(2, split="test", action="sitting"),
        clip_row(3) | {"subject": "s2"},
    ]  # fmt: skip
    return write_set(tmp_path / "studio", clips).parent


def test_clips_come_in_the_order_of_the_index(folder):
    clips = read_mocap(folder / "studio")
    assert [(c.trial, c.subject, c.split, c.action) for c in clips] == [
        ("t0", "s1", "train", "walking"), ("t1", "s1", "val", "walking"), ("t2", "s1", "test", "sitting"),
        ("t3", "s2", "train", "walking"),
    ]  # fmt: skip
    assert {c.set_name for c in clips} == {"studio"}
    assert [c.fps for c in clips] == [50, 29.97, 50, 50]
    for number, clip in enumerate(clips):
        assert clip.joints_mm.dtype == np.float32
        np.testing.assert_array_equal(clip.joints_mm, walker(len(clip.joints_mm), clip.fps, number))


def test_a_split_and_a_set_of_a_parent(folder):
    assert [c.trial for c in read_mocap(folder, "studio", "train")] == ["t0", "t3"]
    assert [c.trial for c in read_mocap(folder / "studio", "studio", "val")] == ["t1"], "the set's own folder will do"


def test_a_file_column_takes_the_subjects_place(tmp_path):
    clips = [clip_row(0) | {"file": "a.npz"}, clip_row(1) | {"file": "b.npz"}, clip_row(2) | {"file": "b.npz"}]
    found = read_mocap(write_set(tmp_path / "set", clips, "file,trial,fps,split,action"))
    assert [(c.trial, c.subject) for c in found] == [("t0", ""), ("t1", ""), ("t2", "")]
    np.testing.assert_array_equal(found[2].joints_mm, clips[2]["joints"])


def test_trials_of_the_same_name_in_two_files(tmp_path):
    clips = [clip_row(0), clip_row(1) | {"trial": "t0", "subject": "s2"}]
    found = read_mocap(write_set(tmp_path / "set", clips))
    assert not np.array_equal(found[0].joints_mm, found[1].joints_mm)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    home = write_set(tmp_path / "set", [clip_row(0)])
    index = home / "index.csv"
    index.write_bytes(b"\xef\xbb\xbf" + index.read_bytes())
    assert read_mocap(home)[0].subject == "s1"


def test_missing_folders_files_and_sets_are_told(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        read_mocap(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no index\.csv; it holds the sets studio: name one with --set"):
        read_mocap(folder)
    with pytest.raises(ValueError, match="has no set 'stage'; it has studio"):
        read_mocap(folder, "stage")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty has no index\.csv$"):
        read_mocap(tmp_path / "empty")
    with pytest.raises(ValueError, match="has no set 'studio'; it has none"):
        read_mocap(tmp_path / "empty", "studio")
    with pytest.raises(ValueError, match="studio has no split 'dev'; it has test, train, val"):
        read_mocap(folder, "studio", "dev")
    (folder / "studio" / "s2.npz").unlink()
    assert len(read_mocap(folder, "studio", "test")) == 1, "only what is asked for is read"
    with pytest.raises(FileNotFoundError, match=r"the index names .*s2\.npz, which does not exist"):
        read_mocap(folder, "studio")


@pytest.mark.parametrize(
    ("index", "match"),
    [
        ("subject,trial,fps,split,action\n", r"index\.csv lists no clips"),
        (
            "subject,trial,fps,split\ns1,t0,50,train\n",
            "columns trial, fps, split, action .*got subject, tr",
        ),
        ("trial,fps,split,action\nt0,50,train,walking\n", "one of subject, file; got trial, fps, split, action"),
        ("subject,trial,fps,split,action\ns1,t0,fast,train,walking\n", "t0: expected frames per second, got 'fast'"),
        ("subject,trial,fps,split,action\ns1,t0,0,train,walking\n", "t0: expected frames per second, got '0'"),
        ("subject,trial,fps,split,action\ns1,t0,nan,train,walking\n", "t0: expected frames per second, got 'nan'"),
        ("subject,trial,fps,split,action\ns1,t9,50,train,walking\n", r"s1\.npz has no clip 't9'"),
    ],
)
def test_an_index_that_makes_no_sense_is_told(tmp_path, index, match):
    home = write_set(tmp_path / "set", [clip_row(0)])
    (home / "index.csv").write_text(index)
    with pytest.raises(ValueError, match=match):
        read_mocap(home)


@pytest.mark.parametrize(
    ("joints", "match"),
    [
        (np.zeros((4, 16, 3), np.int16), r"s1\.npz, t0: expected \(frames, 17, 3\) joints in mm, got \(4, 16, 3\)"),
        (np.zeros((4, 51), np.int16), r"got \(4, 51\)"),
        (np.zeros((0, 17, 3), np.int16), r"got \(0, 17, 3\)"),
        (np.full((4, 17, 3), np.nan), "t0: expected finite joints in mm, some are NaN or infinite"),
    ],
)
def test_arrays_of_another_form_are_told(tmp_path, joints, match):
    home = write_set(tmp_path / "set", [clip_row(0) | {"joints": joints}])
    with pytest.raises(ValueError, match=match):
        read_mocap(home)


def test_a_damaged_file_is_told(tmp_path):
    home = write_set(tmp_path / "set", [clip_row(0)])
    whole = (home / "s1.npz").read_bytes()
    spoilt = bytearray(whole)
    spoilt[len(whole) // 2] ^= 255
    for content in (b"", b"joints", whole[: len(whole) // 2], bytes(spoilt)):
        (home / "s1.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"s1\.npz is not an npz file that can be read .* it may be damaged"):
            read_mocap(home)


def test_pickled_arrays_are_refused(tmp_path):
    home = write_set(tmp_path / "set", [clip_row(0)])
    np.savez(home / "s1.npz", t0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"s1\.npz is not an npz file that can be read .*allow_pickle"):
        read_mocap(home)

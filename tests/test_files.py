import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dreampose3d.files import atomic_write, check_folder_writable, staged


def test_a_file_appears_whole_under_its_name(tmp_path):
    with atomic_write(tmp_path / "clip.json") as temporary:
        assert temporary.suffix == ".json"
        assert temporary.parent == tmp_path
        temporary.write_text("{}")
        assert not (tmp_path / "clip.json").exists()
    assert (tmp_path / "clip.json").read_text() == "{}"
    assert names(tmp_path) == ["clip.json"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError("no person"), SystemExit])
def test_whatever_ends_the_block_leaves_what_stood_there(tmp_path, stop):
    target = tmp_path / "clip.json"
    target.write_text("old")
    with pytest.raises(stop if isinstance(stop, type) else type(stop)), atomic_write(target) as temporary:
        temporary.write_text("half of the n")
        raise stop
    assert target.read_text() == "old"
    assert names(tmp_path) == ["clip.json"]


@pytest.mark.parametrize(
    ("code", "match"),
    [
        (errno.ENOSPC, r"could not write .*clip\.json: the disk is full; free some space"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EACCES, "you may not write there; choose another folder"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error; check the disk"),
    ],
)
def test_a_failing_disk_is_told_in_words(tmp_path, code, match):
    with pytest.raises(OSError, match=match), atomic_write(tmp_path / "clip.json") as temporary:
        temporary.write_text("half")
        raise OSError(code, os.strerror(code))
    assert names(tmp_path) == []


def test_an_error_about_another_file_stays_itself(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"video\.mp4"), atomic_write(tmp_path / "clip.json"):
        (tmp_path / "video.mp4").open()


def test_a_link_is_followed_and_only_files_are_replaced(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with atomic_write(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    for other in (tmp_path, Path(os.devnull)):
        with pytest.raises(OSError, match="a folder or a device"), atomic_write(other):
            pass


def test_a_folder_that_is_not_there_or_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="its folder does not exist; create it first"):
        write(tmp_path / "missing" / "clip.json")
    with pytest.raises(OSError, match="is a file, not a folder"):
        write(tmp_path / "file" / "clip.json")


def test_staged_files_come_all_or_not_at_all(tmp_path):
    out = tmp_path / "new" / "out"
    with staged(out) as folder:
        write(folder / "a.txt")
        write(folder / "b.txt")
        assert [name for name in names(out) if not name.startswith(".")] == []
    assert names(out) == ["a.txt", "b.txt"]

    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "other" / "deep") as folder:
        write(folder / "a.txt")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["new"]


def test_staged_errors_name_the_folder_that_the_user_named(tmp_path):
    (tmp_path / "out" / "a.txt").mkdir(parents=True)
    with (
        pytest.raises(OSError, match=r"out/a\.txt: a folder of that name is in the way"),
        staged(tmp_path / "out") as d,
    ):
        write(d / "a.txt")
    with pytest.raises(OSError, match=r"out/b\.txt: the disk is full"), staged(tmp_path / "out") as d:
        write(d / "c.txt")
        with atomic_write(d / "b.txt"):
            raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="out: your disk quota is used up"), staged(tmp_path / "out"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(FileNotFoundError, match=r"video\.mp4"), staged(tmp_path / "out"):
        (tmp_path / "video.mp4").open()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="is a file, not a folder"), staged(tmp_path / "file"):
        pass
    assert names(tmp_path / "out") == ["a.txt"]


def test_check_folder_writable_leaves_nothing_behind(tmp_path, monkeypatch):
    check_folder_writable(tmp_path)
    check_folder_writable(tmp_path / "new" / "deep")
    assert names(tmp_path) == []

    (tmp_path / "file").write_text("")
    for under in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OSError, match="is a file, not a folder; choose another folder"):
            check_folder_writable(under)

    def refuse(self, data):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)  # root may write anywhere, so the refusal is put in
    with pytest.raises(OSError, match=r"could not write .*new: you may not write there"):
        check_folder_writable(tmp_path / "new")


def test_a_real_file_size_limit_leaves_nothing(tmp_path):
    script = """
        import resource, sys
        from dreampose3d.files import atomic_write
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with atomic_write(sys.argv[1]) as temporary, temporary.open("wb") as file:
                file.write(bytes(5000))
        except OSError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "big.bin")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "big.bin: it is larger than a file may be here; raise the limit" in told
    assert names(tmp_path) == []


def write(path):
    with atomic_write(path) as temporary:
        temporary.write_text("x")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())

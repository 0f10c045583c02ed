import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from dreampose3d.camera import Camera
from dreampose3d.export.tables import load_motion, write_json, write_npz
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17, Skeleton

N, V = 7, 3


@pytest.fixture
def motion():
    rng = np.random.default_rng(0)
    joints = H36M_17.num_joints

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    keypoints = 100 * draw(N, joints, 2)
    keypoints[2, 4] = np.nan
    camera = Camera(
        (640, 480), (500.0, 510.5), (320.0, 240.0), (0.1, -0.2, 0.0, 0.01, 0.0),
        ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)), (1.0, 2.0, 3.0), True,
    )  # fmt: skip
    return LiftedMotion(
        name="clip",
        fps=29.97,
        time_s=np.arange(N) / 29.97,
        root_relative_mm=300 * draw(N, joints, 3),
        root_mm=1000 * draw(N, 3),
        spread_mm=np.abs(draw(N, joints)),
        keypoints_px=keypoints,
        confidence=rng.random((N, joints), np.float32),
        intent_names=("walking", "jumping", "café"),
        intent_probability=rng.dirichlet(np.ones(V), N).astype(np.float32),
        camera=camera,
        hypotheses_mm=300 * draw(2, N, joints, 3),
        meta={"model": "small", "seed": np.int64(3), "steps": 5},
    )


@pytest.fixture
def npz(motion, tmp_path):
    write_npz(motion, tmp_path / "clip.pose3d.npz")
    return tmp_path / "clip.pose3d.npz"


def test_a_motion_returns_from_its_file_to_the_last_bit(motion, npz):
    back = load_motion(npz)
    for name in ("name", "fps", "intent_names", "camera", "skeleton"):
        assert getattr(back, name) == getattr(motion, name)
    for name in (
        "time_s", "root_relative_mm", "root_mm", "joints_mm", "spread_mm", "keypoints_px", "confidence",
        "intent_probability", "hypotheses_mm",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(back, name), getattr(motion, name), err_msg=name)
    assert motion.meta.items() <= back.meta.items()


def test_the_file_opens_with_plain_numpy_and_says_what_it_holds(motion, npz):
    with np.load(npz) as file:
        np.testing.assert_array_equal(file["joints_mm"], motion.root_relative_mm + motion.root_mm[:, None])
        assert file["hypotheses_mm"].shape == (2, N, H36M_17.num_joints, 3)
        meta = json.loads(str(file["meta"]))
    assert meta["units"]["joints"] == "mm"
    assert meta["joints"][0] == "pelvis"
    assert meta["camera"]["focal_px"] == [500.0, 510.5]
    assert meta["camera"]["assumed"] is True
    assert meta["seed"] == 3


def test_equal_motions_give_equal_bytes(motion, npz, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 4e9)  # a zip file usually holds the hour it was written in
    write_npz(motion, tmp_path / "later.npz")
    write_npz(load_motion(npz), tmp_path / "again.npz")
    assert npz.read_bytes() == (tmp_path / "later.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_a_motion_without_hypotheses_or_intents_and_with_another_skeleton(motion, tmp_path):
    pair = Skeleton("pair", ("pelvis", "head"), (-1, 0))
    small = replace(
        motion,
        skeleton=pair,
        hypotheses_mm=None,
        intent_names=(),
        intent_probability=np.zeros((N, 0), np.float32),
        **{
            name: getattr(motion, name)[:, :2]
            for name in ("root_relative_mm", "spread_mm", "keypoints_px", "confidence")
        },
    )
    write_npz(small, tmp_path / "a.npz")
    back = load_motion(tmp_path / "a.npz")
    assert (back.skeleton, back.hypotheses_mm, back.intent_names) == (pair, None, ())
    assert back.intent_probability.shape == (N, 0)


def test_json_says_the_same_in_rounded_numbers(motion, tmp_path):
    write_json(motion, tmp_path / "clip.json")
    told = json.loads((tmp_path / "clip.json").read_text(), parse_constant=pytest.fail)  # no bare NaN
    assert told["num_frames"] == len(told["frames"]) == N
    assert told["meta"]["units"]["keypoints"] == "px"
    np.testing.assert_allclose([f["joints_mm"] for f in told["frames"]], motion.joints_mm, atol=0.051)  # mm, rounded
    np.testing.assert_allclose([f["time_s"] for f in told["frames"]], motion.time_s, atol=5.1e-5)
    assert told["frames"][2]["keypoints_px"][4] == [None, None]
    assert list(told["frames"][0]["intent"]) == [name for name, _ in motion.top_intents(0)]
    assert sum(1 for _ in (tmp_path / "clip.json").open() if _.startswith('{"time_s"')) == N  # a line a frame


def test_not_finite_meta_is_refused_and_leaves_no_file(motion, tmp_path):
    broken = replace(motion, meta={"loss": float("nan")})
    for write, name in ((write_npz, "a.npz"), (write_json, "a.json")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write(broken, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no lifted motion at .*none\.npz; expected a \.pose3d\.npz"):
        load_motion(tmp_path / "none.npz")


def test_damaged_and_foreign_files_are_refused(npz, tmp_path):
    whole = npz.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for name, content in (("text", b"hello"), ("empty", b""), ("cut", whole[:middle]), ("flipped", flipped)):
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.npz is not a readable NPZ file"):
            load_motion(tmp_path / f"{name}.npz")
    np.savez(tmp_path / "other.npz", keypoints_px=np.zeros((3, 17, 2)))
    with pytest.raises(ValueError, match=r"is not a lifted motion of .*lacks 'meta'"):
        load_motion(tmp_path / "other.npz")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match="is not a readable NPZ file"):
        load_motion(tmp_path / "single.npy")
    pickled = np.array([{"run": "me"}], dtype=object)
    np.savez(tmp_path / "pickled.npz", meta=pickled)
    with pytest.raises(ValueError, match=r"is not a readable NPZ file .*allow_pickle"):
        load_motion(tmp_path / "pickled.npz")


def test_another_format_and_shapes_that_disagree_are_refused(npz, tmp_path):
    with np.load(npz) as file:
        arrays = dict(file)
    np.savez(tmp_path / "short.npz", **arrays | {"spread_mm": arrays["spread_mm"][1:]})
    with pytest.raises(ValueError, match=r"expected spread_mm of shape \(7, 17\), got \(6, 17\)"):
        load_motion(tmp_path / "short.npz")
    meta = json.loads(str(arrays["meta"])) | {"format": "dreampose3d.motion/9"}
    np.savez(tmp_path / "new.npz", **arrays | {"meta": np.array(json.dumps(meta))})
    with pytest.raises(ValueError, match=r"expected the format dreampose3d\.motion/1, got dreampose3d\.motion/9"):
        load_motion(tmp_path / "new.npz")


def test_every_member_is_readable_without_this_package(npz):
    with zipfile.ZipFile(npz) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}

import numpy as np
import pytest
import xarray
from tests.miniatures import person

from dreampose3d.camera import Camera
from dreampose3d.data import movement
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import BODY_25, COCO_17, H36M_17

SINGULAR, PLURAL = ("keypoint", "individual"), ("keypoints", "individuals")


def dataset(points, names, people=("id_0",), confidence=None, dimensions=SINGULAR, units="mm", **about):
    """What movement's `save_poses` writes: points (individual, time, keypoint, space)."""
    keypoint, individual = dimensions
    dims = ("time", "space", keypoint, individual)
    space = ["x", "y", "z"][: points.shape[-1]]
    arrays = {"position": (dims, points.transpose(1, 3, 2, 0), {"units": units} if units else {})}
    if confidence is not None:
        arrays["confidence"] = ((dims[0], *dims[2:]), confidence.transpose(1, 2, 0))
    coords = {"time": np.arange(points.shape[1]) / 30, "space": space, keypoint: list(names), individual: list(people)}
    return xarray.Dataset(arrays, coords, {"fps": 30.0, "time_unit": "seconds", "ds_type": "poses"} | about)


@pytest.fixture
def joints():
    return np.stack([person(12, 30, seed=seed) for seed in (0, 1)])


@pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])
@pytest.mark.parametrize("dimensions", [SINGULAR, PLURAL])
def test_3d_of_two_people_in_both_versions_of_netcdf_and_of_movement(tmp_path, joints, engine, dimensions):
    held = dataset(joints, H36M_17.joints, ("ann", "bob"), dimensions=dimensions)
    held.to_netcdf(tmp_path / "walk.nc", engine=engine)
    assert movement.recognises(tmp_path / "walk.nc")
    assert movement.recognises(tmp_path)
    ann, bob = movement.read(tmp_path)
    assert (ann.name, bob.name) == ("walk/ann", "walk/bob")
    assert (ann.fps, ann.skeleton, ann.keypoints_px, ann.camera) == (30.0, H36M_17, None, None)
    np.testing.assert_array_equal(np.stack((ann.joints_mm, bob.joints_mm)), joints)


@pytest.mark.parametrize(("units", "in_mm"), [("mm", 1), ("cm", 10), ("m", 1000)])
def test_3d_is_brought_to_millimetres(tmp_path, joints, units, in_mm):
    dataset(joints[:1] / in_mm, H36M_17.joints, units=units).to_netcdf(tmp_path / "a.nc")
    (sequence,) = movement.read(tmp_path / "a.nc")
    np.testing.assert_allclose(sequence.joints_mm, joints[0], rtol=1e-12)


def test_3d_of_a_camera_is_turned_upright_and_not_mirrored(tmp_path, joints):
    camera = joints[:1] @ np.array(((1, 0, 0), (0, 0, 1), (0, -1, 0)))  # x right, y down, z forward
    assert (camera[0, :, H36M_17.index("head"), 1] < camera[0, :, 0, 1]).all()
    dataset(camera, H36M_17.joints, source_frame="camera: x right, y down").to_netcdf(tmp_path / "a.nc")
    (sequence,) = movement.read(tmp_path / "a.nc")
    np.testing.assert_allclose(sequence.joints_mm, joints[0], atol=1e-9)


def test_keypoints_are_found_by_name_whatever_their_order_and_writing(tmp_path, joints):
    names = [name.replace("_", " ").title() for name in H36M_17.joints][::-1]
    dataset(joints[:1, :, ::-1], names).to_netcdf(tmp_path / "a.nc")
    (sequence,) = movement.read(tmp_path / "a.nc")
    np.testing.assert_array_equal(sequence.joints_mm, joints[0])


def test_each_name_gets_its_own_joint(tmp_path):
    """A pose with each joint moved alone."""
    alone = np.eye(H36M_17.num_joints)[None, :, :, None] * np.array((1.0, 2.0, 3.0))
    order = np.random.default_rng(0).permutation(H36M_17.num_joints)
    dataset(alone[:, :, order], [H36M_17.joints[i] for i in order]).to_netcdf(tmp_path / "a.nc")
    (sequence,) = movement.read(tmp_path / "a.nc")
    for joint, pose in enumerate(sequence.joints_mm):
        assert np.flatnonzero(pose.any(-1)).tolist() == [joint]


@pytest.mark.parametrize("skeleton", [COCO_17, BODY_25])
def test_2d_is_pixels_with_confidence_in_the_largest_skeleton_that_is_whole(tmp_path, skeleton):
    rng = np.random.default_rng(1)
    points, seen = rng.uniform(0, 900, (1, 5, skeleton.num_joints, 2)), rng.uniform(0, 1, (1, 5, skeleton.num_joints))
    seen[0, 2, 3] = np.nan
    dataset(points, skeleton.joints, confidence=seen, units="").to_netcdf(tmp_path / "a.nc")
    (sequence,) = movement.read(tmp_path / "a.nc")
    assert (sequence.skeleton, sequence.joints_mm) == (skeleton, None)
    np.testing.assert_array_equal(sequence.keypoints_px, points[0])
    np.testing.assert_array_equal(sequence.confidence, np.nan_to_num(seen[0], nan=1.0))


def test_a_split_is_a_folder(tmp_path, joints):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        dataset(joints[:1], H36M_17.joints).to_netcdf(tmp_path / split / f"{split}_1.nc")
    assert [sequence.name for sequence in movement.read(tmp_path, "test")] == ["test_1/id_0"]
    with pytest.raises(FileNotFoundError, match=r"val has no netCDF file \(\.nc\)"):
        next(movement.read(tmp_path, "val"))


@pytest.mark.parametrize("dimensions", ["singular", "plural"])
@pytest.mark.parametrize("camera", [None, Camera.from_fov((1000, 1000), 50)])
def test_what_this_package_exports_comes_back(tmp_path, joints, dimensions, camera):
    export = pytest.importorskip("dreampose3d.export.netcdf")
    motion = pytest.importorskip("dreampose3d.export.motion")
    seen = joints[0] @ np.array(((1, 0, 0), (0, 0, 1), (0, -1, 0))) if camera else joints[0]
    sequence = PoseSequence("walk", 30.0, joints_mm=seen, camera=camera)
    export.write_netcdf(motion.motion_of(sequence), tmp_path / "walk.nc", dimensions)
    (back,) = movement.read(tmp_path / "walk.nc")
    assert back.fps == 30.0
    np.testing.assert_allclose(back.joints_mm, joints[0], atol=1e-9)


def test_other_files_are_not_recognised(tmp_path):
    for name, content in (("a.nc", b"hello"), ("b.nc", b""), ("c.txt", b"CDF\x01")):
        (tmp_path / name).write_bytes(content)
        assert not movement.recognises(tmp_path / name)
    assert not movement.recognises(tmp_path)
    assert not movement.recognises(tmp_path / "none.nc")


def without(name):
    return lambda held: held.drop_vars(name)


def in_units(unit):
    def spoil(held):
        about = {} if unit is None else {"units": unit}
        return held.assign(position=held["position"].drop_attrs().assign_attrs(about))

    return spoil


MALFORMED = {
    "no position": (without("position"), "expected an array position over time, space .* got no array"),
    "another array only": (
        lambda held: held.rename(position="shape"), "got shape over time space keypoint individual, space",
    ),
    "no people": (lambda held: held.isel(individual=0, drop=True), "got position over time space keypoint, space"),
    "no names of the axes of space": (without("space"), "got position over time space keypoint individual, 12 frames"),
    "y, x": (lambda held: held.isel(space=[1, 0]), r"space \(x, y or x, y, z\).*space \['y', 'x'\]"),
    "one joint renamed": (
        lambda held: held.assign_coords(keypoint=["tail", *H36M_17.joints[1:]]),
        "expected all joints of h36m_17.* got tail, right_hip.*rename the keypoints",
    ),
    "16 joints": (lambda held: held.isel(keypoint=slice(16)), "expected all joints of h36m_17"),
    "no unit": (in_units(None), r"'units'\] to be mm, cm, m, got None; add it"),
    "inches": (in_units("in"), "to be mm, cm, m, got 'in'; add it"),
    "no frame rate": (lambda held: held.drop_attrs(deep=False), "in the attribute fps, got nothing; add them"),
    "a negative frame rate": (lambda held: held.assign_attrs(fps=-30.0), r"expected a positive frame rate, got -30\.0"),
    "a frame rate in words": (lambda held: held.assign_attrs(fps="thirty"), "attribute fps, got thirty; add them"),
    "no frames": (lambda held: held.isel(time=[]), ", 0 frames"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_with_what_to_do(tmp_path, joints, name):
    spoil, match = MALFORMED[name]
    spoil(dataset(joints[:1], H36M_17.joints)).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match=match):
        list(movement.read(tmp_path / "a.nc"))


def test_a_file_that_is_cut_off_is_refused(tmp_path, joints):
    dataset(joints, H36M_17.joints, ("a", "b")).to_netcdf(tmp_path / "a.nc")
    whole = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "a.nc").write_bytes(whole[: len(whole) // 2])
    assert movement.recognises(tmp_path / "a.nc")
    with pytest.raises(ValueError, match=r"a\.nc is not a netCDF file or is cut off .*; export it again"):
        next(movement.read(tmp_path / "a.nc"))


def test_there_is_one_kind_of_2d(tmp_path):
    with pytest.raises(ValueError, match="hold one kind of 2D: expected gt, got 'vitpose'"):
        next(movement.read(tmp_path, None, "vitpose"))


def test_a_missing_extra_names_its_cure(tmp_path, joints, monkeypatch):
    dataset(joints[:1], H36M_17.joints).to_netcdf(tmp_path / "a.nc")
    monkeypatch.setitem(__import__("sys").modules, "xarray", None)
    with pytest.raises(ImportError, match=r'pip install "dreampose3d\[datasets\]"'):
        next(movement.read(tmp_path / "a.nc"))

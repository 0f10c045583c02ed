"""Every format read again by a library that is not ours: joints within 1 mm, frames and rate, left left and up up."""

import json

import numpy as np
import pytest
from tests.export.readers import JOINTS, READERS, accessor, node_matrices, read_c3d_otherwise, read_netcdf

from dreampose3d.export.formats import export
from dreampose3d.export.netcdf import write_netcdf
from dreampose3d.export.trc import marker_names
from dreampose3d.skeleton import H36M_17

Y, Z = np.eye(3)[1:]


def y_up(motion):
    """From a world with z up."""
    return motion.joints_mm[..., [0, 2, 1]] * (1, 1, -1)


def check(places_mm, expected_mm, up):
    """Within 1 mm; and a walker's left is on the left of where it goes, if one looks from above."""
    assert places_mm.shape == expected_mm.shape
    np.testing.assert_allclose(places_mm, expected_mm, atol=1.0)
    at = {name: places_mm[:, joint] for joint, name in enumerate(JOINTS)}
    ahead = at["pelvis"][-1] - at["pelvis"][0]
    for joint in ("hip", "shoulder"):
        assert np.all((at[f"left_{joint}"] - at[f"right_{joint}"]) @ np.cross(up, ahead) > 0)
    assert np.all((at["head"] - at["pelvis"]) @ up > 300)
    assert np.all((at["pelvis"] - at["left_ankle"]) @ up > 300)


def one(motion, kind, folder):
    (path,) = export(motion, kind, folder)
    return path


@pytest.mark.parametrize("kind", READERS)
def test_joints_come_back(walk, tmp_path, kind):
    up, read = READERS[kind]
    places, rate = read(one(walk, kind, tmp_path))
    check(places, y_up(walk) if up == "y" else walk.joints_mm, Y if up == "y" else Z)
    assert rate == (np.float32(walk.fps) if kind == "c3d" else pytest.approx(walk.fps, rel=1e-15))


def test_a_second_reader_of_c3d(walk, tmp_path):
    places, rate = read_c3d_otherwise(one(walk, "c3d", tmp_path))
    check(places, walk.joints_mm, Z)
    assert rate == np.float32(walk.fps)


def test_bvh_rests_in_a_t_pose(walk, tmp_path):
    pybvh = pytest.importorskip("pybvh")
    bvh = pybvh.read_bvh_file(one(walk, "bvh", tmp_path))
    assert (bvh.rest_up, bvh.rest_forward) == ("+y", "+z")
    rest = dict(zip((node.name for node in bvh.nodes), bvh.rest_pose_positions(), strict=True))
    for side, x in (("left", 1), ("right", -1)):
        arm = rest[f"{side}_wrist"] - rest[f"{side}_shoulder"]
        leg = rest[f"{side}_ankle"] - rest[f"{side}_hip"]
        np.testing.assert_allclose(arm / np.linalg.norm(arm), (x, 0, 0), atol=1e-6)
        np.testing.assert_allclose(leg / np.linalg.norm(leg), (0, -1, 0), atol=1e-6)


def test_trc_as_opensim_lays_it_out(walk, tmp_path):
    lines = one(walk, "trc", tmp_path).read_text().split("\n")
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\twalk.trc"
    assert lines[4].split("\t")[2:] == [f"{axis}{i}" for i in range(1, len(JOINTS) + 1) for axis in "XYZ"]
    assert lines[5] == ""  # which OpenSim skips
    rows = np.genfromtxt(lines[6:], delimiter="\t")
    np.testing.assert_array_equal(rows[:, 0], np.arange(1, len(walk) + 1))
    np.testing.assert_allclose(rows[:, 1], walk.time_s, atol=1e-6)


def test_opensim_reads_trc_and_mot(walk, tmp_path):
    opensim = pytest.importorskip("opensim", reason="opensim is a package of 220 MB")
    trc, mot = export(walk, "trc,mot", tmp_path)
    markers = opensim.TimeSeriesTableVec3(str(trc))
    assert markers.getColumnLabels() == marker_names(H36M_17)
    assert markers.getTableMetaDataString("Units") == "m"
    assert float(markers.getTableMetaDataString("DataRate")) == walk.fps
    rows = [markers.getRowAtIndex(frame) for frame in range(markers.getNumRows())]
    places = np.array([[[row[joint][axis] for axis in range(3)] for joint in range(len(JOINTS))] for row in rows])
    check(1000 * places, y_up(walk), Y)
    angles = opensim.TimeSeriesTable(str(mot))
    assert (angles.getNumRows(), angles.getTableMetaDataString("inDegrees")) == (len(walk), "yes")
    np.testing.assert_allclose(1000 * angles.getDependentColumn("pelvis_ty").to_numpy(), y_up(walk)[:, 0, 1], atol=0.01)


def test_trc_names_are_pose2sims():
    names = set(marker_names(H36M_17))
    assert names > {"Hip", "RHip", "LKnee", "RAnkle", "Neck", "Head", "LShoulder", "RElbow", "LWrist"}


def test_glb_says_when_and_what(walk, tmp_path):
    file = pytest.importorskip("pygltflib").GLTF2().load(str(one(walk, "glb", tmp_path)))
    np.testing.assert_allclose(accessor(file, file.animations[0].samplers[0].input), walk.time_s, atol=1e-6)
    assert file.asset.extras["source_frame"] == "world: z up"
    assert file.asset.extras["units"] == "m"


def test_the_skin_of_the_glb_follows_its_bones(walk, tmp_path):
    """Vertices, skinned by the format's own equation, stay where their bone is: around the line between its joints."""
    pygltflib = pytest.importorskip("pygltflib")
    file = pygltflib.GLTF2().load(str(one(walk, "glb", tmp_path)))
    world = node_matrices(file)[30]
    part = file.meshes[0].primitives[0].attributes
    points, joints, weights = (accessor(file, a) for a in (part.POSITION, part.JOINTS_0, part.WEIGHTS_0))
    unbind = accessor(file, file.skins[0].inverseBindMatrices).swapaxes(1, 2)  # stored column by column
    moves = world[file.skins[0].joints] @ unbind
    placed = np.einsum("vk,vkij,vj->vi", weights, moves[joints], np.insert(points, 3, 1, axis=1))[:, :3]
    knee = file.skins[0].joints.index([node.name for node in file.nodes].index("left_knee"))
    shin = 1000 * placed[joints[:, 0] == knee]
    ends = y_up(walk)[30][[JOINTS.index("left_knee"), JOINTS.index("left_ankle")]]
    np.testing.assert_allclose(shin.mean(0), ends.mean(0), atol=1)
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    off = shin - ends[0] - ((shin - ends[0]) @ along)[:, None] * along
    assert 20 < np.linalg.norm(off, axis=1).max() < 80
    corners = np.concatenate([accessor(file, primitive.indices) for primitive in file.meshes[0].primitives])
    assert set(corners.tolist()) == set(range(len(points)))
    a, b, c = points[corners.reshape(-1, 3)].transpose(1, 0, 2)
    outward = accessor(file, part.NORMAL)[corners.reshape(-1, 3)].sum(1)
    assert np.all((np.cross(b - a, c - a) * outward).sum(1) > 0)  # counter-clockwise from outside


def test_usd_meshes_follow_the_bones(walk, tmp_path):
    usd_skel = pytest.importorskip("pxr.UsdSkel", reason="usd-core is an extra of 220 MB")
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(one(walk, "usd", tmp_path)))
    usd_skel.BakeSkinning(usd_skel.Root.Get(stage, "/person"))
    for side, joint in (("left", "left_knee"), ("right", "right_elbow")):
        points = 1000 * np.array(UsdGeom.Mesh.Get(stage, f"/person/{side}").GetPointsAttr().Get(30))
        place = y_up(walk)[30, JOINTS.index(joint)]
        near = np.linalg.norm(points - place, axis=1)
        assert 20 < near.min() < 60  # the skin around the joint


def test_usd_says_what_it_is(walk, tmp_path):
    pytest.importorskip("pxr", reason="usd-core is an extra of 220 MB")
    from pxr import Usd

    stage = Usd.Stage.Open(str(one(walk, "usd", tmp_path)))
    assert json.loads(stage.GetDefaultPrim().GetCustomData()["dreampose3d"])["skeleton"] == "h36m_17"


def test_tables_say_their_frame_and_units(walk, tmp_path):
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    csv, told, packed = export(walk, "csv,json,parquet", tmp_path)
    table = pandas.read_csv(csv)
    assert set(table["axes"]) == {"world"}
    np.testing.assert_allclose(table["time_s"][:: len(JOINTS)], walk.time_s, atol=1e-6)
    meta = json.loads(told.read_text())["meta"]
    assert meta == json.loads(parquet.read_schema(packed).metadata[b"dreampose3d"])
    assert meta["units"]["fps"] == "frames/s"


@pytest.mark.parametrize("names", ["singular", "plural"])
def test_netcdf_is_laid_out_as_movement_does(walk, tmp_path, names):
    """`movement` 0.17 and later, and those before."""
    xarray = pytest.importorskip("xarray")
    write_netcdf(walk, tmp_path / "walk.nc", names)
    keypoint, individual = ("keypoint", "individual") if names == "singular" else ("keypoints", "individuals")
    with xarray.open_dataset(tmp_path / "walk.nc", engine="scipy") as data:
        assert data["position"].dims == ("time", "space", keypoint, individual)
        assert data["confidence"].dims == ("time", keypoint, individual)
        assert (data.attrs["ds_type"], data.attrs["time_unit"]) == ("poses", "seconds")
        np.testing.assert_allclose(data["time"], walk.time_s)
    check(read_netcdf(tmp_path / "walk.nc")[0], walk.joints_mm, Z)


def test_a_camera_frame_is_turned_upright_not_mirrored(lifted, tmp_path):
    """Without a known up it is the image's: y down becomes y up, forward becomes -z."""
    pandas = pytest.importorskip("pandas")
    bvh, csv = export(lifted, "bvh,csv", tmp_path)
    np.testing.assert_allclose(READERS["bvh"][1](bvh)[0], lifted.joints_mm * (1, -1, -1), atol=1)
    np.testing.assert_allclose(READERS["csv"][1](csv)[0], lifted.joints_mm, atol=1e-3)
    table = pandas.read_csv(csv)
    assert [set(table[column]) for column in ("axes", "spread_mm", "confidence")] == [{"camera"}, {20.0}, {0.9}]

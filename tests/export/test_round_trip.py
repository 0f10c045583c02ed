"""Every format read again by a library that is not ours: joints within 1 mm, frames and rate, left left and up up."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dreampose3d.export.formats import export
from dreampose3d.export.trc import marker_names
from dreampose3d.skeleton import H36M_17

JOINTS = list(H36M_17.joints)
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


def test_bvh(walk, tmp_path):
    pybvh = pytest.importorskip("pybvh")
    bvh = pybvh.read_bvh_file(one(walk, "bvh", tmp_path))
    assert bvh.frame_count == len(walk)
    assert 1 / bvh.frame_time == pytest.approx(walk.fps, rel=1e-15)
    names = list(bvh.joint_names)
    check(10 * bvh.joint_positions()[:, [names.index(name) for name in JOINTS]], y_up(walk), Y)  # from cm
    assert {(names[left], names[right]) for left, right in bvh.lr_pairs} >= {("left_knee", "right_knee")}


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


@pytest.mark.parametrize("library", ["ezc3d", "c3d"])
def test_c3d(walk, tmp_path, library):
    reader = pytest.importorskip(library)
    path = one(walk, "c3d", tmp_path)
    if library == "ezc3d":
        file = reader.c3d(str(path))
        point = file["parameters"]["POINT"]
        labels, rate, units = point["LABELS"]["value"], point["RATE"]["value"][0], point["UNITS"]["value"]
        assert (point["X_SCREEN"]["value"], point["Y_SCREEN"]["value"]) == (["+X"], ["+Z"])
        places = file["data"]["points"][:3].transpose(2, 1, 0)
    else:
        with path.open("rb") as opened:
            with pytest.warns(UserWarning, match="No analog data"):
                file = reader.Reader(opened)
            labels, rate = [label.strip() for label in file.point_labels], file.point_rate
            units = [file.get("POINT:UNITS").string_value.strip()]
            places = np.stack([points[:, :3] for _, points, _ in file.read_frames()])
            assert file.last_frame - file.first_frame + 1 == len(walk)
    assert labels == JOINTS
    assert rate == np.float32(walk.fps)
    assert units == ["mm"]
    check(places.astype(np.float64), walk.joints_mm, Z)


def test_trc(walk, tmp_path):
    lines = one(walk, "trc", tmp_path).read_text().split("\n")
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\twalk.trc"
    assert (float(head["DataRate"]), int(head["NumFrames"]), head["Units"]) == (walk.fps, len(walk), "m")
    names = lines[3].rstrip("\t").split("\t")[2::3]  # as Pose2Sim reads it
    assert tuple(names) == marker_names(H36M_17)
    assert lines[4].split("\t")[2:] == [f"{axis}{i}" for i in range(1, len(names) + 1) for axis in "XYZ"]
    assert lines[5] == ""  # OpenSim skips this line
    rows = np.genfromtxt(lines[6:], delimiter="\t")
    np.testing.assert_array_equal(rows[:, 0], np.arange(1, len(walk) + 1))
    np.testing.assert_allclose(rows[:, 1], walk.time_s, atol=1e-6)
    check(1000 * rows[:, 2:].reshape(len(walk), -1, 3), y_up(walk), Y)


def test_trc_names_are_pose2sims():
    names = set(marker_names(H36M_17))
    assert names > {"Hip", "RHip", "LKnee", "RAnkle", "Neck", "Head", "LShoulder", "RElbow", "LWrist"}


def test_glb(walk, tmp_path):
    pygltflib = pytest.importorskip("pygltflib")
    file = pygltflib.GLTF2().load(str(one(walk, "glb", tmp_path)))
    names, places = animated(file)
    check(1000 * places[:, [names.index(name) for name in JOINTS]], y_up(walk), Y)
    times = array(file, file.animations[0].samplers[0].input)
    np.testing.assert_allclose(times, walk.time_s, atol=1e-6)
    assert file.asset.extras["fps"] == walk.fps
    assert file.asset.extras["source_frame"] == "world: z up"


def test_the_skin_of_the_glb_follows_its_bones(walk, tmp_path):
    """Vertices, skinned by the format's own equation, stay where their bone is: around the line between its joints."""
    pygltflib = pytest.importorskip("pygltflib")
    file = pygltflib.GLTF2().load(str(one(walk, "glb", tmp_path)))
    world = animated_matrices(file)[30]
    part = file.meshes[0].primitives[0].attributes
    points, joints, weights = (array(file, a) for a in (part.POSITION, part.JOINTS_0, part.WEIGHTS_0))
    unbind = array(file, file.skins[0].inverseBindMatrices).swapaxes(1, 2)  # stored column by column
    moves = world[file.skins[0].joints] @ unbind
    placed = np.einsum("vk,vkij,vj->vi", weights, moves[joints], np.insert(points, 3, 1, axis=1))[:, :3]
    knee = file.skins[0].joints.index([node.name for node in file.nodes].index("left_knee"))
    shin = 1000 * placed[joints[:, 0] == knee]
    ends = y_up(walk)[30][[JOINTS.index("left_knee"), JOINTS.index("left_ankle")]]
    np.testing.assert_allclose(shin.mean(0), ends.mean(0), atol=1)
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    off = shin - ends[0] - ((shin - ends[0]) @ along)[:, None] * along
    assert 20 < np.linalg.norm(off, axis=1).max() < 80
    corners = np.concatenate([array(file, primitive.indices) for primitive in file.meshes[0].primitives])
    assert set(corners.tolist()) == set(range(len(points)))
    a, b, c = points[corners.reshape(-1, 3)].transpose(1, 0, 2)
    outward = array(file, part.NORMAL)[corners.reshape(-1, 3)].sum(1)
    assert np.all((np.cross(b - a, c - a) * outward).sum(1) > 0)  # counter-clockwise from outside


def array(file, number):
    """An accessor's numbers."""
    accessor = file.accessors[number]
    view = file.bufferViews[accessor.bufferView]
    kind = {5126: "<f4", 5121: "u1", 5123: "<u2"}[accessor.componentType]
    shape = {"SCALAR": (), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}[accessor.type]
    data = file.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.frombuffer(data, kind).reshape(accessor.count, *shape)


def animated_matrices(file):
    """Each node's matrix in the world, frame by frame: frames nodes 4 4."""
    curves = file.animations[0]
    values = {
        (channel.target.node, channel.target.path): array(file, curves.samplers[channel.sampler].output)
        for channel in curves.channels
    }
    frames = len(next(iter(values.values())))
    world = np.tile(np.eye(4), (frames, len(file.nodes), 1, 1))

    def descend(node, above):
        own = np.tile(np.eye(4), (frames, 1, 1))
        if (node, "rotation") in values:
            own[:, :3, :3] = Rotation.from_quat(values[node, "rotation"]).as_matrix()
        own[:, :3, 3] = values.get((node, "translation"), file.nodes[node].translation)
        world[:, node] = above @ own
        for child in file.nodes[node].children or ():
            descend(child, world[:, node])

    descend(file.scenes[0].nodes[0], np.eye(4))
    return world


def animated(file):
    """Names of the nodes, and their places frame by frame."""
    return [node.name for node in file.nodes], animated_matrices(file)[..., :3, 3]


def test_usd(walk, tmp_path):
    usd_skel = pytest.importorskip("pxr.UsdSkel", reason="usd-core is an extra of 220 MB")
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(one(walk, "usd", tmp_path)))
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (
        29.97,
        0,
        len(walk) - 1,
    )
    skeleton = usd_skel.Skeleton.Get(stage, "/person/skeleton")
    cache = usd_skel.Cache()
    cache.Populate(usd_skel.Root.Get(stage, "/person"), Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(skeleton)
    names = [path.split("/")[-1] for path in query.GetJointOrder()]
    order = [names.index(name) for name in JOINTS]
    places = np.array([np.array(query.ComputeJointSkelTransforms(frame))[order, 3, :3] for frame in range(len(walk))])
    check(1000 * places, y_up(walk), Y)
    assert json.loads(stage.GetDefaultPrim().GetCustomData()["dreampose3d"])["fps"] == walk.fps


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


def test_tables(walk, tmp_path):
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = export(walk, "csv,json,parquet", tmp_path)
    assert [path.name for path in paths] == ["walk.motion.csv", "walk.motion.json", "walk.motion.parquet"]
    tables = (
        pandas.read_csv(paths[0]),
        pandas.read_json(paths[1], orient="table"),
        parquet.read_table(paths[2]).to_pandas(),
    )
    for table in tables:
        assert set(table["fps"]) == {walk.fps}
        assert set(table["axes"]) == {"world"}
        places = table.set_index(["frame", "joint"])[["x_mm", "y_mm", "z_mm"]]
        check(np.stack([places.xs(name, level="joint") for name in JOINTS], 1), walk.joints_mm, Z)
        np.testing.assert_allclose(table["time_s"][:: len(JOINTS)], walk.time_s, atol=1e-6)
    meta = json.loads(parquet.read_schema(paths[2]).metadata[b"dreampose3d"])
    assert meta == json.loads(paths[1].read_text())["meta"]
    assert meta["units"]["fps"] == "frames/s"


@pytest.mark.parametrize("names", ["singular", "plural"])
def test_netcdf(walk, tmp_path, names):
    """The layout of `movement` 0.17 and later, and of those before."""
    xarray = pytest.importorskip("xarray")
    from dreampose3d.export.netcdf import write_netcdf

    write_netcdf(walk, tmp_path / "walk.nc", names)
    keypoint, individual = ("keypoint", "individual") if names == "singular" else ("keypoints", "individuals")
    with xarray.open_dataset(tmp_path / "walk.nc") as data:
        assert data["position"].dims == ("time", "space", keypoint, individual)
        assert data["confidence"].dims == ("time", keypoint, individual)
        assert (data.attrs["ds_type"], data.attrs["time_unit"], data.attrs["fps"]) == ("poses", "seconds", walk.fps)
        assert data["position"].attrs["units"] == "mm"
        places = data["position"].sel({keypoint: JOINTS, individual: "person00", "space": ["x", "y", "z"]})
        check(places.transpose("time", keypoint, "space").values, walk.joints_mm, Z)
        np.testing.assert_allclose(data["time"], walk.time_s)


def test_a_camera_frame_is_turned_upright_not_mirrored(lifted, tmp_path):
    """Without a known up it is the image's: y down becomes y up, forward becomes -z."""
    pybvh = pytest.importorskip("pybvh")
    pandas = pytest.importorskip("pandas")
    bvh, csv = export(lifted, "bvh,csv", tmp_path)
    bvh = pybvh.read_bvh_file(bvh)
    names = list(bvh.joint_names)
    places = 10 * bvh.joint_positions()[:, [names.index(name) for name in JOINTS]]
    np.testing.assert_allclose(places, lifted.joints_mm * (1, -1, -1), atol=1)
    table = pandas.read_csv(csv)
    assert set(table["axes"]) == {"camera"}
    np.testing.assert_allclose(table[["x_mm", "y_mm", "z_mm"]], lifted.joints_mm.reshape(-1, 3), atol=1e-3)
    assert set(table["spread_mm"]) == {20.0}
    assert set(table["confidence"]) == {0.9}

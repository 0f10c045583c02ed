"""Every format read by a library not ours: joints in Human3.6M's order, mm, in the file's own axes; and the rate."""

import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dreampose3d.export.trc import marker_names
from dreampose3d.skeleton import H36M_17

JOINTS = list(H36M_17.joints)


def read_bvh(path):
    bvh = pytest.importorskip("pybvh").read_bvh_file(path)
    names = list(bvh.joint_names)
    assert bvh.frame_count == len(bvh.joint_positions())
    return 10 * bvh.joint_positions()[:, [names.index(name) for name in JOINTS]], 1 / bvh.frame_time  # from cm


def read_c3d(path):
    file = pytest.importorskip("ezc3d").c3d(str(path))
    point = file["parameters"]["POINT"]
    assert (point["UNITS"]["value"], point["X_SCREEN"]["value"], point["Y_SCREEN"]["value"]) == (["mm"], ["+X"], ["+Z"])
    assert point["LABELS"]["value"] == JOINTS
    return file["data"]["points"][:3].transpose(2, 1, 0), point["RATE"]["value"][0]


def read_c3d_otherwise(path):
    c3d = pytest.importorskip("c3d")
    with path.open("rb") as opened, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No analog data")
        file = c3d.Reader(opened)
        assert [label.strip() for label in file.point_labels] == JOINTS
        assert file.get("POINT:UNITS").string_value.strip() == "mm"
        places = np.stack([points[:, :3] for _, points, _ in file.read_frames()])
        assert file.last_frame - file.first_frame + 1 == len(places)
        return places.astype(np.float64), file.point_rate


def read_trc(path):
    """As Pose2Sim does it."""
    lines = path.read_text().split("\n")
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert tuple(lines[3].rstrip("\t").split("\t")[2::3]) == marker_names(H36M_17)
    rows = np.genfromtxt(lines[5:], delimiter="\t")
    assert (int(head["NumFrames"]), int(head["NumMarkers"]), head["Units"]) == (len(rows), len(JOINTS), "m")
    return 1000 * rows[:, 2:].reshape(len(rows), -1, 3), float(head["DataRate"])


def read_glb(path):
    file = pytest.importorskip("pygltflib").GLTF2().load(str(path))
    names = [node.name for node in file.nodes]
    places = node_matrices(file)[..., :3, 3]
    return 1000 * places[:, [names.index(name) for name in JOINTS]], file.asset.extras["fps"]


def read_usd(path):
    usd_skel = pytest.importorskip("pxr.UsdSkel", reason="usd-core is an extra of 220 MB")
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(path))
    assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == ("Y", 1)
    cache = usd_skel.Cache()
    cache.Populate(usd_skel.Root.Get(stage, "/person"), Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(usd_skel.Skeleton.Get(stage, "/person/skeleton"))
    names = [path.split("/")[-1] for path in query.GetJointOrder()]
    order = [names.index(name) for name in JOINTS]
    frames = range(int(stage.GetStartTimeCode()), int(stage.GetEndTimeCode()) + 1)
    places = [np.array(query.ComputeJointSkelTransforms(frame))[order, 3, :3] for frame in frames]
    return 1000 * np.array(places), stage.GetTimeCodesPerSecond()


def read_csv(path):
    return from_table(pytest.importorskip("pandas").read_csv(path))


def read_json(path):
    return from_table(pytest.importorskip("pandas").read_json(path, orient="table"))


def read_parquet(path):
    return from_table(pytest.importorskip("pyarrow.parquet").read_table(path).to_pandas())


def from_table(table):
    (rate,) = set(table["fps"])
    places = table.set_index(["frame", "joint"])[["x_mm", "y_mm", "z_mm"]]
    return np.stack([places.xs(name, level="joint") for name in JOINTS], 1), rate


def read_netcdf(path):
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(path, engine="scipy") as data:
        keypoint, individual = data["position"].dims[2:]
        assert data["position"].attrs["units"] == "mm"
        places = data["position"].sel({keypoint: JOINTS, individual: "person00", "space": ["x", "y", "z"]})
        return places.transpose("time", keypoint, "space").values, data.attrs["fps"]


def accessor(file, number):
    """An array of a glTF file."""
    told = file.accessors[number]
    view = file.bufferViews[told.bufferView]
    kind = {5126: "<f4", 5121: "u1", 5123: "<u2"}[told.componentType]
    shape = {"SCALAR": (), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}[told.type]
    data = file.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.frombuffer(data, kind).reshape(told.count, *shape)


def node_matrices(file):
    """Each node's matrix in the world, frame by frame, by the equations of the glTF specification: frames nodes 4 4."""
    curves = file.animations[0]
    values = {
        (channel.target.node, channel.target.path): accessor(file, curves.samplers[channel.sampler].output)
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


READERS = {
    "bvh": ("y", read_bvh),
    "c3d": ("z", read_c3d),
    "trc": ("y", read_trc),
    "glb": ("y", read_glb),
    "usd": ("y", read_usd),
    "csv": ("own", read_csv),
    "json": ("own", read_json),
    "parquet": ("own", read_parquet),
    "netcdf": ("own", read_netcdf),
}
"""Which axis is up in the file, and what reads it."""

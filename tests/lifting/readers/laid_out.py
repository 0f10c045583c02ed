"""Two people who walk, and their keypoints in the layouts in which other tools write them."""

import json
import pickle

import numpy as np
from numpy import ndarray

from dreampose3d.skeleton import BLAZEPOSE_33, BODY_25, COCO_17, HALPE_26

FRAMES, FPS, SIZE = 12, 25.0, (1280, 720)
BODY = {
    "nose": (0, -170), "eye": (8, -178), "ear": (16, -172), "shoulder": (38, -110),
    "elbow": (52, -50), "wrist": (58, 0),
    "hip": (20, 0), "knee": (24, 90), "ankle": (26, 180), "heel": (22, 192), "toe": (30, 196), "big_toe": (30, 196),
    "small_toe": (36, 196), "neck": (0, -112), "head_top": (0, -205), "eye_inner": (5, -178), "eye_outer": (11, -178),
    "mouth": (5, -160), "pinky": (60, 12), "index": (58, 14), "thumb": (54, 10),
}  # fmt: skip
"""Where a joint is in a front view, pixels from the pelvis; the person's left is at +x."""


def body(joints) -> ndarray:
    """(K, 2) of a person of these joints."""
    points = []
    for joint in joints:
        side, _, part = joint.rpartition("_") if joint.startswith(("left", "right")) else ("", "", joint)
        if joint.startswith(("left_", "right_")):
            side, part = joint.split("_", 1)
        x, y = (0, 0) if part == "hip" and not side else BODY[part]
        points.append((-x if side == "right" else x, y))
    return np.array(points, float)


def walkers(joints, people=2) -> ndarray:
    """(N, P, K, 2) pixels: the first goes right and is larger, the second goes left, in the left half of the image."""
    steps = np.arange(FRAMES)[:, None, None]
    paths = ((900, 360, 6, 1.0), (300, 400, -5, 0.8))[:people]
    sway = 3 * np.sin(steps / 3)
    return np.stack([body(joints) * scale + (x, y) + steps * (dx, 0) + sway for x, y, dx, scale in paths], 1)


def confidence(joints, people=2) -> ndarray:
    return np.full((FRAMES, people, len(joints)), 0.75)


COCO, HALPE = walkers(COCO_17.joints), walkers(HALPE_26.joints)
BODY25, BLAZE = walkers(BODY_25.joints), walkers(BLAZEPOSE_33.joints)


def flat(points, certain=0.75) -> list[float]:
    """x, y, c, x, y, c, ..."""
    return np.concatenate([points, np.full((len(points), 1), certain)], -1).ravel().tolist()


def write_openpose(folder, points, order=lambda frame: (0, 1), ids=None, key="pose_keypoints_2d", skip=()):
    """OpenPose's `--write_json`, in a folder of its own."""
    folder.mkdir()
    for frame in range(len(points)):
        if frame in skip:
            continue
        people = [
            {
                "person_id": [-1 if ids is None else ids[p]], key: flat(points[frame, p]), "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [], "hand_right_keypoints_2d": [], "pose_keypoints_3d": [],
            }
            for p in order(frame)
        ]  # fmt: skip
        text = json.dumps({"version": 1.3, "people": people})
        (folder / f"clip_{frame:012d}_keypoints.json").write_text(text)
    return folder


def alphapose(points, idx=None, skip=(), order=lambda frame: (0, 1)) -> list[dict]:
    """AlphaPose's results of a video, whose frames are called 0.jpg, 1.jpg, ..."""
    return [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": flat(points[frame, p]), "score": 2.9,
         "box": [0.0, 0.0, 9.0, 9.0], "idx": [0.0] if idx is None else idx[p]}
        for frame in range(len(points)) if frame not in skip for p in order(frame)
    ]  # fmt: skip


def write_alphapose(path, points, **layout):
    """`alphapose-results.json`."""
    path.write_text(json.dumps(alphapose(points, **layout)))
    return path


def coco(points, joints, third=2) -> dict:
    """COCO's annotations of a video's frames."""
    images = [
        {"id": 10 + f, "file_name": f"walk/{f:06d}.jpg", "width": SIZE[0], "height": SIZE[1]} for f in range(FRAMES)
    ]
    annotations = [
        {"id": 100 * f + p, "image_id": 10 + f, "category_id": 1, "iscrowd": 0, "num_keypoints": len(joints),
         "keypoints": flat(points[f, p], third)}
        for f in range(FRAMES) for p in (0, 1)
    ]  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(joints), "skeleton": [[16, 14]]}
    return {"info": {}, "images": images, "annotations": annotations, "categories": [category]}


def mmpose_instances(points) -> list[dict]:
    return [
        {"keypoints": person.tolist(), "keypoint_scores": [0.75] * len(person), "bbox": [[0.0, 0.0, 9.0, 9.0]],
         "bbox_score": 0.9}
        for person in points
    ]  # fmt: skip


def mediapipe_landmarks(points) -> list[dict]:
    """NormalizedLandmark by NormalizedLandmark."""
    return [{"x": x / SIZE[0], "y": y / SIZE[1], "z": -0.1, "visibility": 0.75, "presence": 0.9} for x, y in points]


def dlc_columns(joints, people=None) -> list[tuple[str, ...]]:
    scorer = "DLC_resnet50_walkMay1shuffle1_50000"
    return [
        (scorer, *((person,) if people else ()), joint, coordinate)
        for person in people or (None,)
        for joint in joints
        for coordinate in ("x", "y", "likelihood")
    ]


def dlc_values(points) -> ndarray:
    return np.array([[value for person in frame for value in flat(person)] for frame in points])


def dlc_levels(people) -> list[str]:
    return ["scorer", *(["individuals"] if people else []), "bodyparts", "coords"]


def write_dlc_csv(path, points, joints, people=None):
    columns = dlc_columns(joints, people)
    rows = [[level, *names] for level, names in zip(dlc_levels(people), zip(*columns, strict=True), strict=True)]
    rows += [[frame, *values] for frame, values in enumerate(dlc_values(points))]
    text = "\n".join(",".join("" if cell != cell else str(cell) for cell in row) for row in rows)
    path.write_text(text + "\n")
    return path


def write_dlc_table(path, points, joints, people=None, **attributes):
    """HDF5 as pandas writes it with `format="table"`."""
    h5py = __import__("h5py")
    columns, values = dlc_columns(joints, people), dlc_values(points)
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        told = {
            "pandas_type": np.bytes_("frame_table"),
            "non_index_axes": np.bytes_(pickle.dumps([(1, columns)], protocol=0)),
            "info": np.bytes_(
                pickle.dumps({1: {"names": dlc_levels(people), "type": "MultiIndex"}, "index": {}}, protocol=0)
            ),
        }
        for name, value in (told | attributes).items():
            group.attrs[name] = value
        kind = [("index", "<i8"), ("values_block_0", "<f8", (len(columns),))]
        group["table"] = np.array([(row, tuple(v)) for row, v in enumerate(values)], dtype=kind)
    return path


def write_dlc_fixed(path, points, joints, people=None):
    """HDF5 as pandas' `to_hdf` writes it by default."""
    h5py = __import__("h5py")
    columns = dlc_columns(joints, people)
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame")
        group.attrs["block0_items_nlevels"] = np.int64(len(dlc_levels(people)))
        for number, level in enumerate(dlc_levels(people)):
            names = sorted({column[number] for column in columns})
            group[f"block0_items_level{number}"] = np.array(names, "S")
            group[f"block0_items_level{number}"].attrs["name"] = np.bytes_(level)
            labels = [names.index(column[number]) for column in columns]
            group[f"block0_items_label{number}"] = np.array(labels, "i1")
        group["axis1"] = np.arange(len(points))
        group["block0_values"] = dlc_values(points)
    return path


def write_sleap(path, points, joints, tracks=("ann", "bob"), axes=None, scores=True):
    """The analysis file: axes track, xy, node, frame, or as named in `dims`."""
    h5py = __import__("h5py")
    ours = ("frame", "track", "node", "xy")
    stored = axes or ("track", "xy", "node", "frame")
    with h5py.File(path, "w") as file:
        file["tracks"] = points.transpose([ours.index(axis) for axis in stored])
        file["node_names"] = np.array(joints, "S")
        file["track_names"] = np.array(tracks, "S")
        file["track_occupancy"] = np.ones(points.shape[:2], np.uint8)
        left = [axis for axis in stored if axis != "xy"]
        if scores:
            certain = np.full(points.shape[:3], 0.75)
            certain[3] = np.nan  # an instance set by hand
            file["point_scores"] = certain.transpose([ours.index(axis) for axis in left])
        if axes:
            file["tracks"].attrs["dims"] = json.dumps(stored)
            file["point_scores"].attrs["dims"] = json.dumps(left)
    return path


def write_trc(path, points, names, unit="m", z=0.0):
    """TRC of one person, as Sports2D writes it: also in pixels it says m."""
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{FPS}\t{FPS}\t{len(points)}\t{len(names)}\t{unit}\t{FPS}\t0\t{len(points)}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t\t",
        "\t\t" + "\t".join(f"X{i + 1}\tY{i + 1}\tZ{i + 1}" for i in range(len(names))),
    ]
    for frame, person in enumerate(points):
        cells = [cell for x, y in person for cell in (("", "", z) if x != x else (x, y, z))]
        lines.append("\t".join(map(str, (frame, frame / FPS, *cells))))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_videopose3d(path, clips, **metadata):
    """`prepare_data_2d_custom.py`'s npz: {video: keypoints (N, K, 2)}."""
    told = {
        "layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1, 3], [2, 4]],
        "video_metadata": {video: {"w": SIZE[0], "h": SIZE[1]} for video in clips},
    } | metadata  # fmt: skip
    positions = {video: {"custom": [points.astype("float32")]} for video, points in clips.items()}
    np.savez_compressed(path, positions_2d=np.array(positions, object), metadata=np.array(told, object))
    return path


def write_csv(path, points, joints, separator=",", split="_", certain="confidence", people=("ann", "bob")):
    """A row a frame and person, or without `people` a row a frame."""
    header = [
        "frame",
        *(["person"] if people else []),
        *(f"{j}{split}{c}" for j in joints for c in ("x", "y", certain)),
    ]
    rows = [[f, *people[p : p + 1], *flat(points[f, p])] for f in range(len(points)) for p in range(points.shape[1])]
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in [header, *rows]))
    return path

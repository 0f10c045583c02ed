"""What is wrong with a file is said with its name, what was expected and what to do; nothing else ever comes out."""

import json
import pickle
import random

import numpy as np
import pytest
from tests.lifting.readers import laid_out as tool
from tests.lifting.readers.laid_out import BLAZE, BODY25, COCO, FPS, FRAMES, SIZE

from dreampose3d.lifting.keypoints import read_everyone
from dreampose3d.skeleton import BLAZEPOSE_33, COCO_17

JOINTS = COCO_17.joints


def read(path, **given):
    return read_everyone(path, **{"fps": FPS, "size_px": SIZE} | given)


def refused(path, match, **given):
    with pytest.raises(ValueError, match=match) as error:
        read(path, **given)
    assert str(error.value).startswith(str(path))
    assert str(error.value).count(str(path)) == 1


JSON = {
    "alphapose": tool.alphapose(COCO, idx=(1, 2)),
    "alphapose-open": {f"{f}.jpg": {"people": [{"pose_keypoints_2d": tool.flat(p)} for p in frame]}
                       for f, frame in enumerate(COCO)},
    "mmpose": [{"frame_id": f, "instances": tool.mmpose_instances(frame)} for f, frame in enumerate(COCO)],
    "mmpose-demo": {"meta_info": {"keypoint_id2name": dict(enumerate(JOINTS))},
                    "instance_info": [{"frame_id": f + 1, "instances": tool.mmpose_instances(frame)}
                                      for f, frame in enumerate(COCO)]},
    "coco": tool.coco(COCO, JOINTS),
    "mediapipe": {"fps": FPS, "frames": [{"timestamp_ms": 40 * f, "pose_landmarks": [tool.mediapipe_landmarks(p)
                                          for p in frame]} for f, frame in enumerate(BLAZE)]},
}  # fmt: skip


def places(value, path=()):
    """Where everything is in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def spoilt(value, path, new):
    """A copy with something else at one place."""
    if not path:
        return new
    copy = json.loads(json.dumps(value))
    held = copy
    for key in path[:-1]:
        held = held[key]
    held[path[-1]] = new
    return copy


@pytest.mark.parametrize("name", JSON)
def test_json_with_anything_anywhere_is_read_or_refused(tmp_path, name):
    rng, path = random.Random(0), tmp_path / "a.json"
    data = json.loads(json.dumps(JSON[name]))
    everywhere = {tuple("#" if isinstance(key, int) else key.strip("0123456789") for key in p): p for p in places(data)}
    for place in everywhere.values():
        for new in rng.sample((None, "x", -1, [], {}, float("inf"), 1e300, [[1]], [{}], True, 0, "7"), 4):
            path.write_text(json.dumps(spoilt(data, place, new)))
            try:
                assert read(path)
            except ValueError as error:
                assert str(error).startswith(f"{path}: "), (place, new)  # noqa: PT017


@pytest.mark.parametrize("name", JSON)
def test_json_that_is_cut_off(tmp_path, name):
    text = json.dumps(JSON[name])
    for length in (1, 40, len(text) // 2, len(text) - 1):
        (tmp_path / "a.json").write_text(text[:length])
        refused(tmp_path / "a.json", "begins like JSON, but is damaged or cut off .*; write it again")


def movement(path, points, joints):
    xarray = pytest.importorskip("xarray")
    xarray.Dataset(
        {"position": (("time", "space", "keypoint", "individual"), points.transpose(0, 3, 2, 1))},
        {"time": np.arange(len(points)), "space": [*"xy"], "keypoint": list(joints), "individual": ["a", "b"]},
    ).to_netcdf(path, engine="h5netcdf")
    return path


FILES = {
    "deeplabcut csv": lambda path: tool.write_dlc_csv(path, COCO, JOINTS, ("a", "b")),
    "deeplabcut table": lambda path: tool.write_dlc_table(path, COCO, JOINTS, ("a", "b")),
    "deeplabcut fixed": lambda path: tool.write_dlc_fixed(path, COCO, JOINTS, ("a", "b")),
    "sleap": lambda path: tool.write_sleap(path, COCO, JOINTS),
    "movement": lambda path: movement(path, COCO, JOINTS),
    "trc": lambda path: tool.write_trc(path, COCO[:, 0], JOINTS),
    "videopose3d": lambda path: tool.write_videopose3d(path.with_suffix(".npz"), {"walk.mp4": COCO[:, 0]}),
    "csv": lambda path: tool.write_csv(path, COCO, JOINTS),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off(tmp_path, name):
    whole = FILES[name](tmp_path / "whole").read_bytes()
    for length in (0, 20, len(whole) // 3, len(whole) * 2 // 3):
        (tmp_path / "cut").write_bytes(whole[:length])
        refused(tmp_path / "cut", "cut off|damaged|not a keypoint file that is known|the first frame|below its header")


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_damaged_bytes_is_read_or_refused(tmp_path, name):
    rng, path = random.Random(1), tmp_path / "damaged"
    whole = FILES[name](tmp_path / "whole").read_bytes()
    for _ in range(20):
        damaged, at = bytearray(whole), rng.randrange(min(3000, len(whole) - 8))
        damaged[at : at + 4] = rng.randbytes(4)
        path.write_bytes(damaged)
        try:
            assert read(path)
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017


def changed(path, data, change):
    data = json.loads(json.dumps(data))
    change(data)
    path.write_text(json.dumps(data))
    return path


JSON_MISTAKES = {
    "no triples": ("alphapose", lambda d: d[3].update(keypoints=[1, 2, 3, 4]), "as x, y, c for each joint, got 4 num"),
    "text": ("alphapose", lambda d: d[3].update(keypoints="none"), "keypoints of image 1.jpg as a list of numbers"),
    "of two clips": ("alphapose", lambda d: d[3].update(image_id="b_3.png"), "the frames of one clip, got names like"),
    "two skeletons": ("alphapose", lambda d: d[3].update(keypoints=[1.0] * 78), "people with 17 and 26 joints"),
    "unknown order": ("alphapose", lambda d: [p.update(keypoints=[1.0] * 63) for p in d], "people have 21 joints, and"),
    "normalised": ("alphapose", lambda d: [p.update(keypoints=[0.5] * 51) for p in d], "normalised.*--keypoint_scale"),
    "3D": ("mmpose", lambda d: d[0]["instances"][0].update(keypoints=[[1, 2, 3]]), "3D, which need no lifting"),
    "fewer scores": ("mmpose", lambda d: d[0]["instances"][0].update(keypoint_scores=[1]), "17 keypoint_scores, got"),
    "a frame twice": ("mmpose", lambda d: d[1].update(frame_id=0), "frame 0 is there twice; keep one clip a file"),
    "no number": ("mmpose", lambda d: d[1].update(frame_id="one"), "frame_id as a whole number, got 'one'"),
    "nobody": ("mmpose", lambda d: [f.update(instances=[]) for f in d], "got nobody in any frame"),
    "no such image": ("coco", lambda d: d["annotations"][0].update(image_id=99), "image 99, which images does not"),
    "two sizes": ("coco", lambda d: d["images"][1].update(width=9), "images of one size"),
    "two videos": ("coco", lambda d: d["images"][1].update(video_id=2), "got 2 videos; write one a file"),
    "no animal": ("coco", lambda d: d["categories"][0].update(keypoints=[f"leg{n}" for n in range(17)]), "a person"),
    "not a landmark": ("mediapipe", lambda d: d["frames"][3]["pose_landmarks"][0].append(7), "objects with x and y"),
}


@pytest.mark.parametrize("mistake", JSON_MISTAKES)
def test_mistakes_in_json_are_named(tmp_path, mistake):
    name, change, match = JSON_MISTAKES[mistake]
    refused(changed(tmp_path / "a.json", JSON[name], change), match)


def test_world_landmarks_of_mediapipe_are_no_image(tmp_path):
    centred = BLAZE - BLAZE[:, :, BLAZEPOSE_33.indices("left_hip", "right_hip")].mean(2, keepdims=True)
    frames = [[{"x": x / 300, "y": y / 300} for x, y in frame[0]] for frame in centred]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    refused(tmp_path / "a.json", "expected landmarks in the image, got world landmarks: write down pose_landmarks")


def test_mistakes_in_openposes_folder_are_named(tmp_path):
    folder = tool.write_openpose(tmp_path / "clip", BODY25)
    refused(sorted(folder.iterdir())[0], "one frame of OpenPose's JSON; give the folder")
    refused(folder, "the file does not say its fps; give it with --fps F", fps=None)
    refused(folder, "the file does not say its size; give it with --size WxH", size_px=None)
    (folder / "clip_000000000005_keypoints.json").write_text("[]")
    refused(folder, "frame 5: expected an object with a list people, as OpenPose writes it")
    (folder / "clip_000000000005_keypoints.json").write_text('{"people": [')
    refused(folder, "begins like JSON, but is damaged or cut off")
    (folder / "other_000000000005_keypoints.json").write_text("{}")
    refused(folder, "expected the frames of one clip, got names like clip_#_keypoints and other_#_keypoints")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "not a keypoint file that is known .* docs/files-in.md")


def test_mistakes_in_deeplabcuts_tables_are_named(tmp_path):
    path = tool.write_dlc_csv(tmp_path / "a.csv", COCO[:, :1], JOINTS)
    text = path.read_text()
    path.write_text(text.replace("\n0,", "\nlabeled-data/walk/img0.png,", 1))
    refused(path, "these are labelled images, not a video's analysis")
    path.write_text(text.replace("likelihood", "z"))
    refused(path, "expected coords x, y, likelihood, got x, y, z")
    path.write_text(text.replace("\nbodyparts", "\nparts", 1))
    refused(path, "expected")
    path.write_text("\n".join(text.splitlines()[:3]))
    refused(path, "expected a row a frame below its header, got none")
    refused(tool.write_dlc_csv(path, COCO[:, :1, :3], ("snout", "tail", "ear")), "do not make up a person")


class _Runs:
    def __reduce__(self):
        return print, ("run",)


def test_deeplabcuts_column_names_cannot_run_code(tmp_path, capsys):
    path = tmp_path / "a.h5"
    tool.write_dlc_table(path, COCO[:, :1], JOINTS, info=np.bytes_(pickle.dumps(_Runs(), protocol=0)))
    refused(path, "ask for .*print, which could run code; write the table as csv")
    assert "run" not in capsys.readouterr().out


def test_mistakes_in_sleaps_file_are_named(tmp_path):
    refused(tool.write_sleap(tmp_path / "a", COCO, JOINTS[:5]), "expected tracks of 5 nodes with x and y")
    refused(tool.write_sleap(tmp_path / "b", COCO, JOINTS, tracks=("a", "b", "c")), r"expected 3 tracks \(a, b, c\)")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tool.write_sleap(tmp_path / "c", COCO, JOINTS), "r+") as file:
        del file["point_scores"]
        file["point_scores"] = np.ones((1, 17, FRAMES))
    refused(tmp_path / "c", r"expected point_scores for tracks of shape \(12, 2, 17, 2\)")


def test_mistakes_in_movements_file_are_named(tmp_path):
    xarray = pytest.importorskip("xarray")
    movement(tmp_path / "a.nc", COCO, JOINTS)
    poses = xarray.load_dataset(tmp_path / "a.nc")
    refused(tmp_path / "a.nc", "the file does not say its fps", fps=None)
    poses.rename(position="place").to_netcdf(tmp_path / "b.nc", engine="scipy")
    refused(tmp_path / "b.nc", "position")
    xarray.concat([poses, poses[{"space": [0]}].assign_coords(space=["z"])], "space").to_netcdf(tmp_path / "c.nc")
    refused(tmp_path / "c.nc", "expected 2D positions .* got 3D, which need no lifting")


def test_mistakes_in_trc_are_named(tmp_path):
    path, person = tmp_path / "a.trc", COCO[:, 0]
    refused(tool.write_trc(path, person / 500, JOINTS), "got 3D or metres; of Sports2D's files take .* _px_")
    refused(tool.write_trc(path, person, JOINTS, z=1.0), "got 3D or metres")
    refused(tool.write_trc(path, person * np.nan, JOINTS), "no marker is there in any frame")
    text = tool.write_trc(path, person, JOINTS).read_text()
    path.write_text("\n".join(text.splitlines()[:-2]) + "\n")
    refused(path, "cut off: the header counts 12 frames, got 10; write it again")
    path.write_text(text.replace("\n3\t", "\n3\tsoon\t"))
    refused(path, "expected")
    path.write_text(text.replace(f"\n{FPS}\t", "\nfast\t"))
    refused(path, "expected numbers .* for rate and frames")


def test_mistakes_in_videopose3ds_file_are_named(tmp_path):
    path = tmp_path / "a.npz"
    tool.write_videopose3d(path, {"a.mp4": COCO[:, 0], "b.mp4": COCO[:, 1]})
    refused(path, r"expected one clip, got 2 \(a.mp4/custom/0, b.mp4/custom/0\); save the one wanted as npz")
    np.savez(path, positions_2d=np.array([1, 2]))
    refused(path, "expected positions_2d")
    np.savez(path, positions_2d=np.array({"a": {"custom": [_Runs()]}}, object))
    refused(path, "could run code")


def test_mistakes_in_csv_are_named(tmp_path):
    path = tmp_path / "a.csv"
    text = tool.write_csv(path, COCO, JOINTS).read_text()
    path.write_text(text.replace("0.75", "sure", 1))
    refused(path, "row 2: expected a number, got 'sure'")
    path.write_text(text + "12,a,5\n")
    refused(path, "row 26: expected 53 cells, got 3: it is cut off or damaged")
    path.write_text(text.replace("\n3,", "\nthird,", 1))
    refused(path, "expected the frame in row 8 as a whole number, got 'third'")

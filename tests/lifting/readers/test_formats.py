"""Each format, laid out as its tool writes it: everyone's keypoints return, by name, with who is who."""

import json

import numpy as np
import pytest
from tests.lifting.readers import laid_out as tool
from tests.lifting.readers.laid_out import BLAZE, BODY25, COCO, FPS, FRAMES, HALPE, SIZE

from dreampose3d.lifting.keypoints import read_everyone, read_keypoints
from dreampose3d.lifting.plausibility import check_skeleton
from dreampose3d.skeleton import BLAZEPOSE_33, BODY_25, COCO_17, HALPE_26

PEOPLE = ("ann", "bob")


def shuffled(frame):
    """The order of the people in a frame."""
    return (0, 1) if frame % 3 else (1, 0)


def read(path, **given):
    return read_everyone(path, **{"fps": FPS, "size_px": SIZE} | given)


def assert_are(people, points, skeleton, joints=None):
    """The two walkers, the larger first, with their joints where they belong."""
    assert [person.skeleton for person in people] == [skeleton] * points.shape[1]
    for person, expected in zip(people, points.transpose(1, 0, 2, 3), strict=True):
        chosen = slice(None) if joints is None else skeleton.indices(*joints)
        np.testing.assert_allclose(person.keypoints_px[:, chosen], expected, atol=1e-3)
        assert person.camera.size_px == SIZE
        assert person.fps == pytest.approx(FPS)
        check_skeleton(person)


def test_openpose_folder_without_ids(tmp_path):
    people = read(tool.write_openpose(tmp_path / "json", BODY25, shuffled))
    assert_are(people, BODY25, BODY_25)
    np.testing.assert_allclose(people[0].confidence, 0.75)


def test_openpose_0_0_0_is_missing(tmp_path):
    points = BODY25.copy()
    folder = tool.write_openpose(tmp_path / "json", points)
    file = folder / "clip_000000000004_keypoints.json"
    data = json.loads(file.read_text())
    data["people"][0]["pose_keypoints_2d"][12:15] = [0, 0, 0]
    file.write_text(json.dumps(data))
    person = read(folder)[0]
    assert np.isnan(person.keypoints_px[4, 4]).all()
    assert person.confidence[4, 4] == 0
    assert np.isfinite(np.delete(person.keypoints_px, 4, 1)).all()


def test_openpose_ids_a_frame_without_people_and_a_missing_file(tmp_path):
    folder = tool.write_openpose(
        tmp_path / "json", BODY25, ids=(7, 3), order=lambda f: () if f == 5 else (0, 1), skip=(8,)
    )
    people = read(folder)
    assert [person.subject for person in people] == ["7", "3"]
    gone = np.isnan(people[0].keypoints_px).all((1, 2))
    assert np.flatnonzero(gone).tolist() == [5, 8]


@pytest.mark.parametrize(("points", "skeleton"), [(COCO, COCO_17), (HALPE, HALPE_26), (BLAZE, BLAZEPOSE_33)])
def test_pose2sim_writes_its_own_skeletons_as_openpose(tmp_path, points, skeleton):
    assert_are(read(tool.write_openpose(tmp_path / "cam01_json", points, shuffled)), points, skeleton)


def test_openposes_coco_of_18_and_its_old_key(tmp_path):
    arms = [f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")]
    legs = [f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle")]
    names = ["nose", "neck", *arms, *legs, "right_eye", "left_eye", "right_ear", "left_ear"]
    people = read(tool.write_openpose(tmp_path / "json", tool.walkers(names), shuffled, key="pose_keypoints"))
    assert_are(people, COCO, COCO_17)


def test_pose2sim_leaves_places_empty(tmp_path):
    folder = tool.write_openpose(tmp_path / "json", COCO)
    file = folder / "clip_000000000004_keypoints.json"
    data = json.loads(file.read_text())
    data["people"][0] = {}
    file.write_text(json.dumps(data))
    assert np.isnan(read(folder)[0].keypoints_px[4]).all()


def test_alphapose_in_openposes_format(tmp_path):
    frames = {
        f"{f}.jpg": {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": tool.flat(p)} for p in people]}
        for f, people in enumerate(COCO)
    }
    (tmp_path / "a.json").write_text(json.dumps(frames))
    assert_are(read(tmp_path / "a.json"), COCO, COCO_17)


@pytest.mark.parametrize(("points", "skeleton"), [(COCO, COCO_17), (HALPE, HALPE_26)])
def test_alphapose_untracked_has_idx_0_for_all(tmp_path, points, skeleton):
    people = read(tool.write_alphapose(tmp_path / "alphapose-results.json", points, order=shuffled))
    assert_are(people, points, skeleton)


def test_alphapose_tracked_and_frames_that_show_nobody_are_not_in_the_file(tmp_path):
    path = tool.write_alphapose(tmp_path / "a.json", HALPE, idx=([2.0, 5.0], 1), skip=(4, 5))
    people = read(path)
    assert [person.subject for person in people] == ["2", "1"]
    assert len(people[0]) == FRAMES
    assert np.isnan(people[0].keypoints_px[4:6]).all()
    np.testing.assert_allclose(people[0].keypoints_px[6:], HALPE[6:, 0], atol=1e-3)


@pytest.mark.parametrize(
    ("count", "points", "skeleton"), [(136, HALPE, HALPE_26), (68, HALPE, HALPE_26), (133, COCO, COCO_17)]
)
def test_face_and_hands_are_left_out(tmp_path, count, points, skeleton):
    face = np.broadcast_to(points[:, :, :1] + 5, (*points.shape[:2], count - points.shape[2], 2))
    people = read(tool.write_alphapose(tmp_path / "a.json", np.concatenate((points, face), 2), idx=(1, 2)))
    assert_are(people, points, skeleton)


def test_coco_results_are_the_same_format(tmp_path):
    results = [{"image_id": 100 + f, "category_id": 1, "keypoints": tool.flat(COCO[f, p]), "score": 0.9}
               for f in range(FRAMES) for p in (0, 1)]  # fmt: skip
    results.append({"image_id": 100, "category_id": 18, "keypoints": [1, 2, 3], "score": 0.9})  # a dog
    (tmp_path / "r.json").write_text(json.dumps(results))
    assert_are(read(tmp_path / "r.json"), COCO, COCO_17)


def mmpose_files(tmp_path):
    instances = [tool.mmpose_instances(frame[list(shuffled(f))]) for f, frame in enumerate(COCO)]
    names = {str(place): joint for place, joint in enumerate(COCO_17.joints)}
    counted = [{"frame_id": f, "instances": people} for f, people in enumerate(instances)]
    from_1 = [{"frame_id": f + 1, "instances": people} for f, people in enumerate(instances)]
    contents = {
        "inferencer": counted,
        "demo": {"meta_info": {"dataset_name": "coco", "keypoint_id2name": names}, "instance_info": from_1},
        "returned": {"visualization": [], "predictions": instances},
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "images").mkdir()
    for f, people in enumerate(instances):
        (tmp_path / "images" / f"img_{f:03d}.json").write_text(json.dumps(people))
    return tmp_path


@pytest.mark.parametrize("name", ["inferencer.json", "demo.json", "returned.json", "images"])
def test_mmpose(tmp_path, name):
    assert_are(read(mmpose_files(tmp_path) / name), COCO, COCO_17)


def test_mmposes_first_images_may_show_nobody(tmp_path):
    folder = mmpose_files(tmp_path) / "images"
    (folder / "img_000.json").write_text("[]")
    people = read(folder)
    assert len(people[0]) == FRAMES - 1
    np.testing.assert_allclose(people[1].keypoints_px, COCO[1:, 1], atol=1e-3)


def test_mmpose_track_ids_and_no_scores(tmp_path):
    frames = [{"frame_id": f, "instances": [{"keypoints": p.tolist(), "track_id": i} for i, p in enumerate(frame)]}
              for f, frame in enumerate(COCO)]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(frames))
    people = read(tmp_path / "a.json")
    assert_are(people, COCO, COCO_17)
    assert [person.subject for person in people] == ["0", "1"]
    assert (people[0].confidence == 1).all()


def test_coco_annotations_with_flags_and_the_size_of_the_images(tmp_path):
    data = tool.coco(COCO, COCO_17.joints)
    data["annotations"][0]["keypoints"][:6] = [0, 0, 0, 640, 360, 1]
    data["annotations"].append({"id": 9, "image_id": 10, "category_id": 1, "iscrowd": 1, "keypoints": [0] * 51})
    data["annotations"].append({"id": 9, "image_id": 10, "category_id": 1, "num_keypoints": 0, "keypoints": [0] * 51})
    (tmp_path / "a.json").write_text(json.dumps(data))
    people = read_everyone(tmp_path / "a.json", fps=FPS)
    assert people[0].camera.size_px == SIZE
    assert people[0].confidence[0, :3].tolist() == [0, 0.5, 1]
    assert np.isnan(people[0].keypoints_px[0, 0]).all()
    np.testing.assert_allclose(people[1].keypoints_px, COCO[:, 1], atol=1e-3)


def test_coco_images_without_a_files_name_are_counted_by_their_ids(tmp_path):
    data = tool.coco(COCO, COCO_17.joints)
    for image in data["images"]:
        del image["file_name"]
    (tmp_path / "a.json").write_text(json.dumps(data))
    assert_are(read(tmp_path / "a.json"), COCO, COCO_17)


def test_coco_joints_go_by_the_categorys_names_and_people_by_track_id(tmp_path):
    order = np.random.default_rng(2).permutation(HALPE_26.num_joints)
    data = tool.coco(HALPE[:, :, order], [HALPE_26.joints[j] for j in order], third=0.75)
    for annotation in data["annotations"]:
        annotation["track_id"] = annotation["id"] % 100
    for frame, image in enumerate(data["images"]):
        image |= {"frame_id": frame, "video_id": 1, "file_name": "anything.jpg"}
    (tmp_path / "a.json").write_text(json.dumps(data))
    people = read(tmp_path / "a.json")
    assert_are(people, HALPE, HALPE_26)
    np.testing.assert_allclose(people[0].confidence, 0.75)


@pytest.mark.parametrize(
    "written",
    {
        "web": lambda frames: [{"landmarks": people, "worldLandmarks": []} for people in frames],
        "tasks": lambda frames: {"frames": [{"frame": f, "pose_landmarks": p} for f, p in enumerate(frames)]},
        "bare": lambda frames: frames,
    }.values(),
    ids=["web", "tasks", "bare"],
)
def test_mediapipe_of_several_people(tmp_path, written):
    frames = [[tool.mediapipe_landmarks(BLAZE[f, p]) for p in shuffled(f)] for f in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps(written(frames)))
    assert_are(read(tmp_path / "a.json"), BLAZE, BLAZEPOSE_33)


@pytest.mark.parametrize(
    "written",
    {
        "solutions": lambda frames: [{"pose_landmarks": {"landmark": landmarks}} for landmarks in frames],
        "message": lambda frames: [{"landmark": landmarks} for landmarks in frames],
        "bare": lambda frames: frames,
        "told": lambda frames: {"fps": FPS, "width": SIZE[0], "height": SIZE[1], "frames": frames},
    }.values(),
    ids=["solutions", "message", "bare", "told"],
)
def test_mediapipe_of_one_person(tmp_path, written):
    frames = [tool.mediapipe_landmarks(person) for person in BLAZE[:, 0]]
    (tmp_path / "a.json").write_text(json.dumps(written(frames)))
    assert_are([read_keypoints(tmp_path / "a.json", fps=FPS, size_px=SIZE)], BLAZE[:, :1], BLAZEPOSE_33)


def test_mediapipe_frames_without_a_pose_and_pixels(tmp_path):
    frames = [{"frame": f, "landmarks": [{"x": x, "y": y} for x, y in BLAZE[f, 0]]} for f in (0, 1, 4, 5)]
    frames.insert(2, {"frame": 2, "landmarks": None})
    (tmp_path / "a.json").write_text(json.dumps(frames))
    person = read_keypoints(tmp_path / "a.json", fps=FPS, size_px=SIZE)
    assert len(person) == 6
    assert np.isnan(person.keypoints_px[2:4]).all()
    np.testing.assert_allclose(person.keypoints_px[4:], BLAZE[4:6, 0], atol=1e-3)


def test_mediapipe_timestamps_tell_the_rate(tmp_path):
    frames = [{"timestamp_ms": 40 * f, "landmarks": tool.mediapipe_landmarks(BLAZE[f, 0])} for f in range(FRAMES)]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    assert read_keypoints(tmp_path / "a.json", size_px=SIZE).fps == pytest.approx(25)


DLC = {"csv": tool.write_dlc_csv, "table": tool.write_dlc_table, "fixed": tool.write_dlc_fixed}
SHORT = {joint: "".join((s[:1].upper() if s in ("left", "right") else s.capitalize()) for s in joint.split("_"))
         for joint in COCO_17.joints}  # fmt: skip
"""LShoulder for left_shoulder."""


@pytest.mark.parametrize("write", DLC.values(), ids=DLC)
def test_deeplabcut_one_animal(tmp_path, write):
    order = np.random.default_rng(3).permutation(COCO_17.num_joints)
    path = write(tmp_path / "walkDLC", COCO[:, :1, order], [SHORT[COCO_17.joints[j]] for j in order])
    person = read_keypoints(path, fps=FPS, size_px=SIZE)
    assert_are([person], COCO[:, :1], COCO_17)
    np.testing.assert_allclose(person.confidence, 0.75)


@pytest.mark.parametrize("write", DLC.values(), ids=DLC)
def test_deeplabcut_several_animals(tmp_path, write):
    points = COCO.copy()
    points[3, 0, 5] = np.nan
    people = read(write(tmp_path / "walkDLC", points, COCO_17.joints, PEOPLE))
    assert_are(people, points, COCO_17)
    assert [person.subject for person in people] == ["ann", "bob"]
    assert people[0].confidence[3, 5] == 0


def test_deeplabcut_points_without_a_likelihood_were_set_by_hand(tmp_path):
    path = tool.write_dlc_csv(tmp_path / "a.csv", COCO[:, :1], COCO_17.joints)
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace(",0.75", ",", 1)
    path.write_text("\n".join(lines))
    person = read_keypoints(path, fps=FPS, size_px=SIZE)
    assert person.confidence[0, :2].tolist() == [1, 0.75]
    assert_are([person], COCO[:, :1], COCO_17)


def test_deeplabcut_individuals_with_joints_of_their_own_and_one_never_seen(tmp_path):
    path = tool.write_dlc_csv(tmp_path / "a.csv", COCO, COCO_17.joints, PEOPLE)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    corner = [("single", "corner", c) for c in ("x", "y", "likelihood")]
    for level, row in enumerate(rows):
        row += [row[1] if level == 0 else corner[i][level - 1] if level < 4 else "" for i in range(3)]
    path.write_text("\n".join(",".join(row) for row in rows))
    assert_are(read(path), COCO, COCO_17)


@pytest.mark.parametrize("axes", [None, ("track", "xy", "node", "frame"), ("frame", "track", "node", "xy")])
def test_sleap_whatever_the_order_of_its_axes(tmp_path, axes):
    people = read(tool.write_sleap(tmp_path / "a.h5", COCO, COCO_17.joints, axes=axes))
    assert_are(people, COCO, COCO_17)
    assert [person.subject for person in people] == ["ann", "bob"]
    assert people[0].confidence[2:5, 0].tolist() == [0.75, 1, 0.75]


def test_sleap_without_tracks_or_scores(tmp_path):
    path = tool.write_sleap(tmp_path / "a.h5", COCO[:, :1], COCO_17.joints, tracks=(), scores=False)
    assert_are([read_keypoints(path, fps=FPS, size_px=SIZE)], COCO[:, :1], COCO_17)


@pytest.mark.parametrize("plural", ["", "s"])
@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_movement(tmp_path, plural, engine):
    xarray = pytest.importorskip("xarray")
    keypoint, individual = f"keypoint{plural}", f"individual{plural}"
    certain = np.full((FRAMES, COCO_17.num_joints, 2), np.nan)
    poses = xarray.Dataset(
        {
            "position": (("time", "space", keypoint, individual), COCO.transpose(0, 3, 2, 1)),
            "confidence": (("time", keypoint, individual), certain),
        },
        {"time": np.arange(FRAMES) / FPS, "space": [*"xy"], keypoint: list(COCO_17.joints), individual: list(PEOPLE)},
        {"fps": FPS, "time_unit": "seconds", "source_software": "SLEAP", "ds_type": "poses"},
    )
    poses.to_netcdf(tmp_path / "a.nc", engine=engine)
    people = read_everyone(tmp_path / "a.nc", size_px=SIZE)
    assert_are(people, COCO, COCO_17)
    assert [person.subject for person in people] == ["ann", "bob"]
    assert (people[0].confidence == 1).all()


def test_trc_of_sports2d_in_pixels(tmp_path):
    kept = [j for j in HALPE_26.joints if j.rpartition("_")[2] not in ("eye", "ear")]
    spelt = {"head_top": "Head", "neck": "Neck", "hip": "Hip", "nose": "Nose"}
    names = [spelt.get(j) or j[0].upper() + "".join(w.capitalize() for w in j.split("_")[1:]) for j in kept]
    points = tool.walkers(kept, 1)
    points[3, 0, 5] = np.nan
    points[4, 0, 6] = 0  # where Sports2D fills large gaps with zeros
    person = read_keypoints(tool.write_trc(tmp_path / "a_px_person00.trc", points[:, 0], names), size_px=SIZE)
    points[4, 0, 6] = np.nan
    assert_are([person], points, HALPE_26, kept)
    assert np.isnan(person.keypoints_px[:, HALPE_26.index("left_eye")]).all()
    np.testing.assert_allclose(person.times, np.arange(FRAMES) / FPS)


def test_videopose3d(tmp_path):
    path = tool.write_videopose3d(tmp_path / "data_2d_custom_walk.npz", {"walk.mp4": COCO[:, 0]})
    assert_are([read_keypoints(path, fps=FPS)], COCO[:, :1], COCO_17)


@pytest.mark.parametrize("layout", [{}, {"separator": ";"}, {"separator": "\t", "split": " ", "certain": "likelihood"}])
def test_csv(tmp_path, layout):
    people = read(tool.write_csv(tmp_path / "a.csv", COCO, COCO_17.joints, **layout))
    assert_are(people, COCO, COCO_17)
    assert [person.subject for person in people] == ["ann", "bob"]
    np.testing.assert_allclose(people[0].confidence, 0.75)


def test_csv_of_one_person_with_times(tmp_path):
    lines = tool.write_csv(tmp_path / "a.csv", COCO[:, :1], COCO_17.joints, people=()).read_text().splitlines()
    lines = [f"time,{lines[0]}", *(f"{f / FPS},{line}" for f, line in enumerate(lines[1:]))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert_are([read_keypoints(tmp_path / "a.csv", size_px=SIZE)], COCO[:, :1], COCO_17)


def test_sleaps_analysis_csv(tmp_path):
    header = [
        "track",
        "frame_idx",
        "instance.score",
        *(f"{j}.{c}" for j in COCO_17.joints for c in ("x", "y", "score")),
    ]
    rows = [[PEOPLE[p], f, 0.9, *tool.flat(COCO[f, p])] for f in range(FRAMES) for p in (0, 1)]
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]))
    assert_are(read(tmp_path / "a.csv"), COCO, COCO_17)


def test_the_names_of_files_do_not_matter(tmp_path):
    for name, write in {"a.npz": tool.write_alphapose, "b.mp4.json": tool.write_alphapose}.items():
        assert_are(read(write(tmp_path / name, COCO, idx=(1, 2))), COCO, COCO_17)
    assert_are(read(tool.write_csv(tmp_path / "c.trc", COCO, COCO_17.joints)), COCO, COCO_17)


def test_a_given_skeleton_goes_before_the_number_of_joints(tmp_path):
    path = tool.write_alphapose(tmp_path / "a.json", COCO, idx=(1, 2))
    assert {person.skeleton.name for person in read(path, skeleton="h36m_17")} == {"h36m_17"}
    assert_are(read(tool.write_alphapose(path, HALPE, idx=(1, 2)), skeleton="coco_17"), COCO, COCO_17)

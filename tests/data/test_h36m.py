import json
import zipfile
from importlib import resources

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tests.miniatures import (
    H36M_32,
    H36M_CAMERAS,
    H36M_NAMES,
    PARENTS,
    body_size,
    figure,
    person,
    quaternion_matrix,
    write_h36m,
)

from dreampose3d.data import h36m
from dreampose3d.data.unpickle import RefusedPickleError
from dreampose3d.skeleton import COCO_17, H36M_17

PIXEL = 1e-4
FILE_PIXEL = 2e-4
"""A file's pixels are float32: 6e-5 px at 1000 px, and half of it again for each conversion."""
ACTIONS = ("Directions", "Directions 1", "TakingPhoto 1", "WalkingDog", "SittingDown 2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_h36m(tmp_path_factory.mktemp("h36m"), actions=ACTIONS, frames=30)


@pytest.fixture(scope="module")
def sequences(folder):
    return {sequence.name: sequence for sequence in h36m.read(folder)}


def test_a_folder_gives_a_sequence_per_recording_and_camera(folder):
    assert h36m.recognises(folder)
    sequences = list(h36m.read(folder, "test"))
    assert len(sequences) == 4 * (len(ACTIONS) + len(ACTIONS) - 1)  # S11 has no "Directions"
    first = sequences[0]
    assert (first.name, first.subject, first.action) == ("S9/Directions/54138969", "S9", "Directions")
    assert (len(first), first.fps, first.skeleton) == (30, 50.0, H36M_17)
    assert first.joints_mm.shape == (30, 17, 3)
    assert first.keypoints_px.shape == (30, 17, 2)
    assert first.valid is None
    assert first.confidence is None


@pytest.mark.parametrize("path", ["data_3d_h36m.npz", "."])
def test_the_3d_file_or_its_folder_may_be_named(folder, path):
    assert h36m.recognises(folder / path)
    assert len(list(h36m.read(folder / path, "val"))) == 4 * len(ACTIONS)


def test_the_splits_are_the_published_ones_and_val_is_one_of_train(folder):
    subjects = {split: [*dict.fromkeys(s.subject for s in h36m.read(folder, split))] for split in h36m.SUBJECTS}
    assert subjects == {"train": ["S1", "S5", "S6", "S7", "S8"], "val": ["S8"], "test": ["S9", "S11"]}
    assert {s.subject for s in h36m.read(folder)} == {*subjects["train"], *subjects["test"]}


def test_an_unknown_split_is_refused(folder):
    with pytest.raises(ValueError, match="expected the split train, val, test, got 'validation'"):
        next(h36m.read(folder, "validation"))


def test_recordings_go_into_the_15_groups(sequences):
    assert {s.name.split("/")[1]: s.action for s in sequences.values()} == {
        "Directions": "Directions", "Directions 1": "Directions", "TakingPhoto 1": "Photo", "WalkingDog": "WalkDog",
        "SittingDown 2": "SittingDown",
    }  # fmt: skip
    assert len(h36m.ACTIONS) == 15
    assert all(h36m.action_of(action) == action == h36m.action_of(f"{action} 1") for action in h36m.ACTIONS)


def test_joints_are_the_worlds_seen_by_the_camera_in_mm(sequences):
    """x_cam = R(q)^-1 (x_world - t), with the published numbers and SciPy's quaternions."""
    published = json.loads((resources.files("dreampose3d.data") / "h36m_cameras.json").read_text())
    for subject in ("S1", "S11"):
        world = person(30, 50, "WalkingDog", body_size(subject), sum(subject.encode()))
        for number, camera in enumerate(H36M_CAMERAS):
            pose = published["extrinsics"][subject][number]
            turn = Rotation.from_quat(np.roll(pose["orientation"], -1)).inv()  # SciPy's scalar comes last
            seen = turn.apply((world - pose["translation_mm"]).reshape(-1, 3)).reshape(world.shape)
            read = sequences[f"{subject}/WalkingDog/{camera}"].joints_mm
            np.testing.assert_allclose(read, seen, atol=2e-3)  # mm: float32 of 5 m in the file, and of 6 m here


def test_the_cameras_look_at_the_people_and_stand_upright(sequences):
    for sequence in sequences.values():
        assert (sequence.joints_mm[..., 2] > 2000).all()
        head, foot = (sequence.keypoints_px[:, H36M_17.index(joint), 1] for joint in ("head", "right_ankle"))
        assert (head < foot).all()
        assert sequence.camera.up[1] < -0.9
        assert not sequence.camera.assumed


def test_exact_2d_is_the_projected_3d(sequences):
    """The published projection, written out once more in the miniatures, is this camera's."""
    for sequence in sequences.values():
        projected = sequence.camera.project(torch.from_numpy(sequence.joints_mm).double())
        np.testing.assert_allclose(projected, sequence.keypoints_px, atol=FILE_PIXEL, rtol=0)


@pytest.mark.parametrize("subject", ["S1", "S5", "S6", "S7", "S8", "S9", "S11"])
def test_world_to_camera_to_pixels_to_rays_and_back(subject):
    world = torch.from_numpy(person(20, 50, "Walking", body_size(subject)))
    for camera in h36m.cameras(subject).values():
        assert any(camera.distortion)
        inside = camera.to_camera(world)
        pixels = camera.project(inside)
        rays = camera.rays(pixels)
        torch.testing.assert_close(camera.pixels(rays), pixels, atol=PIXEL, rtol=0)
        back = camera.to_world(torch.cat((rays, torch.ones_like(rays[..., :1])), -1) * inside[..., 2:])
        torch.testing.assert_close(back, world, atol=1e-6, rtol=0)  # mm
        torch.testing.assert_close(camera.project(camera.to_camera(back)), pixels, atol=PIXEL, rtol=0)


def test_all_over_the_image_pixels_return_from_their_rays():
    for camera in h36m.cameras("S1").values():
        pixels = torch.cartesian_prod(torch.linspace(0, 1000, 11), torch.linspace(0, 1000, 11)).double()
        torch.testing.assert_close(camera.pixels(camera.rays(pixels)), pixels, atol=PIXEL, rtol=0)


def test_the_lens_is_the_published_formula_not_opencvs():
    """u (1 + k1 r^2 + k2 r^4 + k3 r^6 + p.u) + p r^2, by hand."""
    lens = json.loads((resources.files("dreampose3d.data") / "h36m_cameras.json").read_text())["intrinsics"][2]
    x, y = 0.3, -0.2
    (k1, k2, k3), (p1, p2), r2 = lens["radial"], lens["tangential"], 0.13
    factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * x + p2 * y
    expected = np.array((x * factor + p1 * r2, y * factor + p2 * r2)) * lens["focal_px"] + lens["center_px"]
    pixels = h36m.cameras("S1")["58860488"].pixels(torch.tensor([x, y], dtype=torch.float64))
    np.testing.assert_allclose(pixels, expected, atol=1e-9)


@pytest.mark.parametrize("joint", [name for name in H36M_NAMES if name != "pelvis"])
def test_each_joint_lands_on_its_name(tmp_path, joint):
    """One bone alone is turned by a radian: only what hangs on it moves, in 3D and 2D, in every camera."""
    parent = H36M_NAMES[PARENTS[H36M_NAMES.index(joint)]]
    still, bent = figure(1), figure(1, {parent: np.ones(1)})
    poses = np.concatenate((still, bent))
    write_h36m(tmp_path, ("S1",), ("Posing",), motion=lambda subject, action: poses)
    moved = set(H36M_17.subtree(parent)) - {H36M_17.index(parent)}
    assert H36M_17.index(joint) in moved
    for sequence in h36m.read(tmp_path):
        shift_mm = np.linalg.norm(np.diff(sequence.joints_mm, axis=0)[0], axis=-1)
        shift_px = np.linalg.norm(np.diff(sequence.keypoints_px, axis=0)[0], axis=-1)
        expected = np.linalg.norm(bent - still, axis=-1)[0]
        np.testing.assert_allclose(shift_mm, expected, atol=2e-3)
        still_px = [i for i in range(17) if i not in moved]
        assert (shift_px[still_px] < FILE_PIXEL).all()
        assert shift_px[H36M_17.index(joint)] > 1


def test_left_and_right_are_the_persons_own(tmp_path):
    """Facing +y, with z up, a person's right hand is at +x."""
    write_h36m(tmp_path, ("S1",), ("Posing",), motion=lambda subject, action: figure(3))
    for sequence in h36m.read(tmp_path):
        world = sequence.camera.to_world(torch.from_numpy(sequence.joints_mm).double()).numpy()
        assert (world[:, list(H36M_17.right), 0] > 0).all()
        assert (world[:, list(H36M_17.left), 0] < 0).all()


def test_detections_are_cut_to_the_frames_that_have_3d(folder, sequences):
    raw = load(folder, "data_2d_h36m_cpn_ft_h36m_dbb.npz", "positions_2d")
    assert len(raw["S9"]["Directions 1"][0]) == 33
    for sequence in h36m.read(folder, "test", "cpn_ft_h36m_dbb"):
        subject, recording, camera = sequence.name.split("/")
        assert len(sequence) == 30
        expected = raw[subject][recording][H36M_CAMERAS.index(camera)][:30]
        np.testing.assert_array_equal(sequence.keypoints_px, expected)
        exact = sequences[sequence.name]
        assert 2 < np.median(np.abs(sequence.keypoints_px - exact.keypoints_px)) < 4  # 4 px: 2.7 px in the median
        np.testing.assert_array_equal(sequence.joints_mm, exact.joints_mm)


def test_coco_detections_are_converted_by_name(tmp_path, folder):
    """Detectron's file has as many joints, but COCO's: its sides tell."""
    rng = np.random.default_rng(0)
    copy(folder, tmp_path)
    exact = load(folder, "data_2d_h36m_gt.npz", "positions_2d")
    _, hip, knee = COCO_17.index("nose"), COCO_17.index("left_hip"), COCO_17.index("right_knee")
    coco = {s: {a: [in_coco(view, rng) for view in views] for a, views in r.items()} for s, r in exact.items()}
    np.savez(
        tmp_path / "data_2d_h36m_detectron_pt_coco.npz", positions_2d=coco,
        metadata={"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[*COCO_17.left], [*COCO_17.right]]},
    )  # fmt: skip
    for sequence in h36m.read(tmp_path, "val", "detectron_pt_coco"):
        subject, recording, camera = sequence.name.split("/")
        seen = coco[subject][recording][H36M_CAMERAS.index(camera)]
        assert sequence.skeleton == H36M_17
        for theirs, ours in ((hip, "left_hip"), (knee, "right_knee")):
            np.testing.assert_array_equal(sequence.keypoints_px[:, H36M_17.index(ours)], seen[:, theirs, :2])
            np.testing.assert_array_equal(sequence.confidence[:, H36M_17.index(ours)], seen[:, theirs, 2])


def in_coco(view, rng):
    """Keypoints with confidence as Detectron's file has them; the face at the head."""
    seen = np.repeat(view[:, H36M_17.index("neck"), None], 17, 1)
    for place, name in enumerate(COCO_17.joints):
        if name in H36M_17.joints:
            seen[:, place] = view[:, H36M_17.index(name)]
    return np.concatenate((seen, rng.uniform(0.5, 1, (*seen.shape[:2], 1))), -1).astype(np.float32)


def test_a_file_that_pickles_code_is_refused(tmp_path, folder):
    copy(folder, tmp_path)

    class Hostile:
        def __reduce__(self):
            return print, ("the pickle ran",)

    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d={"S1": Hostile()})
    with pytest.raises(RefusedPickleError, match=r"data_3d_h36m.npz, positions_3d: its pickle asks for .*print, which"):
        list(h36m.read(tmp_path))


def each_3d(change):
    return lambda world, views, about: {s: {a: change(x) for a, x in r.items()} for s, r in world.items()}


def each_2d(change):
    def changed(world, views, about):
        for recordings in views.values():
            for key in recordings:
                recordings[key] = change(recordings[key])

    return changed


def told(change):
    return lambda world, views, about: about.update(change)


def without(key, *, of):
    """Take an entry away from one of the file's dictionaries, the first of its subjects for "recordings"."""

    def changed(world, views, about):
        {"views": views, "recordings": views.get("S1"), "about": about}[of].pop(key)

    return changed


SWAP_SIDES = H36M_17.mirror
MALFORMED = {
    # what is wrong with the 3D
    "an array instead of subjects": (lambda w, v, a: np.zeros((3, 32, 3)), "dictionary of subjects, got an array"),
    "no subjects": (lambda w, v, a: {}, "a dictionary of subjects, got an empty dict"),
    "numbered subjects": (lambda w, v, a: {1: w["S1"]}, "subjects, got a dict whose keys are no names"),
    "no recordings": (lambda w, v, a: {"S1": {}}, "S1: expected a dictionary of recordings, got an empty dict"),
    "a list of recordings": (lambda w, v, a: {"S1": [1]}, "S1: expected a dictionary of recordings, got a list"),
    "17 joints": (each_3d(lambda x: x[:, :17]), r"shape \(frames, 32, 3\), got \(20, 17, 3\): 17 joints instead of 32"),
    "16 joints": (each_3d(lambda x: x[:, :16]), r"got \(20, 16, 3\): 16 joints instead of 32, so another skeleton"),
    "3D transposed": (each_3d(lambda x: x.transpose(0, 2, 1)), r"got \(20, 3, 32\): the axes are in another order"),
    "3D frames last": (each_3d(lambda x: x.transpose(1, 2, 0)), r"got \(32, 3, 20\): the axes are in another order"),
    "3D flat": (each_3d(lambda x: x.reshape(len(x), -1)), r"expected shape \(frames, 32, 3\), got \(20, 96\)"),
    "3D without frames": (each_3d(lambda x: x[:0]), r"got \(0, 32, 3\): there are no frames"),
    "2D in the place of 3D": (each_3d(lambda x: x[..., :2]), r"got \(20, 32, 2\)"),
    "3D as text": (each_3d(lambda x: x.astype(str)), r"numbers of shape \(frames, 32, 3\), got an array of <U"),
    "3D as whole numbers": (each_3d(lambda x: x.astype(int)), "expected numbers .* got an array of int64"),
    "3D as a list": (each_3d(lambda x: x.tolist()), "expected numbers .* got a list"),
    "3D as objects": (each_3d(lambda x: x.astype(object)), "expected numbers .* got an array of object"),
    "NaN in 3D": (each_3d(lambda x: broken(x, np.nan)), r"finite 3D joints, frame 4 holds NaN .* \(1 of 20 "),
    "infinity in 3D": (each_3d(lambda x: broken(x, np.inf)), "finite 3D joints, frame 4 holds NaN or infinity"),
    "millimetres": (each_3d(lambda x: 1000 * x), r"legs of 450 to 1400 mm, got .* another one: multiply by 0\.001"),
    "centimetres": (each_3d(lambda x: 100 * x), r"the unit is another one: multiply by 0\.01"),
    "kilometres": (each_3d(lambda x: x / 1000), r"the unit is another one: multiply by 1000"),
    "all zero": (each_3d(lambda x: 0 * x), "expected legs of 450 to 1400 mm, got 0 mm$"),
    "root-relative": (each_3d(lambda x: x - x[:, :1]), "path of the pelvis, but it is always at zero"),
    "y up": (each_3d(lambda x: x[..., [0, 2, 1]]), "2D within 5 px .* not in the world|lies behind this camera"),
    "z down": (each_3d(lambda x: x * np.float32((1, 1, -1))), "2D within 5 px .* not in the world's frame"),
    "sides swapped in 3D": (each_3d(lambda x: swapped(x)), "2D within 5 px .* swapped sides"),
    "far away": (each_3d(lambda x: x + np.float32((0, 50, 0))), "lies behind this camera|2D within 5 px"),
    "unknown subject": (lambda w, v, a: renamed(w, v, "S2"), r"a subject of S1, S5, S6, S7, S8, S9, S11, got 'S2'"),
    "unknown action": (lambda w, v, a: reacted(w, v, "Juggling 1"), r"a recording of Directions, .*, got 'Juggling 1'"),
    # what is wrong with the 2D
    "2D lacks the subject": (without("S1", of="views"), r"gt 2D: expected an entry 'S1'; it has S9"),
    "2D lacks a recording": (without("Walking", of="recordings"), r"expected an entry 'Walking'; it has Posing"),
    "2D subjects are a list": (lambda w, v, a: v.update(S1=[1]), "expected a dictionary of recordings, got a list"),
    "three cameras": (each_2d(lambda views: views[:3]), "a list of 4 cameras, got 3 list"),
    "five cameras": (each_2d(lambda views: [*views, views[0]]), "a list of 4 cameras, got 5 list"),
    "cameras by name": (each_2d(lambda views: dict(enumerate(views))), "a list of 4 cameras, got 4 dict"),
    "2D is shorter": (each_2d(lambda views: [v[:-1] for v in views]), "2D for each of the 20 frames of the 3D, got 19"),
    "16 joints in 2D": (each_2d(lambda views: [v[:, :16] for v in views]), r"16 joints instead of 17, so another"),
    "2D transposed": (each_2d(lambda views: [v.transpose(0, 2, 1) for v in views]), "the axes are in another order"),
    "2D frames last": (each_2d(lambda views: [v.transpose(1, 2, 0) for v in views]), "the axes are in another order"),
    "2D with four channels": (each_2d(lambda views: [np.tile(v, 2) for v in views]), r"got \(20, 17, 4\)$"),
    "2D as text": (each_2d(lambda views: [v.astype(str) for v in views]), "expected numbers .*, got an array of <"),
    "2D without frames": (each_2d(lambda views: [v[:0] for v in views]), "there are no frames"),
    "2D normalised": (each_2d(lambda views: [v / 500 - 1 for v in views]), "in pixels, got values .* normalised"),
    "2D all NaN": (each_2d(lambda views: [v * np.nan for v in views]), "in pixels, none is a finite number"),
    "2D relative to the box": (each_2d(lambda views: [v - v[:, :1] for v in views]), "2D within 5 px"),
    "x and y swapped": (each_2d(lambda views: [v[..., ::-1] for v in views]), "2D within 5 px"),
    "image mirrored": (each_2d(lambda views: [v * (-1, 1) + (1000, 0) for v in views]), "2D within 5 px .* swapped"),
    "sides swapped in 2D": (each_2d(lambda views: [v[:, SWAP_SIDES] for v in views]), "2D within .* swapped sides"),
    "other camera order": (each_2d(lambda views: views[::-1]), "another order of the cameras"),
    "another image size": (each_2d(lambda views: [v / 2 for v in views]), "2D within 5 px"),
    # what is wrong with what the file says of itself
    "16 joints told": (told({"num_joints": 16, "keypoints_symmetry": [[3, 4], [1, 2]]}), "h36m_17 or coco_17, got 16"),
    "sides swapped as told": (
        told({"keypoints_symmetry": [[1, 2, 3, 14, 15, 16], [4, 5, 6, 11, 12, 13]]}),
        "left and right of h36m_17 are swapped; swap keypoints_symmetry",
    ),
    "COCO's sides swapped": (
        told({"keypoints_symmetry": [[*COCO_17.right], [*COCO_17.left]]}), "left and right of coco_17 are swapped"
    ),
    "no sides": (without("keypoints_symmetry", of="about"), "expected an entry 'keypoints_symmetry'"),
    "nothing told": (lambda w, v, a: a.clear(), "a dictionary of num_joints and keypoints_symmetry, got an empty"),
    "sides are no lists": (told({"keypoints_symmetry": 5}), "with left and right 5; convert them first"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_file_is_refused_in_words(tmp_path, damage, words):
    write_h36m(tmp_path, ("S1", "S9"), ("Walking", "Posing"), frames=20)
    world = load(tmp_path, "data_3d_h36m.npz", "positions_3d")
    views = load(tmp_path, "data_2d_h36m_gt.npz", "positions_2d")
    about = load(tmp_path, "data_2d_h36m_gt.npz", "metadata")
    returned = damage(world, views, about)
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=world if returned is None else returned)
    np.savez(tmp_path / "data_2d_h36m_gt.npz", positions_2d=views, metadata=about)
    with pytest.raises(ValueError, match=words):
        list(h36m.read(tmp_path))


def broken(joints, value):
    joints = joints.copy()
    joints[4, 2] = value
    return joints


def swapped(joints):
    joints = joints.copy()
    joints[:, H36M_32] = joints[:, H36M_32][:, SWAP_SIDES]
    return joints


def renamed(world, views, name):
    views[name] = views.pop("S1")
    return {name: world["S1"]}


def reacted(world, views, name):
    views["S1"][name] = views["S1"]["Walking"]
    return {"S1": {name: world["S1"]["Walking"]}}


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("data_3d_h36m.npz", None, "no such file: .*data_3d_h36m.npz"),
        ("data_3d_h36m.npz", b"", "data_3d_h36m.npz is not an npz file or is cut off"),
        ("data_3d_h36m.npz", "half", "data_3d_h36m.npz is not an npz file or is cut off .* download it again"),
        ("data_3d_h36m.npz", {"positions": {}}, "expected an array 'positions_3d'; the file holds positions"),
        ("data_3d_h36m.npz", {"positions_3d": np.zeros(3)}, "dictionary of subjects, got an array of float64"),
        ("data_2d_h36m_gt.npz", None, "has no data_2d_h36m_gt.npz; its 2D is cpn_ft_h36m_dbb"),
        ("data_2d_h36m_gt.npz", "half", "data_2d_h36m_gt.npz is not an npz file or is cut off"),
        ("data_2d_h36m_gt.npz", b"<html>", "data_2d_h36m_gt.npz is not an npz file"),
        ("data_2d_h36m_gt.npz", {"positions_2d": {"S1": {}}}, "an array 'metadata'; the file holds positions_2d"),
        ("data_2d_h36m_gt.npz", {"metadata": {}}, "expected an array 'positions_2d'; the file holds metadata"),
    ],
)  # fmt: skip
def test_a_file_that_is_missing_or_cut_off_is_named(tmp_path, folder, file, content, words):
    copy(folder, tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    elif isinstance(content, dict):
        np.savez(tmp_path / file, **content)
    else:
        whole = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        list(h36m.read(tmp_path))


def test_recognises_nothing_else(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", keypoints_px=np.zeros((2, 17, 2)))
    with zipfile.ZipFile(tmp_path / "data_3d_h36m.npz", "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    for path in ("text.npz", "other.npz", "data_3d_h36m.npz", ".", "missing"):
        assert not h36m.recognises(tmp_path / path)


def test_the_quaternions_of_the_miniatures_are_scipys():
    """The miniatures and the reader each turn quaternions in their own way; both against SciPy."""
    for camera, pose in zip(
        h36m.cameras("S5").values(),
        json.loads((resources.files("dreampose3d.data") / "h36m_cameras.json").read_text())["extrinsics"]["S5"],
        strict=True,
    ):
        theirs = Rotation.from_quat(np.roll(pose["orientation"], -1)).as_matrix()
        np.testing.assert_allclose(quaternion_matrix(pose["orientation"]), theirs, atol=1e-12)
        np.testing.assert_allclose(np.array(camera.rotation), theirs.T, atol=1e-12)


def load(folder, file, key):
    with np.load(folder / file, allow_pickle=True) as arrays:
        return arrays[key].item()


def copy(source, target):
    for file in source.glob("*.npz"):
        (target / file.name).write_bytes(file.read_bytes())

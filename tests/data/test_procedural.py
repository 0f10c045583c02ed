import pytest
import torch
from tests.motion import walker

from dreampose3d.data.anatomy import illegal
from dreampose3d.data.augment import PoseAugmentation, augment_poses
from dreampose3d.data.body import from_bones, to_bones, trunk_frame
from dreampose3d.data.procedural import FLOOR_MM, LYING, invent_motion
from dreampose3d.skeleton import H36M_17


@pytest.fixture(scope="module")
def recorded():
    return torch.stack([torch.from_numpy(walker(60, seed=seed)) for seed in range(200)]).double()


def invented(recorded, seed=0):
    generator = torch.Generator().manual_seed(seed)
    time_s = (torch.arange(60) / 40).double().expand(len(recorded), 60)
    return invent_motion(recorded, to_bones(recorded, H36M_17), time_s, generator, H36M_17)


def test_invented_motion_has_the_windows_bones_and_only_legal_poses(recorded):
    bones, _ = invented(recorded)
    assert bones.isfinite().all()
    lengths = to_bones(recorded, H36M_17).norm(dim=-1).mean(1, keepdim=True)
    torch.testing.assert_close(bones.norm(dim=-1), lengths.expand(-1, 60, -1), atol=1e-6, rtol=0)
    trunk = H36M_17.indices("neck", "head")  # whose directions the walker's own chest decides
    wrong = illegal(bones)
    wrong[..., trunk] = False
    assert not wrong.any()


def test_bodies_stand_on_the_floor_and_most_are_upright(recorded):
    bones, path = invented(recorded)
    joints = from_bones(path, bones, H36M_17)
    torch.testing.assert_close(joints[..., 2].amin(-1), torch.full((200, 60), FLOOR_MM).double(), atol=1e-6, rtol=0)
    upright = trunk_frame(joints, "hip", H36M_17)[..., 2, 1].mean(1)
    assert float((upright > 0.8).double().mean()) == pytest.approx(1 - LYING, abs=0.12)
    assert float((upright < 0).double().mean()) > 0.05
    standing = joints[upright > 0.95]
    ankles = standing[..., H36M_17.indices("left_ankle", "right_ankle"), 2].amin(-1)
    assert float((ankles < FLOOR_MM + 1).double().mean()) > 0.85, "on their feet"


def test_left_is_left_and_faces_go_everywhere(recorded):
    bones, _ = invented(recorded)
    joints = from_bones(torch.zeros(200, 60, 1, 3).double(), bones, H36M_17)
    frame = trunk_frame(joints, "hip", H36M_17)
    torch.testing.assert_close(torch.linalg.det(frame), torch.ones(200, 60).double())
    bent = joints[:, :, H36M_17.index("left_ankle")] - joints[:, :, H36M_17.index("left_knee")]
    forward = (bent[..., None, :] @ frame)[..., 0, 2]
    thigh = joints[:, :, H36M_17.index("left_knee")] - joints[:, :, H36M_17.index("left_hip")]
    assert float((forward < (thigh[..., None, :] @ frame)[..., 0, 2]).double().mean()) > 0.8, "knees bend backwards"
    heading = frame[:, 0, :2, 2].mean(0).norm()
    assert float(heading) < 0.2


def test_it_moves_as_people_do_and_smoothly(recorded):
    """At 40 frames/s: peaks of a few m/s; a frame's change of speed is a small part of its speed."""
    bones, _ = invented(recorded)
    joints = from_bones(torch.zeros(200, 60, 1, 3).double(), bones, H36M_17)
    step = joints.diff(dim=1).norm(dim=-1).amax((1, 2))
    assert 20 < float(step.median()) < 150, "mm a frame"
    assert float(joints.diff(dim=1, n=2).norm(dim=-1).mean()) < 0.35 * float(joints.diff(dim=1).norm(dim=-1).mean())


def test_a_share_of_windows_is_invented_and_seeded(recorded):
    plain = PoseAugmentation(0, 0, 0, tilt_limbs=0, lean=0, topple=0, bone_scale=0, body_scale=0, hip_scale=0)
    config = PoseAugmentation(**plain.__dict__ | {"invented": 0.3})
    made, again = (augment_poses(recorded, torch.Generator().manual_seed(1), config) for _ in range(2))
    assert torch.equal(made, again)
    kept = torch.isclose(made[:, :, 0, 1:], recorded[:, :, 0, 1:], atol=1e-6).flatten(1).all(1)
    assert float((~kept).double().mean()) == pytest.approx(0.3, abs=0.08)

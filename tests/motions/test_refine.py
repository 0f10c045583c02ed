"""Everything together on a lifted walk with its faults: what each option does, what is recorded, what is left alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.bodies import lifted
from tests.motion import walker

from dreampose3d.camera import Camera
from dreampose3d.metrics import bone_length_spread
from dreampose3d.motion.refine import Refinement, refine
from dreampose3d.motion.scale import body_height
from dreampose3d.motion.world import Ground
from dreampose3d.skeleton import H36M_17

FRAMES = 80
WORLD = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))


@pytest.fixture
def motion():
    """A walker 4 m away, whose lifted joints are 20 mm off, as are his hypotheses'."""
    rng = np.random.default_rng(0)
    world = torch.from_numpy(walker(FRAMES).astype(np.float64))
    camera = replace(Camera.from_fov((1000, 1000), 60), rotation=WORLD, position_mm=(0.0, -5000.0, 1000.0))
    exact = lifted(camera.to_camera(world).numpy())
    noise = rng.normal(0, 20, (3, *exact.root_relative_mm.shape)).astype(np.float32)
    noise[:, :, 0] = 0
    poses = exact.root_relative_mm + noise
    return replace(exact, root_relative_mm=poses.mean(0), hypotheses_mm=poses, meta={"weights": "small"})


def test_nothing_asked_for_places_the_root_and_changes_no_pose(motion):
    refined = refine(motion)
    np.testing.assert_array_equal(refined.root_relative_mm, motion.root_relative_mm)
    assert refined.camera == motion.camera
    assert np.linalg.norm(refined.root_mm - motion.root_mm, axis=-1).max() < 60
    done = refined.meta["refined"]
    assert done["ground"] is None
    assert done["bone_spread_mm"]["before"] == done["bone_spread_mm"]["after"]
    assert refined.meta["weights"] == "small"
    assert "refined" not in motion.meta


def test_everything_asked_for_is_done_and_recorded(motion):
    options = Refinement(height_m=1.9, smooth_hz=6, bones="symmetric", up=(0, -1, 0), floor_m=1.0, plant_feet=True)
    refined = refine(motion, options)
    assert refined.root_relative_mm.dtype == refined.root_mm.dtype == refined.hypotheses_mm.dtype == np.float32
    np.testing.assert_allclose(refined.root_relative_mm[:, 0], 0, atol=1e-3)
    spread = bone_length_spread(torch.from_numpy(refined.root_relative_mm).double(), H36M_17)
    assert spread.max() < 0.01  # mm
    assert bone_length_spread(torch.from_numpy(refined.hypotheses_mm).double(), H36M_17).max() < 0.01
    assert body_height(refined.root_relative_mm, H36M_17) == pytest.approx(1900, rel=0.03)
    assert refined.camera.up == pytest.approx((0, -1, 0))
    assert refined.camera.position_mm == pytest.approx((0, 0, 1000))
    done = refined.meta["refined"]
    assert done["options"]["smooth_hz"] == 6
    assert done["height_m"]["used"] == 1.9
    assert done["ground"]["source"].startswith("up given; height of the camera given")
    assert max(done["bone_spread_mm"]["before"].values()) > 5 > max(done["bone_spread_mm"]["after"].values())
    peaks = done["peak_speed_m_per_s"]
    assert peaks["after"]["left_wrist"] < peaks["before"]["left_wrist"]
    sliding = done["foot_sliding_mm_per_s"]
    assert sliding["before"] is None or sliding["after"] < sliding["before"]
    json.dumps(done, allow_nan=False)


def test_bones_alone_change_bones_alone(motion):
    refined = refine(motion, Refinement(bones="constant"))
    assert bone_length_spread(torch.from_numpy(refined.root_relative_mm).double(), H36M_17).max() < 0.01
    assert np.linalg.norm(refined.root_relative_mm - motion.root_relative_mm, axis=-1).mean() < 20
    assert not refined.camera.posed


def test_a_ground_that_is_given_is_used(motion):
    ground = Ground((0.0, -1.0, 0.0), 1234.0, "measured")
    refined = refine(motion, ground=ground)
    assert refined.camera.position_mm == (0.0, 0.0, 1234.0)
    assert refined.meta["refined"]["ground"]["source"] == "measured"


def test_the_world_asks_for_a_posed_camera(motion):
    world = refine(motion, Refinement(world=True)).camera
    assert world.posed
    for options in (Refinement(up=(0, -1, 0)), Refinement(floor_m=1.2)):
        assert options.finds_world
        assert refine(motion, options).camera.posed
    assert not Refinement(height_m=1.8, bones="constant").finds_world


def test_bad_options_are_refused(motion):
    for options, message in (
        ({"height_m": 185}, "expected a body height in metres"),
        ({"smooth_hz": 0}, "expected --smooth as a cut-off in Hz"),
        ({"floor_m": -1}, "expected --floor as the camera's height"),
        ({"up": (0, 0, 0)}, "expected --up as a direction"),
    ):
        with pytest.raises(ValueError, match=message):
            Refinement(**options)
    with pytest.raises(ValueError, match="expected a cut-off between 0 and 25 Hz"):
        refine(motion, Refinement(smooth_hz=60))
    with pytest.raises(ValueError, match="at least 3 joints"):
        refine(replace(motion, confidence=np.zeros_like(motion.confidence)))

"""Height fixes the scale: everything grows alike, and what is seen stays the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.bodies import body, lifted

from dreampose3d.motion.scale import PROPORTIONS_SHARE, SHARE_OF_HEIGHT, body_height, with_height
from dreampose3d.skeleton import H36M_17


@pytest.fixture
def motion():
    poses = np.stack([body({"hip_flexion": angle}) for angle in range(30)]) * (1, -1, -1)
    return lifted(poses + np.array((200, 0, 4000)))


def test_the_motion_gets_the_height_and_looks_the_same(motion):
    tall = with_height(motion, 1.98)
    assert body_height(tall.root_relative_mm, H36M_17) == pytest.approx(1980, rel=1e-5)
    scale = 1980 / body_height(motion.root_relative_mm, H36M_17)
    np.testing.assert_allclose(tall.root_mm, scale * motion.root_mm, rtol=1e-5)
    np.testing.assert_allclose(tall.spread_mm, scale * motion.spread_mm, rtol=1e-5)
    seen = tall.camera.project(torch.from_numpy(tall.joints_mm))
    np.testing.assert_allclose(seen, motion.keypoints_px, atol=1e-2)
    assert tall.joints_mm.dtype == np.float32


def test_hypotheses_grow_along(motion):
    many = lifted(motion.joints_mm, hypotheses_mm=np.stack([motion.root_relative_mm] * 2))
    tall = with_height(many, 1.5)
    np.testing.assert_allclose(tall.hypotheses_mm[1], tall.root_relative_mm, rtol=1e-6)


def test_a_known_height_takes_the_unknown_size_out_of_the_spread(motion):
    reach = np.linalg.norm(motion.root_relative_mm, axis=-1)
    of_pose, unknown = np.full_like(reach, 20), 0.054
    spread = np.sqrt(of_pose**2 + (unknown * reach) ** 2)
    known = with_height(replace(motion, spread_mm=spread, meta={"spread_size_share": unknown}), 1.7)
    scale = 1700 / body_height(motion.root_relative_mm, H36M_17)
    np.testing.assert_allclose(known.spread_mm, scale * np.hypot(of_pose, PROPORTIONS_SHARE * reach), rtol=1e-5)
    again = with_height(known, 1.7)
    np.testing.assert_allclose(again.spread_mm, known.spread_mm, rtol=1e-5)
    assert known.meta["spread_size_share"] == again.meta["spread_size_share"] == PROPORTIONS_SHARE


def test_height_is_what_the_joints_of_an_upright_body_add_up_to():
    upright = body({"knee_flexion": 0})
    head, ankle = (upright[H36M_17.index(joint), 1] for joint in ("head", "left_ankle"))
    assert body_height(upright[None], H36M_17) == pytest.approx((head - ankle) / SHARE_OF_HEIGHT)
    bent = body({"knee_flexion": 100, "hip_flexion": 80, "trunk_flexion": 50, "head_flexion": 40})
    assert body_height(bent[None], H36M_17) == pytest.approx(body_height(upright[None], H36M_17))


@pytest.mark.parametrize("height_m", [185.0, 1850.0, 0.0, -1.8, float("nan")])
def test_a_height_that_is_not_in_metres_is_refused(motion, height_m):
    with pytest.raises(ValueError, match=r"expected a body height in metres, such as 1\.85, got"):
        with_height(motion, height_m)

"""The laws of the aggregations, and the trap that the oracles are."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.oracles import slow_j_agg

from dreampose3d.hypotheses import j_agg, j_agg_given_root, l_agg, oracle_j_best, oracle_p_best, p_agg
from dreampose3d.metrics import mpjpe
from dreampose3d.skeleton import H36M_17
from dreampose3d.trajectory import estimate_root

J = H36M_17.num_joints
H, N = 20, 400


def standing(frames: int, generator: torch.Generator) -> torch.Tensor:
    """Root-relative joints (N, J, 3) of about human size, mm."""
    joints = 400 * torch.randn(frames, J, 3, generator=generator).clamp(-2, 2)
    joints[:, 0] = 0
    return joints


def noise_like(joints: torch.Tensor, sigma_mm: float, generator: torch.Generator) -> torch.Tensor:
    """White noise on every joint but the root."""
    noise = sigma_mm * torch.randn(joints.shape, generator=generator)
    noise[..., 0, :] = 0
    return noise


def project(joints: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    placed = joints + root[..., None, :]
    return placed[..., :2] / placed[..., 2:]


@pytest.fixture(scope="module")
def scene() -> dict[str, torch.Tensor]:
    """20 copies, each with 5 mm of white noise per axis, of one prediction that is 40 mm off; 4 m away."""
    generator = torch.Generator().manual_seed(0)
    true = standing(N, generator)
    error = noise_like(true, 25.0, generator)
    single = true + error * (40 / mpjpe(error, torch.zeros_like(error)).mean())
    root = torch.tensor((200.0, -100.0, 4000.0)).expand(N, 3)
    return {
        "true": true,
        "single": single,
        "copies": single + noise_like(single.expand(H, N, J, 3), 5.0, generator),
        "root": root,
        "rays": project(true, root),
        "noisy_rays": project(true, root) + 0.008 * torch.randn(N, J, 2, generator=generator),
        "confidence": torch.ones(N, J),
    }


def test_the_mean_of_hypotheses_is_p_agg():
    hypotheses = torch.stack((torch.zeros(N, J, 3), torch.full((N, J, 3), 10.0)))
    assert p_agg(hypotheses).unique().tolist() == [5]


def every_aggregation(hypotheses: torch.Tensor, scene: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    rays, confidence, root, true = scene["rays"], scene["confidence"], scene["root"], scene["true"]
    return {
        "P-Agg": p_agg(hypotheses),
        "J-Agg, estimated root": j_agg(hypotheses, rays, confidence),
        "J-Agg, true root (oracle)": j_agg_given_root(hypotheses, root, rays, confidence),
        "P-Best (oracle)": oracle_p_best(hypotheses, true),
        "J-Best (oracle)": oracle_j_best(hypotheses, true),
    }


def test_one_hypothesis_is_returned_as_it_is_by_every_aggregation(scene):
    for name, pose in every_aggregation(scene["copies"][:1], scene).items():
        torch.testing.assert_close(pose, scene["copies"][0], atol=0, rtol=0, msg=name)


def test_the_order_of_hypotheses_changes_nothing(scene):
    shuffled = scene["copies"][torch.randperm(H, generator=torch.Generator().manual_seed(5))]
    before, after = every_aggregation(scene["copies"], scene), every_aggregation(shuffled, scene)
    for name, pose in before.items():
        rounding = 1e-3 if name == "P-Agg" else 0  # mm: the mean adds in another order
        torch.testing.assert_close(after[name], pose, atol=rounding, rtol=0, msg=name)


def test_the_truth_among_the_hypotheses_is_returned_for_exact_2d(scene):
    hypotheses = torch.cat((scene["copies"], scene["true"][None])).double()
    exact = scene | {"rays": project(scene["true"].double(), scene["root"])}
    for name, pose in every_aggregation(hypotheses, exact).items():
        if name != "P-Agg":
            torch.testing.assert_close(pose, scene["true"].double(), atol=0, rtol=0, msg=name)


def test_the_oracles_order(scene):
    """J-Best <= P-Best <= every single hypothesis, by construction, in every pose."""
    error = {name: mpjpe(pose, scene["true"]) for name, pose in every_aggregation(scene["copies"], scene).items()}
    assert (error["J-Best (oracle)"] <= error["P-Best (oracle)"]).all()
    assert (error["P-Best (oracle)"] <= mpjpe(scene["copies"], scene["true"])).all()


def test_p_best_returns_whole_hypotheses_chosen_per_pose(scene):
    best = oracle_p_best(scene["copies"], scene["true"])
    from_one = (best == scene["copies"]).all((-2, -1))  # H N
    assert (from_one.sum(0) == 1).all()
    assert from_one.any(1).sum() > 1  # not one hypothesis for the whole clip


@pytest.mark.parametrize("given", [True, False])
def test_j_agg_equals_its_twin(scene, given):
    frames, generator = slice(0, 6), torch.Generator().manual_seed(4)
    hypotheses, rays = scene["copies"][:, frames], scene["noisy_rays"][frames]
    confidence = torch.rand(6, J, generator=generator)
    if given:
        roots = scene["root"][frames].expand(H, 6, 3)
        fast = j_agg_given_root(hypotheses, roots[0], rays, confidence)
    else:
        roots = estimate_root(hypotheses, rays, confidence)
        fast = j_agg(hypotheses, rays, confidence)
    slow = slow_j_agg(hypotheses.numpy(), roots.numpy(), rays.numpy(), confidence.numpy())
    np.testing.assert_allclose(fast.numpy(), slow, atol=1e-3)  # mm


def test_uncertain_and_missing_joints_take_the_mean(scene):
    rays, confidence = scene["rays"].clone(), scene["confidence"].clone()
    confidence[:, 3] = 0.29
    rays[:, 6] = math.nan
    pose, mean = j_agg(scene["copies"], rays, confidence), p_agg(scene["copies"])
    torch.testing.assert_close(pose[:, [3, 6]], mean[:, [3, 6]], atol=0, rtol=0)
    assert (pose[:, 4] != mean[:, 4]).any(-1).all()


def test_a_clip_whose_2d_places_no_root_takes_the_mean(scene):
    unseen = torch.zeros(N, J)
    pose = j_agg(scene["copies"], scene["rays"], unseen)
    torch.testing.assert_close(pose, p_agg(scene["copies"]), atol=0, rtol=0)


def test_a_hypothesis_behind_the_camera_is_not_chosen(scene):
    behind = scene["true"] - 2 * (scene["true"] + scene["root"][:, None])  # the same rays, mirrored in the camera
    hypotheses = torch.stack((behind, scene["copies"][0]))
    pose = j_agg_given_root(hypotheses, scene["root"], scene["rays"], scene["confidence"])
    torch.testing.assert_close(pose, scene["copies"][0], atol=0, rtol=0)
    lost = j_agg_given_root(behind.expand(2, N, J, 3), scene["root"], scene["rays"], scene["confidence"])
    torch.testing.assert_close(lost, behind, atol=1e-2, rtol=0)  # none in front: the mean, of two equal ones


@pytest.fixture(scope="module")
def trap(scene) -> dict[str, float]:
    """MPJPE in mm, averaged over the frames."""

    def error(pose: torch.Tensor) -> float:
        return mpjpe(pose, scene["true"]).mean().item()

    noisy = scene | {"rays": scene["noisy_rays"]}
    rows = {"the predictor": error(scene["single"]), "one noisy copy": error(scene["copies"][0])}
    rows |= {name: error(pose) for name, pose in every_aggregation(scene["copies"], scene).items()}
    for name, pose in every_aggregation(scene["copies"], noisy).items():
        if name.startswith("J-Agg"):
            rows[f"{name}, noisy 2D"] = error(pose)
    fitted = project(scene["single"], scene["root"])
    rows["J-Agg, estimated root, 2D that the predictor fits"] = error(
        j_agg(scene["copies"], fitted, scene["confidence"])
    )
    return rows


def test_noise_buys_the_oracles_and_nothing_else(trap):
    """White noise carries no knowledge: a measure that it improves cannot be a result."""
    start = trap["the predictor"]
    assert start == pytest.approx(40, abs=1e-3)
    assert trap["J-Best (oracle)"] < start - 5
    assert start - 2 < trap["P-Best (oracle)"] < start - 1
    assert trap["P-Agg"] == pytest.approx(start, abs=0.2)
    assert trap["one noisy copy"] > start + 0.3


def test_j_agg_reads_the_2d_and_is_worth_what_the_2d_is_worth(trap):
    """Exact 2D is two thirds of the truth: J-Agg falls by reading it, from the true root and from the estimated one."""
    start = trap["the predictor"]
    for root in ("J-Agg, estimated root", "J-Agg, true root (oracle)"):
        assert trap[root] < start - 2
        assert trap[f"{root}, noisy 2D"] > trap[root] + 1
    assert trap["J-Agg, estimated root, 2D that the predictor fits"] == pytest.approx(start, abs=0.5)


def test_the_table_in_the_docs_is_the_one_measured_here(trap):
    page = (Path(__file__).parents[1] / "docs" / "oracles.md").read_text()
    table = {
        name.strip(): float(value) for name, value in re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", page, re.MULTILINE)
    }
    assert table == pytest.approx(trap, abs=0.06)  # mm: rounded to 0.1


def test_l_agg_lies_between_p_agg_and_j_agg(scene):
    given = (scene["copies"], scene["noisy_rays"], scene["confidence"])
    torch.testing.assert_close(l_agg(*given, std=1e4), p_agg(scene["copies"]))
    torch.testing.assert_close(l_agg(*given, std=1e-9), j_agg(*given))
    between = l_agg(*given)
    assert mpjpe(between, p_agg(scene["copies"])).mean() < mpjpe(j_agg(*given), p_agg(scene["copies"])).mean()


def test_l_agg_does_not_mind_the_order_and_keeps_a_single_hypothesis(scene):
    copies, rays, confidence = scene["copies"], scene["noisy_rays"], scene["confidence"]
    order = torch.randperm(H, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(l_agg(copies[order], rays, confidence), l_agg(copies, rays, confidence))
    torch.testing.assert_close(l_agg(copies[:1], rays, confidence), copies[0])


def test_l_agg_weighs_by_the_normal_density(scene):
    """One joint of one frame by hand."""
    copies, rays, confidence = scene["copies"][:2, :1], scene["noisy_rays"][:1], torch.full((1, J), 0.5)
    placed = copies + estimate_root(copies, rays, confidence)[:, :, None]
    size = float((rays[0] - rays[0].mean(0)).square().sum(-1).mean().sqrt())
    misses = [math.dist(placed[h, 0, 4, :2] / placed[h, 0, 4, 2], rays[0, 4]) for h in range(2)]
    weight = [math.exp(-0.5 * 0.5 * (miss / (0.02 * size)) ** 2) for miss in misses]
    expected = (weight[0] * copies[0, 0, 4] + weight[1] * copies[1, 0, 4]) / sum(weight)
    torch.testing.assert_close(l_agg(copies, rays, confidence, std=0.02)[0, 4], expected)


def test_l_agg_takes_the_mean_where_the_2d_says_nothing(scene):
    copies, rays, confidence = scene["copies"], scene["noisy_rays"].clone(), scene["confidence"].clone()
    rays[0, 3], confidence[1, 5] = torch.nan, 0
    found, mean = l_agg(copies, rays, confidence), p_agg(copies)
    torch.testing.assert_close(found[0, 3], mean[0, 3])
    torch.testing.assert_close(found[1, 5], mean[1, 5])
    assert not torch.allclose(found[0, 5], mean[0, 5])
    torch.testing.assert_close(l_agg(copies, rays, torch.zeros_like(confidence)), mean)

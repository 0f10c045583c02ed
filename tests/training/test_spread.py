"""The calibrated spread covers what it says it covers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.motion import clip_row, write_set

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.lifting.spread import spread_mm
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.training.spread import COVERAGE, calibrate_spread, fit_spread


@pytest.fixture(scope="module")
def made():
    """Errors of known size: a floor, parts that hypotheses and residual show, and larger ones where joints are lost."""
    generator = torch.Generator().manual_seed(0)
    frames, joints = 4000, 4
    variance = (30 * torch.rand(frames, joints, generator=generator, dtype=torch.float64)) ** 2
    residual = 100 * torch.rand(frames, generator=generator, dtype=torch.float64)
    scale = torch.linspace(0.5, 1.5, joints, dtype=torch.float64)
    sigma = (variance + 20**2 + (0.4 * residual[:, None]) ** 2).sqrt() * scale
    error = sigma * torch.randn(frames, joints, 3, generator=generator, dtype=torch.float64).norm(dim=-1)
    lost = torch.rand(frames, joints, generator=generator) < 0.1
    error = torch.where(lost, 4 * error, error)
    error[:, 0] = 0  # the root
    return error, variance, residual, lost


@pytest.fixture(scope="module")
def table(made):
    return fit_spread(*made)


def test_spread_covers_68_percent_of_each_joint_seen_or_lost(made, table):
    error, variance, residual, lost = made
    inside = (error <= spread_mm(table, variance, residual, lost) + 1e-3).double()
    for joint in range(1, 4):
        assert abs(float(inside[~lost[:, joint], joint].mean()) - COVERAGE) < 0.005
        assert abs(float(inside[lost[:, joint], joint].mean()) - COVERAGE) < 0.06


def test_floor_and_share_are_found_and_lost_joints_are_wider(table):
    assert all(10 < floor < 40 for floor in table["floor_mm"][1:])
    assert all(0.25 <= share <= 0.6 for share in table["residual_share"][1:])
    floors = zip(table["missing_floor_mm"][1:], table["floor_mm"][1:], strict=True)
    assert all(wide > 2 * floor for wide, floor in floors)


def test_doubtful_2d_is_covered_as_well_as_good_2d(made, table):
    """Which one scale for all frames could not do: frames with little and with much residual err unlike."""
    error, variance, residual, lost = made
    inside = (error <= spread_mm(table, variance, residual, lost)).double()
    for frames in (residual < 30, residual > 70):
        assert abs(float(inside[frames, 1:][~lost[frames, 1:]].mean()) - COVERAGE) < 0.04


def test_the_root_has_no_spread(made, table):
    _, *doubt = made
    assert (spread_mm(table, *doubt)[:, 0] == 0).all()


def test_without_lost_joints_the_one_floor_serves_both(made):
    error, variance, residual, lost = made
    table = fit_spread(error, variance, residual, torch.zeros_like(lost))
    assert table["missing_floor_mm"] == table["floor_mm"]


def test_hypotheses_that_coincide_are_no_trouble(made):
    error, variance, residual, lost = made
    table = fit_spread(error, 0 * variance, 0 * residual, lost)
    inside = (error <= spread_mm(table, 0 * variance, 0 * residual, lost) + 1e-2)[:, 1:][~lost[:, 1:]]
    assert float(inside.double().mean()) == pytest.approx(COVERAGE, abs=0.005)


def test_tables_of_older_weights_know_no_residual(made):
    """s_j sqrt(variance + f_j^2), as it was; and without a table the hypotheses' own deviation."""
    _, variance, residual, lost = made
    old = {"scale": [2.0] * 4, "floor_mm": [3.0] * 4, "missing_floor_mm": [50.0] * 4}
    expected = 2 * (variance + torch.where(lost, 50.0, 3.0) ** 2).sqrt()
    torch.testing.assert_close(spread_mm(old, variance, residual, lost), expected)
    torch.testing.assert_close(spread_mm({}, variance, residual, lost), variance.sqrt())


def test_a_weights_file_is_calibrated_in_place(tmp_path):
    """Tiny weights on procedural walkers: its card gains a table that the lifter uses."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_weights(build(tiny()), path, {"step": 3})
    data = write_set(tmp_path / "studio", [clip_row(number, frames=30, split="val") for number in range(3)])
    clips = read_mocap(data, split="val")
    options = LiftOptions(hypotheses=2, steps=1)
    table = calibrate_spread(path, clips, options, frames=12)
    card = load_weights(path).card
    assert card["step"] == 3
    assert {name: card["spread"][name] for name in table} == table
    assert card["spread"]["coverage"] == COVERAGE
    assert [len(values) for values in table.values()] == [17] * 4
    inside = []
    for number, clip in enumerate(clips):
        filmed = list(film_clip(replace(clip, joints_mm=clip.joints_mm[9:21]), "gt"))[number % 4]
        motion = Lifter.load(path, "cpu").lift(filmed.sequence, options)
        true = filmed.joints_mm - filmed.joints_mm[:, :1]
        inside.append((torch.from_numpy(motion.root_relative_mm) - true).norm(dim=-1).numpy() <= motion.spread_mm)
    assert 0.5 < np.concatenate(inside)[:, 1:].mean() < 0.85  # half of what it was fitted on

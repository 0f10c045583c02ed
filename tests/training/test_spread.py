"""The calibrated spread covers what it says it covers."""

import torch

from dreampose3d.training.spread import COVERAGE, fit_spread


def made(frames=4000, joints=4):
    """Errors of known size: a floor, a part that the hypotheses show, and larger ones where joints are lost."""
    generator = torch.Generator().manual_seed(0)
    variance = (30 * torch.rand(frames, joints, generator=generator, dtype=torch.float64)) ** 2
    sigma = (variance + 20**2).sqrt() * torch.linspace(0.5, 1.5, joints, dtype=torch.float64)
    error = sigma * torch.randn(frames, joints, 3, generator=generator, dtype=torch.float64).norm(dim=-1)
    lost = torch.rand(frames, joints, generator=generator) < 0.1
    error = torch.where(lost, 4 * error, error)
    error[:, 0] = 0  # the root
    return error, variance, lost


def spread_of(table, variance, lost):
    scale, floor, missing = (torch.tensor(table[key]) for key in ("scale", "floor_mm", "missing_floor_mm"))
    return scale * (variance + torch.where(lost, missing, floor) ** 2).sqrt()


def test_spread_covers_68_percent_of_each_joint_seen_or_lost():
    error, variance, lost = made()
    table = fit_spread(error, variance, lost)
    inside = (error <= spread_of(table, variance, lost) + 1e-3).double()
    for joint in range(1, 4):
        assert abs(float(inside[~lost[:, joint], joint].mean()) - COVERAGE) < 0.005
        assert abs(float(inside[lost[:, joint], joint].mean()) - COVERAGE) < 0.06


def test_floor_is_found_and_lost_joints_are_wider():
    table = fit_spread(*made())
    assert all(10 < floor < 40 for floor in table["floor_mm"][1:])
    assert all(
        wide > 2 * floor for wide, floor in zip(table["missing_floor_mm"][1:], table["floor_mm"][1:], strict=True)
    )


def test_the_root_has_no_spread():
    table = fit_spread(*made())
    assert [values[0] for values in table.values()] == [0, 0, 0]


def test_without_lost_joints_the_one_floor_serves_both():
    error, variance, lost = made()
    table = fit_spread(error, variance, torch.zeros_like(lost))
    assert table["missing_floor_mm"] == table["floor_mm"]

"""The calibrated spread covers what it says it covers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.motion import clip_row, write_set

from dreampose3d.data.anthropometry import ADULTS_MM
from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.lifting.spread import doubt_of_2d, forgotten, spread_mm
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import load_weights, save_weights
from dreampose3d.motion.bones import bone_lengths
from dreampose3d.skeleton import H36M_17
from dreampose3d.training.spread import COVERAGE, SIZE_SHARE, calibrate_spread, fit_gaps, fit_spread, hide

NONE = torch.zeros(4000, 4, dtype=torch.float64)


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
    inside = (error <= spread_mm(table, variance, residual, lost, NONE, NONE) + 1e-3).double()
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
    inside = (error <= spread_mm(table, variance, residual, lost, NONE, NONE)).double()
    for frames in (residual < 30, residual > 70):
        assert abs(float(inside[frames, 1:][~lost[frames, 1:]].mean()) - COVERAGE) < 0.04


def test_the_root_has_no_spread(made, table):
    _, *doubt = made
    assert (spread_mm(table, *doubt, NONE, NONE)[:, 0] == 0).all()


def test_without_lost_joints_the_one_floor_serves_both(made):
    error, variance, residual, lost = made
    table = fit_spread(error, variance, residual, torch.zeros_like(lost))
    assert table["missing_floor_mm"] == table["floor_mm"]


def test_hypotheses_that_coincide_are_no_trouble(made):
    error, variance, residual, lost = made
    table = fit_spread(error, 0 * variance, 0 * residual, lost)
    inside = (error <= spread_mm(table, 0 * variance, 0 * residual, lost, NONE, NONE) + 1e-2)[:, 1:][~lost[:, 1:]]
    assert float(inside.double().mean()) == pytest.approx(COVERAGE, abs=0.005)


def test_tables_of_older_weights_know_no_residual_no_size_and_no_gaps(made):
    """s_j sqrt(variance + f_j^2), as it was; and without a table the hypotheses' own deviation."""
    _, variance, residual, lost = made
    old = {"scale": [2.0] * 4, "floor_mm": [3.0] * 4, "missing_floor_mm": [50.0] * 4}
    expected = 2 * (variance + torch.where(lost, 50.0, 3.0) ** 2).sqrt()
    torch.testing.assert_close(spread_mm(old, variance, residual, lost, 1000 + NONE, 1 + NONE), expected)
    torch.testing.assert_close(spread_mm({}, variance, residual, lost, NONE, NONE), variance.sqrt())


def test_a_strangers_size_widens_what_is_far_from_the_root(made, table):
    """Errors of people of another size, drawn: they lie within as often as those at the true size do."""
    error, variance, residual, lost = made
    reach = torch.tensor([0.0, 100.0, 400.0, 900.0], dtype=torch.float64).expand_as(error)
    sized = table | {"size_share": [SIZE_SHARE] * 4}
    wide, narrow = (spread_mm(given, variance, residual, lost, reach, NONE) for given in (sized, table))
    torch.testing.assert_close(wide**2 - narrow**2, (SIZE_SHARE * reach) ** 2)
    generator = torch.Generator().manual_seed(1)
    direction = torch.nn.functional.normalize(torch.randn(*error.shape, 3, generator=generator).double(), dim=-1)
    offset = torch.zeros_like(direction)
    offset[..., 2] = SIZE_SHARE * reach * torch.randn(len(error), 1, generator=generator)
    grown = (direction * error[..., None] + offset).norm(dim=-1)
    inside = (grown <= wide)[:, 1:].double().mean(0)
    assert ((inside > 0.64) & (inside < 0.8)).all()
    assert float((grown <= narrow)[:, 3].double().mean()) < 0.6


def test_a_joint_is_forgotten_with_the_time_since_it_was_seen():
    """Against the definition: the nearest frame in which it is seen, by search over all."""
    generator = torch.Generator().manual_seed(0)
    time = torch.rand(200, generator=generator, dtype=torch.float64).cumsum(0) / 10
    seen = torch.rand(200, 5, generator=generator) < torch.tensor([0.5, 0.2, 0.02, 1.0, 0.0])
    found = forgotten(seen, time)
    for joint in range(4):
        since = (time[:, None] - time[seen[:, joint]]).abs().amin(1)
        torch.testing.assert_close(found[:, joint], 1 - torch.exp(-since / 0.4))
    assert found[seen].eq(0).all()
    assert found[:, :4].max() < 1
    assert found[:, 4].eq(1).all()  # never seen


def test_2d_that_is_not_there_is_as_doubtful_as_that_beside_it():
    residual = torch.tensor([10.0, 20, 0, 0, 50, 0])
    seen = torch.tensor([True, True, False, False, True, False])
    found = doubt_of_2d(residual, seen, torch.arange(6, dtype=torch.float64) / 50)
    torch.testing.assert_close(found, torch.tensor([10.0, 20, 30, 40, 50, 50]))


def test_what_is_imagined_is_covered_as_often(made, table):
    """In gaps errors grow with the time since the joint was seen, and are larger where nothing is."""
    error, variance, residual, _ = made
    generator = torch.Generator().manual_seed(2)
    imagined = torch.linspace(0, 0.9, len(error), dtype=torch.float64)[:, None].repeat(1, 4)
    imagined[::2] *= torch.rand(2000, 4, generator=generator) < 0.4
    lost = imagined > 0
    everything = lost.all(1, keepdim=True).expand_as(lost)
    size = imagined * torch.where(everything, 1500, 600)
    off = size * torch.randn(*error.shape, 3, generator=generator, dtype=torch.float64).norm(dim=-1)
    error = (error**2 + off**2).sqrt()
    error[:, 0] = 0
    gaps = fit_gaps(table, error, variance, residual, lost, imagined)
    spread = spread_mm(table | gaps, variance, residual, lost, NONE, imagined)
    for where in (everything, lost & ~everything):
        for joint in (1, 2, 3):
            inside = (error <= spread + 1e-2)[where[:, joint], joint]
            assert float(inside.double().mean()) == pytest.approx(COVERAGE, abs=0.01)
    assert gaps["lost_mm"][0] == gaps["gap_mm"][0] == 0
    assert all(400 < alone < together for alone, together in zip(*(gaps[k][1:] for k in gaps), strict=True))
    before = spread_mm(table, variance, residual, lost, NONE, NONE)
    torch.testing.assert_close(spread_mm(table | gaps, variance, residual, lost, NONE, NONE), before)
    assert (spread >= before).all()


def test_without_gaps_nothing_is_said_of_them(made, table):
    assert fit_gaps(table, *made, NONE) == {"lost_mm": [0.0] * 4, "gap_mm": [0.0] * 4}


@pytest.mark.parametrize("joints", [None, (15, 16)])
def test_the_middle_of_a_clip_is_hidden(tmp_path, joints):
    (clip,) = read_mocap(write_set(tmp_path / "studio", [clip_row(0, frames=30)]), split="train")
    filmed = next(film_clip(clip, "gt"))
    hidden = hide(filmed, 0.2, joints)
    gap = torch.zeros(30, 17, dtype=torch.bool)
    gap[10:20, slice(None) if joints is None else list(joints)] = True
    assert (hidden.confidence[gap] == 0).all()
    assert hidden.rays[gap].isnan().all()
    assert np.isnan(hidden.sequence.keypoints_px[gap]).all()
    assert (hidden.sequence.confidence[gap] == 0).all()
    torch.testing.assert_close(hidden.rays[~gap], filmed.rays[~gap])
    torch.testing.assert_close(hidden.confidence[~gap], filmed.confidence[~gap])
    assert (hide(filmed, 9.0, joints).confidence[:, 16] == 0).sum() == 20
    assert np.isfinite(filmed.sequence.keypoints_px).all()


def test_adults_differ_in_size_as_in_the_training_data():
    """The same survey as `data.anthropometry`: half men, half women."""
    stature = torch.tensor([[mean, deviation] for mean, deviation in ADULTS_MM], dtype=torch.float64)
    mean = stature[:, 0].mean()
    variance = (stature[:, 1] ** 2 + (stature[:, 0] - mean) ** 2).mean()
    assert float(variance.sqrt() / mean) == pytest.approx(SIZE_SHARE, abs=0.001)


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
    assert [len(values) for values in table.values()] == [17] * 7
    inside = []
    for number, clip in enumerate(clips):
        filmed = list(film_clip(replace(clip, joints_mm=clip.joints_mm[9:21]), "gt"))[number % 4]
        motion = Lifter.load(path, "cpu").lift(filmed.sequence, options)
        true = filmed.joints_mm - filmed.joints_mm[:, :1]
        size = bone_lengths(true.numpy(), H36M_17).sum() / bone_lengths(motion.root_relative_mm, H36M_17).sum()
        inside.append(np.linalg.norm(size * motion.root_relative_mm - true.numpy(), axis=-1) <= motion.spread_mm)
    assert 0.5 < np.concatenate(inside)[:, 1:].mean() < 0.85  # half of what it was fitted on

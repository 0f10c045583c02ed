"""The peers: other networks and another schedule in our engine, and the table that sets them beside ours."""

import json
import os
import sys
from dataclasses import replace

import pytest
import torch
from benchmarks.peers import comparison as module
from benchmarks.peers.comparison import PEERS, Comparison, compare, config_of, markdown
from benchmarks.peers.flow import straight_alpha_bar
from benchmarks.peers.ktpformer import TrajectoryPrior
from benchmarks.peers.measuring import gmacs, lifter_of, shown
from benchmarks.peers.motionagformer import alike, normalised
from benchmarks.peers.peer import DENOISER_ALONE, PeerRun
from tests.motion import PLAIN, clip_row, write_set

from dreampose3d.data.mocap import read_mocap
from dreampose3d.diffusion import ddim_sample
from dreampose3d.evaluation import film_clip
from dreampose3d.skeleton import H36M_17
from dreampose3d.training import feed as feeding
from dreampose3d.training.config import Phase, TrainConfig

NETWORKS = [name for name in PEERS if name != "ours"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(feeding, "_WATCHED", 2)
    monkeypatch.setattr(feeding, "_WATCHED_BATCH", 2)
    monkeypatch.setattr(feeding, "_WATCHED_FRAMES", 9)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    splits = ["train", "train", "val", "test", "test"]
    clips = [clip_row(number, split=split, frames=20 + number) for number, split in enumerate(splits)]
    return write_set(tmp_path_factory.mktemp("mocap") / "studio", clips)


@pytest.fixture
def base(data):
    """What all runs of a test have in common."""
    return TrainConfig(
        data=(data,), model="tiny", steps=4, threads=1, precision="fp32", windows=PLAIN, warm_up=0.0,
        phases=(Phase(1.0, 7, 3),), learning_rate=3e-3,
    )  # fmt: skip


@pytest.fixture
def comparison(data, tmp_path):
    return Comparison(data=(data,), out=tmp_path / "peers", frames=10)


@pytest.fixture
def fixed_steps(monkeypatch):
    """Four steps for everyone: how many fit a budget is the engine's to find, and tested there."""
    monkeypatch.setattr(module, "config_of", lambda *given: replace(config_of(*given), core_minutes=None))


def quiet(_):
    """Reports go nowhere."""


def started(name, comparison, base, **change):
    config = replace(config_of(comparison, PEERS[name], 0, base), core_minutes=None, **change)
    return PeerRun.of(PEERS[name]).start(config, quiet)


def drawn(run, frames=7):
    generator = torch.Generator().manual_seed(0)
    return run.feed.batch(Phase(1.0, frames, 3), 0, 1, generator)


def lift(run, batch, x_t=None, t=999):
    x_t = torch.zeros_like(batch.target[:, :, 0]) if x_t is None else x_t
    t = torch.full_like(batch.label, t)
    with torch.no_grad():
        return run.model(x_t, batch.observed, t, None, batch.time_s, batch.valid, batch.view)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_peer_lifts_windows_of_any_length(name, comparison, base):
    run = started(name, comparison, base)
    for frames in (1, 7, 30):
        batch = drawn(run, frames)
        poses = lift(run, batch)
        assert poses.shape == (3, frames, H36M_17.num_joints, 3)
        assert poses.isfinite().all()
        assert (poses[:, :, H36M_17.root] == 0).all()
    assert gmacs(run) > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_frames_that_are_not_valid_do_not_leak(name, comparison, base):
    run = started(name, comparison, base)
    moved(run.model)
    batch = drawn(run)
    valid = torch.tensor([1, 1, 0, 1, 1, 1, 0], dtype=torch.bool).repeat(3, 1)
    changed = torch.where(valid[..., None, None], batch.observed, batch.observed + 3)
    x_t = torch.randn_like(batch.target[:, :, 0])
    one = lift(run, batch._replace(valid=valid), x_t)
    other = lift(run, batch._replace(valid=valid, observed=changed), x_t)
    torch.testing.assert_close(one[valid], other[valid])
    seen = lift(run, batch._replace(observed=changed), x_t)
    assert (seen - lift(run, batch, x_t))[valid].abs().max() > 1e-4, "valid frames are looked at"


def moved(model):
    """Away from the start, where parts that begin at zero would hide a leak."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("name", NETWORKS)
def test_only_the_generative_ones_look_at_the_noise(name, comparison, base):
    run = started(name, comparison, base)
    moved(run.model)
    batch = drawn(run)
    x_t = torch.randn_like(batch.target[:, :, 0])
    differs = not torch.equal(lift(run, batch, x_t, 300), lift(run, batch, -x_t, 700))
    assert differs == (PEERS[name].steps is not None)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_peer_learns_a_batch_by_heart(name, comparison, base, monkeypatch):
    run = started(name, comparison, base, steps=50, at_pure_noise=1.0, learning_rate=1e-2)
    batch = drawn(run)
    monkeypatch.setattr(run.feed, "batch", lambda *_: batch)
    first = run.train_step().pose
    for run.step in range(1, 50):
        last = run.train_step().pose
    assert last < 0.4 * first


@pytest.mark.parametrize("name", NETWORKS)
def test_muon_trains_the_matrices_between_hidden_features(name, comparison, base):
    run = started(name, comparison, base)
    _, muon = run.optimizers
    by_muon = sum(p.numel() for p in muon.param_groups[0]["params"])
    assert by_muon > 0.5 * sum(p.numel() for p in run.trained if p.ndim == 2)
    assert all(p.ndim == 2 for p in muon.param_groups[0]["params"])


# Flow matching


def test_the_straight_path_takes_noise_to_the_gaussian_it_was_given():
    """For x_0 ~ N(mu, s^2) the ideal network is known, and the flow must map noise eps to mu + s eps."""
    mu, s, levels = 0.3, 0.5, 1000
    alpha_bar = straight_alpha_bar(levels)

    def ideal(x_t, t):
        a = alpha_bar[t]
        return mu + s**2 * a.sqrt() * (x_t - a.sqrt() * mu) / (a * s**2 + 1 - a)

    noise = torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    *_, x_0 = ddim_sample(ideal, alpha_bar, noise, levels)
    torch.testing.assert_close(x_0, mu + s * noise, atol=5e-3, rtol=0)


def test_ddim_on_the_straight_path_is_eulers_method_on_the_velocity():
    alpha_bar = straight_alpha_bar(999)
    weights = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def end(x, tau):
        """Any network: where the line ends, seen from x at tau."""
        return torch.tanh(weights[0] * x + tau * weights[1])

    def denoise(x_t, t):
        tau = 1 - (t + 1) / 999
        return end(x_t * (tau**2 + (1 - tau) ** 2) ** 0.5, tau)

    noise = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    *_, sampled = ddim_sample(denoise, alpha_bar, noise, 3)
    x = noise
    for tau in (0, 1 / 3, 2 / 3):
        velocity = (end(x, tau) - x) / (1 - tau)
        x = x + velocity / 3
    torch.testing.assert_close(sampled, x)


def test_flow_matching_trains_and_samples_on_its_own_schedule(comparison, base):
    run = started("flow", comparison, base)
    straight = straight_alpha_bar(run.model.config.diffusion_steps)
    torch.testing.assert_close(run.alpha_bar, straight)
    torch.testing.assert_close(lifter_of(run).alpha_bar, straight)
    assert run.model.shrink[-1] == 0, "pure noise says nothing of the pose"
    ours = started("d3dp", comparison, base)
    assert not torch.allclose(run.model.shrink, ours.model.shrink)


# Parts


def test_the_skeletons_graph_is_normalised_by_both_degrees():
    chain = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=torch.bool)
    expected = torch.tensor([[1 / 2, 6**-0.5, 0], [6**-0.5, 1 / 3, 6**-0.5], [0, 6**-0.5, 1 / 2]])
    torch.testing.assert_close(normalised(chain), expected)


def test_frames_are_tied_to_those_most_like_them():
    x = torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [5, 5]])
    graph = alike(x, torch.tensor([True, True, True, True, False]))
    pairs = torch.tensor([[0.5, 0.5, 0, 0, 0]] * 2 + [[0, 0, 0.5, 0.5, 0]] * 2)
    torch.testing.assert_close(graph[:4], pairs)
    alone = alike(x[:2], torch.tensor([True, False]))
    torch.testing.assert_close(alone, torch.tensor([[1.0, 0], [1, 0]]))


def test_the_trajectorys_topology_is_a_chain_among_valid_frames():
    prior = TrajectoryPrior(torch.nn.Identity(), 4, frames=3)
    torch.nn.init.zeros_(prior.learned)
    found = prior.topology(torch.tensor([[True, True, True, False, True]]))[0]
    chain = torch.tensor(
        [[1, 0.75, 0, 0, 0], [0.75, 1, 0.75, 0, 0], [0, 0.75, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    )
    torch.testing.assert_close(found, chain)
    prior.learned.data = torch.tensor([0.0, 0, 0.5])
    found = prior.topology(torch.ones(1, 5, dtype=torch.bool))[0]
    torch.testing.assert_close(found[0, 2:], torch.full((3,), 0.5))  # beyond the farthest distance as at it


# The table


def test_test_clips_are_seen_by_one_of_the_protocols_cameras(data):
    clips = read_mocap(data, split="test")
    found = list(shown(data, frames=10))
    assert [len(clip.sequence) for clip in found] == [10, 10]
    whole = list(film_clip(clips[1], "gt"))[1]
    first = (len(clips[1].joints_mm) - 10) // 2
    torch.testing.assert_close(found[1].joints_mm, whole.joints_mm[first : first + 10])
    assert (found[1].sequence.keypoints_px == whole.sequence.keypoints_px[first : first + 10]).all()
    assert [len(clip.sequence) for clip in shown(data, frames=1000)] == [23, 24]


@pytest.mark.usefixtures("fixed_steps")
def test_runs_are_measured_once_and_the_table_holds_what_there_is(comparison, base, monkeypatch):
    some = replace(comparison, only=("mixste", "flow"), seeds=(0, 1))
    table = compare(some, quiet, base)
    assert [(row["name"], len(row["runs"])) for row in table["rows"]] == [("mixste", 2), ("flow", 2)]
    mixste, flow = (row["runs"][0] for row in table["rows"])
    errors = {"val_mpjpe_mm", "val_p_mpjpe_mm", "studio_h1k1_mpjpe_mm", "studio_h1k1_p_mpjpe_mm"}
    costs = {"val_intent", "steps", "trained_m", "window_gmacs"}
    assert set(mixste["measured"]) == errors | costs
    assert set(flow["measured"]) == errors | costs | {"studio_p_agg_mpjpe_mm", "studio_p_agg_p_mpjpe_mm"}
    assert flow["measured"]["steps"] == flow["config"]["steps"] == 4
    assert min(flow["measured"].values()) >= 0
    assert {"conditions", "seed", "hardware", "versions", "spent_core_minutes"} <= set(flow)
    assert json.loads((some.out / "flow" / "1" / "result.json").read_text()) == table["rows"][1]["runs"][1]

    monkeypatch.setattr(PeerRun, "start", None)  # nothing is trained any more
    assert compare(some, quiet, base) == table
    assert compare(replace(some, only=()), quiet, base) == table, "whatever was asked for now"
    text = markdown(table)
    assert (some.out / "table.md").read_text() == text
    assert "| MixSTE | 2 |" in text
    assert "| - / - | - |" in text.splitlines()[-2], "a regressor has nothing to average"
    assert " +- " in text.splitlines()[-1]
    with pytest.raises(ValueError, match=r"mixste/0 holds a run with other options; choose another --out"):
        compare(replace(some, frames=11), quiet, base)


@pytest.mark.usefixtures("fixed_steps")
def test_a_run_goes_on_in_its_middle(comparison, base, monkeypatch):
    through = replace(comparison, only=("ktpformer",), out=comparison.out / "through")
    expected = compare(through, quiet, base)["rows"][0]["runs"][0]["measured"]

    def interrupted(run, report):
        """As Ctrl-C does it."""
        run.train_step()
        run.step += 1

    halves, said = replace(comparison, only=("ktpformer", "mixste")), []
    with monkeypatch.context() as patch:
        patch.setattr(PeerRun, "go", interrupted)
        assert compare(halves, said.append, base)["rows"] == []
    assert said[-1] == "stopped; the same command goes on from here"
    assert not (halves.out / "mixste").exists()
    table = compare(replace(halves, only=("ktpformer",)), said.append, base)
    assert any("going on from step 1 of 4" in line for line in said)
    found = table["rows"][0]["runs"][0]
    assert found["measured"] == pytest.approx(expected)
    assert found["spent_core_minutes"] is None, "it is not known of a run in two halves"


def test_every_peer_has_the_same_data_engine_and_budget(comparison):
    recipe = module.mocap()
    configs = {name: config_of(comparison, peer, 3, recipe) for name, peer in PEERS.items()}
    for config in configs.values():
        assert replace(config, out=comparison.out, **DENOISER_ALONE) == replace(
            recipe, out=comparison.out, data=comparison.data, seed=3, threads=1, core_minutes=15.0,
            validate_every=10**9, **DENOISER_ALONE,
        )  # fmt: skip
    assert {key: getattr(configs["ours"], key) for key in DENOISER_ALONE} == {
        key: getattr(recipe, key) for key in DENOISER_ALONE
    }, "ours is whole"
    on_gpu = config_of(replace(comparison, gpu_minutes=2.0), PEERS["flow"], 0, recipe)
    assert (on_gpu.budget, on_gpu.core_minutes, on_gpu.device) == ("2m", None, "cuda")

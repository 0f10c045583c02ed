import csv
import json
import os
import signal
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tests.motion import PLAIN, clip_row, write_set

from dreampose3d.data.mocap import read_mocap
from dreampose3d.data.windows import UNLABELLED, MotionBank, WindowConfig
from dreampose3d.diffusion import cosine_alpha_bar, q_sample
from dreampose3d.model.blocks import Block
from dreampose3d.model.dreampose import tiny
from dreampose3d.model.text import MiniLMTower
from dreampose3d.model.weights import load_weights
from dreampose3d.skeleton import H36M_17
from dreampose3d.training import config as configuring
from dreampose3d.training import feed as feeding
from dreampose3d.training import start as starting
from dreampose3d.training import trainer as module
from dreampose3d.training.config import Phase, TrainConfig
from dreampose3d.training.loss import total_loss
from dreampose3d.training.start import fresh_model, shuffled
from dreampose3d.training.trainer import Run, train
from dreampose3d.training.validation import measure


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A set without a val split: four clips, one of them of no known action."""
    clips = [clip_row(0), clip_row(1, fps=30.0), clip_row(2, action="running"), clip_row(3, action="other")]
    return write_set(tmp_path_factory.mktemp("mocap") / "studio", clips)


@pytest.fixture
def config(data, tmp_path):
    """Eight steps: HPD's second stage begins at step 2, longer windows at step 4."""
    return TrainConfig(
        data=(data,), out=tmp_path / "run", model="tiny", steps=8, threads=1, precision="fp32", save_every=100,
        validate_every=100, learning_rate=1e-3, phases=(Phase(0.5, 5, 4, prompt=0.5), Phase(0.5, 9, 2)),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No TensorBoard (a run goes without it where it is not installed), no waiting for the disk: both outlast a run."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def quiet(_):
    """Reports go nowhere."""


def rows(config):
    with (config.out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(config):
    return load_weights(config.out / "weights.safetensors").model.state_dict()


def test_a_run_leaves_weights_a_checkpoint_and_a_log(config, capsys):
    said = []
    path = train(config, said.append)
    assert path == config.out / "weights.safetensors"
    found = load_weights(path)
    assert found.card["step"] == 8
    assert found.card["data"] == ["studio"]
    assert found.card["config"]["out"] == ""
    assert set(found.card["versions"]) == {"dreampose3d", "torch", "python"}
    assert [row["step"] for row in rows(config)] == [str(step) for step in range(1, 9)]
    assert all(float(row["pose"]) > 0 for row in rows(config))
    assert {"checkpoint.pt", "config.json", "log.csv", "weights.safetensors"} <= set(os.listdir(config.out))
    assert not [name for name in os.listdir(config.out) if "partial" in name]
    assert "M weights to train, 8 steps, 240 frames" in said[0]
    assert said[-1].startswith("step      8/8  loss ")
    assert capsys.readouterr().out == ""


def test_equal_seeds_train_equal_weights(config):
    train(config, quiet)
    others = [replace(config, out=config.out.with_name(name), seed=seed) for name, seed in (("same", 0), ("other", 1))]
    for other in others:
        train(other, quiet)
    same, other = (weights(run) for run in others)
    assert rows(config) == rows(others[0])
    assert all(torch.equal(value, same[name]) for name, value in weights(config).items())
    assert rows(config) != rows(others[1])
    assert not all(torch.equal(value, other[name]) for name, value in weights(config).items())


def plain_loop(config):
    """A run as one reads it in a textbook, in fp32 with AdamW: its losses, and its averaged weights."""
    torch.manual_seed(config.seed)
    model = fresh_model(config)
    labels = model.config.labels
    bank = MotionBank(read_mocap(config.data[0]), labels)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decays = [name for name, p in trained.items() if name.endswith("weight") and p.ndim >= 2]
    groups = [
        {"params": [trained[name] for name in sorted(decays)], "weight_decay": config.weight_decay},
        {"params": [p for name, p in trained.items() if name not in decays], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=config.betas, fused=True)
    ema, alpha_bar, found = {name: p.detach().clone() for name, p in trained.items()}, cosine_alpha_bar(1000), []
    for step in range(config.steps):
        if step == 2:
            model.decoder.start_hallucinating()
        phase, poses = config.phase(step), 1 if step < 2 else 3
        draw = torch.Generator().manual_seed(1_000_003 * config.seed + step)
        batch = feeding.make_batch(bank, phase.batch, phase.frames, poses, config.windows, draw)
        t = torch.randint(1000, (phase.batch,), generator=draw)
        t = torch.where(torch.rand(phase.batch, generator=draw) < config.at_pure_noise, 999, t)
        x_0 = batch.target[:, :, poses // 2]
        x_t = q_sample(x_0, t, torch.randn(x_0.shape, generator=draw), alpha_bar)
        prompt = None
        if float(torch.rand((), generator=draw)) < phase.prompt:
            prompt = model.read_intent(batch.observed, batch.time_s, batch.valid)
        seen = (x_t, batch.observed, t, prompt, batch.time_s, batch.valid, batch.view)
        pred = model(*seen)[:, :, None] if poses == 1 else model.hallucinate(*seen)
        logits = None if prompt is None else model.prompt.intent_logits(prompt.text_feature)
        loss = total_loss(
            pred, batch.target, batch.target_valid, logits, batch.label, H36M_17, config.lambda_act, config.lambda_bone
        ).total
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = config.rate_at(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(trained.values()), config.clip_norm)
        optimizer.step()
        for name, p in trained.items():
            ema[name].lerp_(p.detach(), 1 - min(config.ema, (1 + step) / (10 + step)))
        found.append(float(loss.detach()))
    return found, ema


def test_the_engine_does_what_a_plain_loop_does_to_the_last_bit(config):
    config = replace(config, optimizer="adamw")
    run = Run.start(config, quiet)
    run.go(quiet)
    found, ema = plain_loop(config)
    assert [float(row["total"]) for row in rows(config)] == found
    assert all(torch.equal(run.ema[name], value) for name, value in ema.items())


def train_whole(config):
    """The same run in one go, in another folder."""
    whole = replace(config, out=config.out.with_name("whole"))
    train(whole, quiet)
    return whole


def stop_at(step, run_step, number=signal.SIGINT):
    """As `Run.train_step`, but Ctrl-C is pressed in the middle of that step."""

    def train_step(self, phase=None):
        losses = run_step(self, phase)
        if self.step == step:
            os.kill(os.getpid(), number)  # after the update, before the step is counted
        return losses

    return train_step


@pytest.mark.parametrize(
    ("step", "optimizer", "number"),
    [(0, "muon", signal.SIGINT), (3, "adamw", signal.SIGTERM), (6, "muon", signal.SIGINT)],
)
def test_a_run_goes_on_to_the_last_bit(config, monkeypatch, step, optimizer, number):
    """Ctrl-C (or SIGTERM) in either stage and either phase, in mid-step: the same losses and weights as in one go."""
    config = replace(config, optimizer=optimizer)
    whole = train_whole(config)
    said = []
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", stop_at(step, Run.train_step, number))
        train(config, said.append)
    assert f"stopped at step {step + 1} of 8; the same command goes on from here" in said[-1]
    assert len(rows(config)) == step + 1
    assert load_weights(config.out / "weights.safetensors").card["step"] == step + 1
    train(config, said.append)
    assert f"going on from step {step + 1} of 8" in "".join(said)
    assert rows(config) == rows(whole)
    finished, once = weights(config), weights(whole)
    assert all(torch.equal(value, once[name]) for name, value in finished.items())


def test_a_run_of_an_older_version_goes_on(config, monkeypatch):
    """Its checkpoint lacks the options that came later, and has one that is gone."""
    whole = train_whole(config)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", stop_at(3, Run.train_step))
        train(config, quiet)
    saved = torch.load(config.out / "checkpoint.pt", weights_only=True)
    options = json.loads(saved["config"])
    later = {"accumulate", "budget", "compile", "own_guess"}
    del options["windows"]["noise"]["bias"]
    saved["config"] = json.dumps({key: options[key] for key in options if key not in later} | {"minutes": None})
    torch.save(saved, config.out / "checkpoint.pt")
    train(config, quiet)
    assert rows(config) == rows(whole)


def test_a_run_begins_with_the_weights_it_is_given(config, tmp_path):
    first = train(config, lambda _: None)
    second = replace(config, init=str(first), out=tmp_path / "second", steps=1, learning_rate=1e-12, weight_decay=0.0)
    begun, gone_on = (load_weights(path).model.state_dict() for path in (first, train(second, lambda _: None)))
    for name, value in begun.items():
        torch.testing.assert_close(gone_on[name], value, atol=2e-3, rtol=2e-3, msg=name)  # half precision
    with pytest.raises(ValueError, match=r"cannot start from .*: its model differs; it has num_poses=3 "):
        train(replace(second, out=tmp_path / "third", num_poses=5), lambda _: None)


def test_an_interrupt_while_reporting_stops_too(config, monkeypatch):
    def press(line):
        if line.startswith("step"):
            raise KeyboardInterrupt

    measured = {"val_mpjpe_mm": 1.0, "val_p_mpjpe_mm": 1.0, "val_intent": 0.0}
    monkeypatch.setattr(Run, "validate", lambda _: measured)  # every fourth step reports
    config = replace(config, validate_every=4)
    train(config, press)
    assert len(rows(config)) == 4
    train(config, quiet)
    assert rows(config) == rows(train_whole(config))


def test_a_crash_loses_no_more_than_the_steps_since_the_last_checkpoint(config, monkeypatch):
    """The run dies at step 7: it goes on from step 6, and the log of what is repeated is not kept twice."""
    config = replace(config, save_every=3)
    one_step, whole = Run.train_step, train_whole(config)

    def crash(self):
        if self.step == 7:
            raise RuntimeError("power cut")
        return one_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            train(config, quiet)
    said = []
    train(config, said.append)
    assert "going on from step 6 of 8" in said[0]
    assert rows(config) == rows(whole)


def test_a_finished_run_is_left_as_it_is(config):
    train(config, quiet)
    before, log = weights(config), rows(config)
    train(config, quiet)
    assert rows(config) == log
    assert all(torch.equal(value, before[name]) for name, value in weights(config).items())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"steps": 9}, "steps"),
        ({"windows": WindowConfig(exact=0.5), "learning_rate": 1e-4}, "learning_rate, windows"),
        ({"prompt": "none"}, "prompt"),
    ],
)
def test_another_runs_folder_is_refused(config, change, named):
    config = replace(config, steps=1, phases=(Phase(1, 5, 2),))
    train(config, quiet)
    before = (config.out / "checkpoint.pt").read_bytes()
    match = f"holds another run, which differs in {named}; choose another --out, or give it the same options"
    with pytest.raises(ValueError, match=match):
        train(replace(config, **change), quiet)
    assert (config.out / "checkpoint.pt").read_bytes() == before


def test_other_data_is_another_run_and_a_moved_folder_is_not(config, data, tmp_path):
    config = replace(config, steps=1, phases=(Phase(1, 5, 2),))
    train(config, quiet)
    moved = write_set(tmp_path / "elsewhere" / "studio", [clip_row(0)])
    train(replace(config, data=(moved,)), quiet)
    other = write_set(tmp_path / "stage", [clip_row(0)])
    with pytest.raises(ValueError, match="holds another run, which differs in data"):
        train(replace(config, data=(other,)), quiet)


def test_no_data_is_told(config, tmp_path):
    with pytest.raises(ValueError, match="there are no clips to train on"):
        train(replace(config, data=()), quiet)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        train(replace(config, data=(tmp_path / "nowhere",)), quiet)
    assert not config.out.exists()


def test_clips_without_a_label_are_left_out_of_the_action_loss(config, tmp_path):
    """A set of nothing but `other` has no L_act; and it is the labelled windows' alone in a mixed batch."""
    unlabelled = write_set(tmp_path / "unlabelled", [clip_row(0, action="other"), clip_row(1, action="other")])
    run = Run.start(replace(config, data=(unlabelled,)), quiet)
    assert (run.feed.bank.label == UNLABELLED).all()
    config = replace(config, data=(unlabelled,), out=config.out.with_name("unlabelled"), phases=(Phase(1, 5, 4),))
    train(config, quiet)
    assert [float(row["action"]) for row in rows(config)] == 8 * [0]


def test_the_decoder_hallucinates_in_its_second_stage_alone(config, monkeypatch):
    """Step 0 and 1 of 8: one pose a frame; at step 2 the centre's rows are copied, from then on three poses."""
    seen, copied = [], []
    make, start = feeding.make_batch, module.DreamPose3D

    def make_batch(bank, batch_size, frames, num_poses, *rest):
        seen.append((batch_size, frames, num_poses))
        return make(bank, batch_size, frames, num_poses, *rest)

    monkeypatch.setattr(feeding, "make_batch", make_batch)
    run = Run.start(config, quiet)
    begin = run.model.decoder.start_hallucinating
    monkeypatch.setattr(run.model.decoder, "start_hallucinating", lambda: (copied.append(run.step), begin()))
    assert isinstance(run.model, start)
    run.go(quiet)
    assert seen == [(4, 5, 1)] * 2 + [(4, 5, 3)] * 2 + [(2, 9, 3)] * 4
    assert copied == [2]


def test_the_learning_rate_warms_up_and_falls(config):
    config = replace(config, steps=100, warm_up=0.1)
    rate = [config.rate_at(step) for step in range(101)]
    assert rate[0] < 1e-8
    assert rate[5] == pytest.approx(0.5e-3, rel=1e-3)
    assert max(rate) == rate[10] == pytest.approx(1e-3)
    assert rate[55] == pytest.approx(0.505e-3)
    assert rate[100] == pytest.approx(1e-5)
    assert all(a > b for a, b in pairwise(rate[10:]))


def test_blocks_are_compiled_if_asked_for(config):
    """That they are compiled, not the compiler: it takes minutes."""
    plain, compiled = (Run.start(replace(config, out=config.out / str(it), compile=it), quiet) for it in (False, True))
    for run, it in ((plain, False), (compiled, True)):
        blocks = [part for part in run.model.modules() if isinstance(part, Block)]
        assert len(blocks) > 4
        assert all((block._compiled_call_impl is not None) is it for block in blocks)
    assert list(plain.model.state_dict()) == list(compiled.model.state_dict())


def test_the_average_follows_the_weights(config):
    run = Run.start(config, quiet)
    name, parameter = next((n, p) for n, p in run.model.named_parameters() if p.requires_grad)
    before, parameter.data = parameter.detach().clone(), parameter.detach() + 1
    run.average()
    torch.testing.assert_close(run.ema[name], before + 0.9)  # at step 0 the decay is 1 / 10
    run.step = 10**6
    run.average()
    torch.testing.assert_close(run.ema[name], before + 0.9 + 0.1 * (1 - config.ema))
    with run.averaged():
        torch.testing.assert_close(parameter.detach(), before + 0.9 + 0.1 * (1 - config.ema))
    torch.testing.assert_close(parameter.detach(), before + 1)


def test_the_tower_stays_frozen_and_gains_do_not_decay(config):
    run = Run.start(config, quiet)
    tower = [p.clone() for p in run.model.prompt.tower.parameters()]
    groups = [group for optimizer in run.optimizers for group in optimizer.param_groups]
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held)) == len(run.trained), "every trained weight in one group"
    plain = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    for name, p in run.model.named_parameters():
        if p.requires_grad:
            assert (id(p) in plain) is (p.ndim < 2 or not name.endswith("weight")), name
    run.go(quiet)
    assert all(torch.equal(p, then) for p, then in zip(run.model.prompt.tower.parameters(), tower, strict=True))


def test_a_budget_becomes_steps_and_the_trial_leaves_no_trace(config, monkeypatch):
    """Ten seconds at what the clock says; the weights before training are those of a run by steps."""
    fresh = Run.start(replace(config, out=config.out.with_name("steps")), quiet)
    clock = iter(range(10**6))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))  # a second each time it is asked
    run = Run.start(replace(config, budget="25s"), quiet)
    assert run.pace.costs == dict.fromkeys(config.phases, 0.5)  # two trial steps in "a second"
    assert run.config.steps == (25 - 7 - 1) / (0.5 + 1 / 100) // 1
    assert run.step == 0
    for name, p in fresh.model.named_parameters():
        assert torch.equal(p, dict(run.model.named_parameters())[name])
    assert not any(optimizer.state for optimizer in run.optimizers)


@pytest.mark.parametrize(("cost", "fewest", "most"), [(0.5, 30, 33), (3.0, 5, 7)])
def test_a_run_that_turns_out_slower_or_faster_still_ends_with_its_budget(config, monkeypatch, cost, fewest, most):
    """Steps seem to take a second in the trial; then they take another time. HPD's second stage begins once."""
    now, begun = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    one_step, price = Run.train_step, [1.0]

    def train_step(self, phase=None):
        now[0] += price[0]
        return one_step(self, phase)

    monkeypatch.setattr(Run, "train_step", train_step)
    run = Run.start(replace(config, budget="22s"), quiet)
    assert run.config.steps == 16, "six seconds were the trial's"
    monkeypatch.setattr(run.model.decoder, "start_hallucinating", lambda: begun.append(run.step))
    price[0] = cost
    run.go(quiet)
    assert fewest <= run.step == run.config.steps <= most
    assert len(begun) == 1
    assert len(rows(config)) == run.step
    assert float(rows(config)[-1]["learning_rate"]) == pytest.approx(1e-5)


def test_a_budget_covers_what_was_trained_before_an_interruption(config, monkeypatch):
    config = replace(config, budget="1h", steps=8)
    monkeypatch.setattr(Run, "fit", lambda self: None)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", stop_at(3, Run.train_step))
        train(config, quiet, calibrate=False)
    run = Run.start(config, quiet)
    assert run.step == 4
    assert run.seconds > torch.load(config.out / "checkpoint.pt", weights_only=True)["seconds"] > 0


def test_a_budget_that_is_no_time_is_told_before_anything_is_done(config):
    with pytest.raises(ValueError, match=r"expected a time such as 90s, 25m, 2h or 1h30m, got '25'"):
        train(replace(config, budget="25"), quiet)
    assert not config.out.exists()


@pytest.mark.parametrize("before", [False, True])
def test_a_run_leaves_arithmetic_as_it_was(config, monkeypatch, before):
    """Flushing denormals is a state of the whole thread: it is the step's, not the caller's."""
    smallest, seen, step = (
        torch.tensor(torch.finfo(torch.float64).smallest_normal, dtype=torch.float64),
        [],
        Run.train_step,
    )
    monkeypatch.setattr(Run, "train_step", lambda self: (seen.append(float(smallest / 2)), step(self))[1])
    torch.set_flush_denormal(before)
    try:
        Run.start(replace(config, steps=1), quiet).go(quiet)
        assert seen == [0]
        assert (float(smallest / 2) == 0) is before
    finally:
        torch.set_flush_denormal(False)


def test_a_loss_that_is_not_finite_stops_the_run(config, monkeypatch):
    run = Run.start(config, quiet)
    run.model.decoder.head.weight.data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="the loss of step 0 is not finite"):
        run.train_step()


def test_a_tiny_model_learns_four_windows(config, tmp_path, monkeypatch):
    """The same four views of one walker in each step: half the error of the best pose that ignores the 2D."""
    make = feeding.make_batch
    config = replace(
        config, data=(write_set(tmp_path / "one", [clip_row(0, frames=30)]),), steps=250, learning_rate=2e-2,
        optimizer="adamw", num_poses=1, windows=PLAIN, phases=(Phase(1, 5, 4, prompt=0.1),),
    )  # fmt: skip
    monkeypatch.setattr(feeding, "make_batch", lambda *given: make(*given[:-1], torch.Generator().manual_seed(1)))
    run = Run.start(config, quiet)
    run.go(quiet)
    target = feeding.make_batch(run.feed.bank, 4, 5, 1, PLAIN, None).target[..., 1:, :]
    ignorant = float((target - target.flatten(0, 2).median(0).values).abs().mean())
    learned = [float(row["pose"]) for row in rows(config)][-10:]
    assert 0.05 < ignorant < 0.2, "metres a coordinate"
    assert sum(learned) / 10 < ignorant / 2


def test_validation_measures_the_averaged_model(tmp_path, monkeypatch):
    data = write_set(tmp_path / "set", [clip_row(0), clip_row(1, split="val", frames=90)])
    monkeypatch.setattr(feeding, "_WATCHED", 2)
    monkeypatch.setattr(feeding, "_WATCHED_BATCH", 2)
    monkeypatch.setattr(feeding, "calibrate_spread", lambda path, clips: None)
    config = TrainConfig(
        data=(data,), out=tmp_path / "run", model="tiny", steps=2, threads=1, precision="fp32", validate_every=1,
        phases=(Phase(1, 5, 2),),
    )  # fmt: skip
    said = []
    train(config, said.append)
    assert [float(row["val_mpjpe_mm"]) > float(row["val_p_mpjpe_mm"]) > 0 for row in rows(config)] == [True, True]
    assert all(0 <= float(row["val_intent"]) <= 1 for row in rows(config))
    assert said[1] == "the weights are the last average (EMA); the split val is only watched"
    assert "val MPJPE" in said[2]
    run = Run.start(config, quiet)
    exported = load_weights(config.out / "weights.safetensors").model
    logged = float(rows(config)[-1]["val_mpjpe_mm"])
    draw = torch.Generator().manual_seed(0)
    again = measure(exported, run.feed.watched(draw), draw)
    assert again["val_mpjpe_mm"] == pytest.approx(logged, rel=0.01)  # half precision


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": 0}, "expected at least 1 step, got 0"),
        ({"phases": (Phase(0.5, 9, 2),)}, "the shares of the phases must add up to 1"),
        ({"model": "paper"}, "takes a benchmark's own cameras and windows: train it with --preset paper-h36m-cpn"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        TrainConfig(**change)


def test_a_step_belongs_to_one_phase():
    short, long = Phase(0.65, 27, 32), Phase(0.35, 81, 12)
    config = TrainConfig(steps=20, phases=(short, long))
    assert [config.phase(step) for step in range(20)] == [short] * 13 + [long] * 7
    assert config.phase(20) == long


def test_own_guesses_are_shown_as_the_sampler_shows_them(config, monkeypatch):
    """First pure noise at T - 1; then the answer to it, noised with the same noise."""
    run = Run.start(replace(config, own_guess=1.0, at_pure_noise=0.0), quiet)
    shown, forward = [], run.model.tokens

    def tokens(x_t, observed, t, *rest, **told):
        answer = forward(x_t, observed, t, *rest, **told)
        shown.append((x_t, t, run.model.decoder(answer).detach()))
        return answer

    monkeypatch.setattr(run.model, "tokens", tokens)
    run.train_step()
    (x_T, last, guess), (x_t, t, _) = shown
    assert last.unique().tolist() == [len(run.alpha_bar) - 1]
    signal, noise = (part.sqrt()[t].float()[:, None, None, None] for part in (run.alpha_bar, 1 - run.alpha_bar))
    torch.testing.assert_close(x_t, signal * guess + noise * x_T / (1 - run.alpha_bar[-1]).sqrt().float())


@pytest.fixture
def guessing(config, monkeypatch):
    """With a first guess, and a denoiser that is trained in every fourth step."""
    monkeypatch.setitem(configuring.PRESETS, "tiny", lambda: replace(tiny(), guess=32))
    phases = tuple(replace(phase, denoise=0.25) for phase in config.phases)
    return replace(config, phases=phases, single_pose=0.0)


def test_most_steps_train_the_first_guess_alone(guessing):
    run = Run.start(guessing, quiet)
    before, moved = weights_of(run), []
    for _ in range(guessing.steps):
        losses = run.train_step()
        run.step += 1
        after = weights_of(run)
        moved.append({name.split(".")[0] for name in after if not torch.equal(after[name], before[name])})
        before = after
        assert float(losses.guess) > 0
        assert (float(losses.pose) == float(losses.guess)) is (moved[-1] == {"first"})
    assert ["denoiser" in parts for parts in moved] == [False, False, False, True] * 2
    assert all("first" in parts for parts in moved)


def weights_of(run):
    return {name: p.detach().clone() for name, p in run.model.named_parameters() if p.requires_grad}


def test_the_denoisers_loss_leaves_the_first_guess_alone(guessing):
    """Its gradient is that of its own loss, in either kind of step."""
    run = Run.start(guessing, quiet)
    run.model.decoder.head.weight.data.normal_()
    batch, found = run.feed.batch(guessing.phases[0], 0, 3, torch.Generator().manual_seed(0)), []
    for denoise in (False, True):
        run.model.zero_grad()
        run.backward(batch, 1.0, torch.Generator().manual_seed(0), denoise)
        found.append({name: p.grad.clone() for name, p in run.model.first.named_parameters()})
        assert (run.model.decoder.head.weight.grad is not None) is denoise
    torch.testing.assert_close(found[0], found[1])


def test_two_halves_of_a_batch_give_the_first_guess_the_whole_ones_gradient(guessing):
    found = []
    for accumulate in (1, 2):
        run = Run.start(replace(guessing, accumulate=accumulate, out=guessing.out / str(accumulate)), quiet)
        batch = run.feed.batch(guessing.phases[0], 0, 3, torch.Generator().manual_seed(0))
        run.backward(batch, 0.0, torch.Generator().manual_seed(0), denoise=False)
        found.append({name: p.grad for name, p in run.model.first.named_parameters()})
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_a_run_with_a_first_guess_goes_on_to_the_last_bit(guessing, monkeypatch):
    """Muon has no state yet of what no step has trained."""
    whole = train_whole(guessing)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", stop_at(1, Run.train_step))
        train(guessing, quiet)
    train(guessing, quiet)
    assert rows(guessing) == rows(whole)
    finished, once = weights(guessing), weights(whole)
    assert all(torch.equal(value, once[name]) for name, value in finished.items())


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_a_share_of_steps_trains_the_denoiser(share):
    phase = Phase(1.0, 9, 4, denoise=share)
    assert sum(phase.denoises(step) for step in range(1000)) == pytest.approx(1000 * share, abs=1)
    assert sum(part for part, _ in phase.kinds) == 1
    assert {kind.denoise for _, kind in phase.kinds} == {0.0, 1.0} - ({1 - share} if share in (0.0, 1.0) else set())


def test_without_a_first_guess_tokens_see_whole_poses_again(guessing):
    full, without = guessing.architecture(), replace(guessing, guess=False).architecture()
    assert (full.guess, full.whole_pose) == (32, False)
    assert (without.guess, without.whole_pose) == (0, True)
    assert replace(without, guess=32, whole_pose=False) == full


def test_fields_of_the_model_are_changed_by_name(config):
    changed = replace(config, change=("gated_affinity=true", "conditioning=tokens", "mlp_ratio=1.5", "guess=64"))
    assert changed.architecture() == replace(
        config.architecture(), gated_affinity=True, conditioning="tokens", mlp_ratio=1.5, guess=64
    )


@pytest.mark.parametrize(
    "change", ["wings=2", "guess", "guess=true", "guess=wide", "tower=1", "gated_affinity=1", "conditioning=words"]
)
def test_a_change_that_makes_no_sense_is_refused(config, change):
    with pytest.raises(ValueError, match=rf"as NAME=VALUE, got '{change}'; there are frames \(int\), width"):
        replace(config, change=(change,)).architecture()


def test_a_random_tower_has_the_same_numbers_in_another_order(config, monkeypatch):
    tower = MiniLMTower(24, 1, 2, 32)
    before = {name: p.detach().clone() for name, p in tower.named_parameters()}
    for name, p in shuffled(tower, 3).named_parameters():
        torch.testing.assert_close(p.flatten().sort().values, before[name].flatten().sort().values)
        assert torch.equal(p, before[name]) is (p.ndim < 2)
    again = MiniLMTower(24, 1, 2, 32)
    again.load_state_dict(before, strict=False)
    assert all(map(torch.equal, shuffled(again, 3).parameters(), tower.parameters()))
    with monkeypatch.context() as patch:
        patch.setattr(starting.MiniLMTower, "from_package", lambda: again)
        patch.setattr(starting, "vocabulary_features", lambda tower, phrases: torch.zeros(len(phrases), 24))
        assert starting.fresh_model(replace(config, model="small", tower="random")).prompt.tower is again

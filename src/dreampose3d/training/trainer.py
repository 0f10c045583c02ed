"""The training loop: windows in, weights out; each step draws from (seed, step) alone, so that it resumes exactly."""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dreampose3d.data.windows import Batch
from dreampose3d.diffusion import cosine_alpha_bar, q_sample
from dreampose3d.files import atomic_write
from dreampose3d.model.dreampose import DreamPose3D
from dreampose3d.model.guess import Guess
from dreampose3d.model.weights import save_weights
from dreampose3d.skeleton import skeleton_named
from dreampose3d.training.budget import Pace, seconds_of
from dreampose3d.training.config import Phase, RunConfig
from dreampose3d.training.engine import (
    add_gradients,
    compile_blocks,
    denormals_flushed,
    device_of,
    fabric_of,
    from_first,
    is_first,
    same_everywhere,
    stops_wait,
    total,
)
from dreampose3d.training.feed import ClipFeed, Feed, feed_of
from dreampose3d.training.log import Log, progress
from dreampose3d.training.loss import Losses, imagined_weights, total_loss
from dreampose3d.training.optimizers import optimizers_of
from dreampose3d.training.parts import WHOLE, Part, split
from dreampose3d.training.record import completed, differences, hardware, plain, versions
from dreampose3d.training.report import write_report
from dreampose3d.training.start import first_model
from dreampose3d.training.validation import measure

Report = Callable[[str], None]


def train(config: RunConfig, report: Report = print, *, calibrate: bool = True) -> Path:
    """Train, or go on with the run in `config.out`, and write its weights and a report of it (report.html).

    Args:
        config: The run.
        report: Where progress goes, a line at a time.
        calibrate: Fit the spread at the end, on whom was held out.

    Returns:
        The weights file of the averaged (EMA) model.

    Raises:
        FileNotFoundError: If a data folder is missing.
        ValueError: If the run folder belongs to another configuration.
    """
    report = report if is_first() else _silent
    if config.budget is not None:
        seconds_of(config.budget)  # is it one?
    run = Run.start(config, report)
    with suppress(KeyboardInterrupt):
        run.go(report)
    run.save()
    if run.step < run.config.steps:
        report(f"stopped at step {run.step} of {run.config.steps}; the same command goes on from here")
    if run.best:
        report(
            f"the weights are the average of step {run.best['step']}: {run.best['error']:.1f} mm on whom was held out"
        )
    weights = run.export(calibrate)
    if is_first():
        write_report(run.config, run.model.config)
    return weights


class Run:
    """A model in training, with all that its next step depends on."""

    def __init__(self, config: RunConfig, model: DreamPose3D, feed: Feed) -> None:
        self.config = config
        self.device = device_of(config.device)
        self.fabric = fabric_of(self.device, config.precision)
        self.model = model.to(self.device)
        same_everywhere(self.model, self.fabric)
        if config.compile:
            compile_blocks(self.model)
        self.feed = feed
        self.skeleton = skeleton_named(model.config.skeleton)
        self.alpha_bar = cosine_alpha_bar(model.config.diffusion_steps)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizers = optimizers_of(model, config)
        self.ema = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        self.best: dict[str, Any] = {}
        """Where held-out subjects choose: the average that did best on them, its `error`, `step` and `ema`."""
        self.step = 0
        self.hallucinating = False
        """Whether HPD's second stage has begun."""
        self.seconds = 0.0
        """That the run has taken up to now."""
        self.pace = Pace({})

    @classmethod
    @denormals_flushed()
    def start(cls, config: RunConfig, report: Report) -> "Run":
        """A new run, or the one that its folder holds."""
        begun = time.monotonic()
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        model = first_model(config)
        feed = feed_of(config, model.config.labels, device_of(config.device))
        if not config.steps and isinstance(feed, ClipFeed):
            config = replace(config, steps=feed.steps)
        run = cls(config, model, feed)
        if (config.out / "checkpoint.pt").is_file():
            run.load()
            run.seconds += time.monotonic() - begun
            report(f"going on from step {run.step} of {run.config.steps} in {config.out}")
            return run
        config.out.mkdir(parents=True, exist_ok=True)
        if config.budget is not None:
            run.pace = run.trial(time.monotonic, 2)
            run.seconds = time.monotonic() - begun
            run.fit()
        elif config.core_minutes is not None:
            steps = run.trial(time.process_time, 6).fitted(config, 0, 60 * config.core_minutes)
            run.config = replace(config, steps=steps, core_minutes=None)
        if is_first():
            about = {"config": plain(run.config), "versions": versions(), "hardware": hardware(run.fabric.world_size)}
            with atomic_write(config.out / "config.json") as path:
                path.write_text(json.dumps(about, indent=1))
        parameters = sum(p.numel() for p in run.trained)
        report(f"{parameters / 1e6:.2f} M weights to train, {run.config.steps} steps, {feed.frames} frames")
        report(feed.choice)
        return run

    @denormals_flushed()
    def go(self, report: Report) -> None:
        """Train to the last step, or to the one in which Ctrl-C is pressed or SIGTERM comes."""
        before = time.monotonic() - self.seconds
        with Log(self.config.out if is_first() else None, self.step) as log, stops_wait() as told_to_stop:
            while self.step < self.config.steps and not self.agreed(told_to_stop()):
                phase, begun = self.config.phase(self.step), time.monotonic()
                losses = self.train_step()
                self.pace.took(self.kind(phase), time.monotonic() - begun)
                self.step += 1
                row: dict[str, float] = {"step": self.step, "learning_rate": self.config.rate_at(self.step)}
                row |= zip(losses._fields, torch.stack(losses).tolist(), strict=True)
                if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                    begun = time.monotonic()
                    row |= self.validate()
                    self.pace.between = (time.monotonic() - begun) / self.config.validate_every
                log.write(row)
                self.seconds = time.monotonic() - before
                if self.step % self.config.save_every == 0:
                    log.flush()
                    self.save()
                if self.step % 50 == 0 or self.step == self.config.steps or "val_mpjpe_mm" in row:
                    speed = self.pace.speed(self.model.config, phase)
                    log.pace.write({"step": self.step, "seconds": self.seconds} | speed)
                    left = self.pace.remaining(self.config, self.step)
                    report(progress(row, log.curve, self.config.steps, speed, left))
                if self.step % max(1, self.config.steps // 20) == 0:
                    self.fit()

    def fit(self) -> None:
        """Where time is the budget: as many steps as what is left of it has room for, if they are others by 3 %."""
        if self.config.budget is not None and self.step < self.config.steps:
            last_look = self.pace.between * self.config.validate_every
            left = seconds_of(self.config.budget) - self.seconds - last_look
            steps = from_first(self.pace.fitted(self.config, self.step, left), self.fabric)
            if abs(steps - self.config.steps) > 0.03 * (self.config.steps - self.step):
                self.config = replace(self.config, steps=steps)

    def kind(self, phase: Phase) -> Phase:
        """What the step trains by its phase, as one."""
        return replace(phase, denoise=float(phase.denoises(self.step)))

    def denoises(self, phase: Phase) -> bool:
        """Whether the step trains the denoiser, beside the first guess if there is one."""
        return self.model.first is None or phase.denoises(self.step)

    def agreed(self, told_to_stop: bool) -> bool:
        """Whether any process was told to stop: then all do, at the same step."""
        if self.fabric.world_size == 1:
            return told_to_stop
        return bool(total(torch.tensor(float(told_to_stop), device=self.device), self.fabric) > 0)

    def train_step(self, phase: Phase | None = None) -> Losses:
        """One update from one batch, both drawn from (seed, step); the phase is the step's unless given."""
        config, phase = self.config, phase or self.config.phase(self.step)
        if not self.hallucinating and self.step >= config.second_stage:
            self.model.decoder.start_hallucinating()
            self.hallucinating = True
        num_poses = config.num_poses if self.hallucinating else 1
        generator = torch.Generator(self.device).manual_seed(config.seed * 1_000_003 + self.step)
        batch = self.feed.batch(phase, self.step, num_poses, generator).to(self.device)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = config.rate_at(self.step)
        losses = self.backward(batch, phase.prompt, generator, self.denoises(phase))
        if not bool(losses.total.isfinite()):
            raise FloatingPointError(
                f"the loss of step {self.step} is not finite; the last checkpoint is from before it"
            )
        nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average()
        return losses

    def backward(self, batch: Batch, prompt_share: float, generator: torch.Generator, denoise: bool) -> Losses:
        """The batch's loss and its gradient: summed over the parts of this process, then over the processes."""
        parts = split(batch, self.config.accumulate * self.fabric.world_size)
        drawn, found = generator.get_state(), []
        for part in parts[self.fabric.global_rank :: self.fabric.world_size]:
            generator.set_state(drawn)  # each part draws for the whole batch and takes what is its own
            if denoise:
                losses = self.loss(batch, prompt_share, generator, part)
            else:
                losses = self.loss_of_guess(batch.of(part.windows).to(self.device), part)
            losses.total.backward()
            found.append(torch.stack(losses).detach())
        add_gradients(self.trained, self.fabric)
        return Losses(*total(torch.stack(found).sum(0), self.fabric))

    def loss(self, batch: Batch, prompt_share: float, generator: torch.Generator, part: Part = WHOLE) -> Losses:
        """Eq. 7 on one batch, or what a part adds to it: noise the poses, read the intent, denoise, hallucinate."""
        size, steps, device = len(batch.label), len(self.alpha_bar), generator.device
        num_poses = batch.target.shape[2]
        t = torch.randint(steps, (size,), generator=generator, device=device)
        pure = torch.rand(size, generator=generator, device=device) < self.config.at_pure_noise
        t = torch.where(pure, steps - 1, t)
        x_0 = batch.target[:, :, num_poses // 2]
        eps = torch.randn(x_0.shape, generator=generator, device=device)
        prompted = float(torch.rand((), generator=generator, device=device)) < prompt_share
        weight = imagined_weights(num_poses)
        if self.config.falloff:
            weight = (torch.rand(num_poses, generator=generator, device=device).cpu() < weight).float()
        own = self.config.own_guess
        guessed = own > 0 and float(torch.rand((), generator=generator, device=device)) < own
        batch = batch.of(part.windows).to(self.device)
        x_0, eps, t = (whole[part.windows].to(self.device) for whole in (x_0, eps, t))
        with self.fabric.autocast():
            prompt = self.model.read_intent(batch.observed, batch.time_s, batch.valid) if prompted else None
            guess = self.model.guess(batch.observed, batch.time_s, batch.valid, batch.view)
            told = None if guess is None else Guess(guess.tokens.detach(), guess.pose.detach())
            seen = (batch.time_s, batch.valid, batch.view, told)
            if guessed:
                with torch.no_grad():
                    last = torch.full_like(t, steps - 1)
                    x_T = self._noised(torch.zeros_like(eps), last, eps)
                    x_0 = self.model(x_T, batch.observed, last, prompt, *seen).float()
            given = (self._noised(x_0, t, eps), batch.observed, t, prompt, *seen)
            pred = self.model(*given)[:, :, None] if num_poses == 1 else self.model.hallucinate(*given)
        logits = None
        if prompt is not None and self.model.prompt is not None and len(self.model.config.labels):
            logits = self.model.prompt.intent_logits(prompt.text_feature)
        losses = total_loss(
            pred.float(),
            batch.target,
            batch.target_valid,
            logits,
            batch.label,
            self.skeleton,
            self.config.lambda_act * part.labels,
            self.config.lambda_bone * part.frames,
            self.config.lambda_pose,
            self.config.lambda_velocity * part.pairs,
            weight * part.poses,
        )
        losses = losses._replace(
            action=losses.action * part.labels, bone=losses.bone * part.frames, velocity=losses.velocity * part.pairs
        )
        return losses if guess is None else _with_guess(losses, self.loss_of_guess(batch, part, guess))

    def loss_of_guess(self, batch: Batch, part: Part = WHOLE, guess: Guess | None = None) -> Losses:
        """What Eq. 7 says of the first guess [ours]: it learns from nothing else."""
        if guess is None:
            with self.fabric.autocast():
                guess = self.model.guess(batch.observed, batch.time_s, batch.valid, batch.view)
        assert guess is not None
        centre = batch.target.shape[2] // 2
        found = total_loss(
            guess.pose.float()[:, :, None],
            batch.target[:, :, centre, None],
            batch.target_valid[:, :, centre, None],
            None,
            batch.label,
            self.skeleton,
            0.0,
            self.config.lambda_bone * part.frames,
            self.config.lambda_pose,
            self.config.lambda_velocity * part.pairs,
            part.poses[centre, None] if isinstance(part.poses, Tensor) else None,
        )
        return found._replace(guess=found.pose, bone=found.bone * part.frames, velocity=found.velocity * part.pairs)

    def _noised(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t as the network is shown it."""
        x_t = q_sample(x_0, t, eps, self.alpha_bar)
        return x_t if self.config.clamp is None else x_t.clamp(-self.config.clamp, self.config.clamp)

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first, when these are far from any good."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, parameter in self.model.named_parameters():
            if name in self.ema:
                self.ema[name].lerp_(parameter, 1 - decay)

    def validate(self) -> dict[str, float]:
        """The averaged model on the windows that are watched, H = 1, K = 1; kept if they choose it."""
        generator = torch.Generator().manual_seed(0)
        with self.averaged():
            found = measure(self.model, self.feed.watched(generator), generator)
        if self.feed.chooses and found["val_mpjpe_mm"] < self.best.get("error", math.inf):
            self.best = {"error": found["val_mpjpe_mm"], "step": self.step, "ema": _clone(self.ema)}
        return found

    def averaged(self) -> "_Swapped":
        """A context in which the model has its averaged weights."""
        return _Swapped(self.model, self.ema)

    def trial(self, clock: Callable[[], float], times: int) -> Pace:
        """What a step of each phase costs on this machine, and a look at who is held out; on a copy of the state."""
        state, costs = _clone(self.state()), {}
        for kind in (kind for phase in self.config.phases for _, kind in phase.kinds):
            self.step = self.config.steps  # with all n poses
            self.train_step(kind)
            begun = clock()
            for _ in range(times):
                self.step += 1
                self.train_step(kind)
            costs[kind] = (clock() - begun) / times
        begun = clock()
        if self.config.budget is not None:
            self.validate()
        between = (clock() - begun) / self.config.validate_every
        self.restore(state)
        return Pace(costs, between)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on beside the configuration."""
        return {
            "model": {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad},
            "ema": self.ema,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "best": self.best,
            "step": self.step,
            "hallucinating": self.hallucinating,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The reverse of `state`."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(state["model"][name])
                    self.ema[name].copy_(state["ema"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.best = state.get("best", {})
        self.step = state["step"]
        self.hallucinating = state.get("hallucinating", self.step > self.config.second_stage)
        self.seconds = state.get("seconds", 0.0)

    def save(self) -> None:
        """Write the checkpoint; the one before it stays until this one is whole."""
        if is_first():
            with atomic_write(self.config.out / "checkpoint.pt") as path:
                torch.save({"config": json.dumps(plain(self.config)), **self.state()}, path)

    def load(self) -> None:
        """Read the checkpoint of this run's folder (tensors and plain values only)."""
        saved = torch.load(self.config.out / "checkpoint.pt", map_location="cpu", weights_only=True)
        ours = plain(self.config)
        theirs = completed(json.loads(saved["config"]), plain(type(self.config)()))
        free = {"out", "budget", "core_minutes", "validate_every", "save_every"}
        free |= {"threads", "device", "accumulate", "compile"}
        if self.config.budget is not None or self.config.core_minutes is not None:
            free.add("steps")
        if differ := differences(ours, theirs, free):
            raise ValueError(
                f"{self.config.out} holds another run, which differs in {', '.join(differ)}; "
                "choose another --out, or give it the same options"
            )
        self.config = replace(self.config, steps=theirs["steps"], core_minutes=None)
        self.restore(saved)

    def export(self, calibrate: bool = True) -> Path:
        """Write the averaged model as a weights file."""
        path = self.config.out / "weights.safetensors"
        if not is_first():
            return path
        config = plain(self.config) | {"data": [], "out": ""}  # a file that ships names no paths
        card = {
            "config": config,
            "step": self.best.get("step", self.step),
            "versions": versions(),
            "data": list(self.config.trained_on),
        }
        with _Swapped(self.model, self.best.get("ema", self.ema)):
            save_weights(self.model, path, card)
        if calibrate and self.step == self.config.steps:
            self.feed.calibrate(path)
        return path


class _Swapped:
    """Gives a model other weights for a while."""

    def __init__(self, model: nn.Module, weights: dict[str, Tensor]) -> None:
        self.model, self.weights = model, weights

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.model.named_parameters():
            if name in self.weights:
                held = parameter.detach().clone()
                parameter.copy_(self.weights[name])
                self.weights[name].copy_(held)


def _with_guess(losses: Losses, guess: Losses) -> Losses:
    """Both sums in one; the terms stay what they are of the denoiser, and the first guess's stand in `guess`."""
    return losses._replace(total=losses.total + guess.total, guess=guess.guess)


def _clone(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _clone(item) for key, item in value.items()}
    return [_clone(item) for item in value] if isinstance(value, list) else value


def _silent(_: str) -> None:
    """What the processes beside the first one have to say."""

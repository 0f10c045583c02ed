"""Intent: is the action recognised, are its probabilities honest, and what does a wrong prompt cost.

For each set: top-1 and top-3 per window (the lifter's own, over their mean with the mirrored window) and per clip (the
mean of its windows' probabilities), micro (all alike) and macro (all labels alike). Beside them chance (a guess among
the candidates) and majority (always the set's most frequent labels, which nobody knows beforehand). Labels that the
weights were trained on compete with each other; *zero-shot* labels, known by their phrase alone, compete with all
phrases, and among themselves. Clips labelled without a phrase (`other`) are left out. Calibration is over the windows
of trained labels: how often the top label is right where its probability is in each tenth, and the expected
calibration error (Guo et al. 2017). A wrong prompt: the same windows lifted (H=1 K=1, no flip) with their own E_c, with
that of a window of another label, and without any.

    python benchmarks/intent.py --data MOCAP/cmu MOCAP/hdm05 MOCAP/bandai
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.data.vocabulary import load_vocabulary
from dreampose3d.data.windows import MILLIMETRES
from dreampose3d.evaluation import FilmedClip, film_clip
from dreampose3d.evaluation.mocap import Input
from dreampose3d.evaluation.tables import Report, Table, to_markdown, write_result
from dreampose3d.figures.style import LINES, QUIET, new_figure, paper_style, save_figure
from dreampose3d.lifting import lifter as lifting
from dreampose3d.lifting.lifter import Lifter, LiftOptions, noise_field
from dreampose3d.lifting.resample import Resampling
from dreampose3d.metrics import mpjpe
from dreampose3d.model.prompt import Prompt
from dreampose3d.model.text import MiniLMTower, vocabulary_features
from dreampose3d.view import View, mirror_poses

BINS = 10


@dataclass(frozen=True)
class Intent:
    """Every so-manieth clip of each set's split, one camera each."""

    data: tuple[Path, ...]
    split: str = "test"
    input: Input = "noisy"
    weights: str = "small"
    every: int = 1
    """Take every so-manieth clip."""
    frames: int = 500
    """Of each clip, at most."""
    wrong: int = 120
    """Windows lifted with a wrong prompt, at most, of each set."""
    threads: int = 1
    out: Path | None = None
    """A JSON file for the numbers."""
    plot: Path | None = None
    """A figure: .png, .svg or .pdf."""


@dataclass(frozen=True)
class Window:
    """One window of a labelled clip, as the network sees it."""

    clip: str
    label: str
    view: View
    time_s: Float[Tensor, "1 n"]
    valid: Bool[Tensor, "1 n"]
    true_mm: Float[Tensor, "n J 3"]
    """Root-relative in the camera's frame."""
    prompts: tuple[Prompt, Prompt]
    """Of the window and of its mirror image."""


@dataclass(frozen=True)
class Score:
    """Shares in [0, 1]; chance and majority beside them."""

    units: int
    labels: int
    candidates: int
    micro: tuple[float, float]
    """Top-1 and top-3."""
    macro: tuple[float, float]
    chance: tuple[float, float]
    majority: tuple[float, float]


@dataclass(frozen=True)
class Candidates:
    """Labels that compete, and the tower's features of their phrases."""

    labels: tuple[str, ...]
    features: Float[Tensor, "V D"]

    def among(self, labels: Sequence[str]) -> "Candidates":
        """Only some of them."""
        return Candidates(tuple(labels), self.features[[self.labels.index(label) for label in labels]])


def main(intent: Intent) -> None:
    torch.set_num_threads(intent.threads)
    lifter = Lifter.load(intent.weights, "cpu")
    everything = all_phrases(lifter)
    results: dict[str, Any] = {}
    for folder in intent.data:
        windows = read_windows(lifter, intent, folder, set(everything.labels))
        results[folder.name] = measure(lifter, windows, everything, intent.wrong)
        print(f"{folder.name}: {len(windows)} windows", flush=True)
    conditions = (
        f"{intent.split}, every {intent.every}. clip, at most {intent.frames} frames, {intent.input} 2D, one camera "
        f"each; weights {intent.weights}"
    )
    print("\n" + to_markdown(Report(conditions, tables(results))))
    if intent.out is not None:
        write_result({"conditions": conditions, "results": results}, intent.out)
    if intent.plot is not None:
        save_figure(sheet(results), intent.plot, conditions)


def all_phrases(lifter: Lifter) -> Candidates:
    """The weights' own labels, and those of the vocabulary that they were not trained on."""
    assert lifter.model.prompt is not None, "the weights have no prompt, so no intent"
    own = lifter.config.labels
    phrases = load_vocabulary().phrases
    others = tuple(label for label in phrases if label not in own)
    unseen = vocabulary_features(MiniLMTower.from_package(), [phrases[label] for label in others])
    return Candidates((*own, *others), torch.cat((lifter.model.prompt.vocabulary, unseen)))


def read_windows(lifter: Lifter, intent: Intent, folder: Path, labels: set[str]) -> list[Window]:
    """The windows of all clips that carry one of the labels."""
    clips = [clip for clip in read_mocap(folder, split=intent.split) if clip.action in labels][:: intent.every]
    windows = []
    for number, clip in enumerate(clips):
        cut = replace(clip, joints_mm=clip.joints_mm[: intent.frames])
        windows += windows_of(lifter, cut, list(film_clip(cut, intent.input))[number % 4])
    return windows


@torch.inference_mode()
def windows_of(lifter: Lifter, clip: MocapClip, filmed: FilmedClip) -> list[Window]:
    """A clip cut as the lifter cuts it, each window with the prompts that are read from it."""
    sequence = lifter._prepared(filmed.sequence)
    resampling = Resampling.of(torch.from_numpy(np.asarray(sequence.times, np.float64)), lifting._RATES)
    points, confidence = resampling.forth(*lifter._points(sequence, lifting._camera(sequence)))
    relative = (filmed.joints_mm - filmed.joints_mm[:, :1]).float()
    sure = torch.ones(relative.shape[:2])
    true = torch.cat([resampling.forth(relative[..., two], sure)[0] for two in ([0, 1], [1, 2])], -1)[..., [0, 1, 3]]
    windows = []
    for a, b in lifting._spans(len(points), lifter.config.frames, None):
        valid = lifting._seen(points[a:b], confidence[a:b]).any(-1)[None]
        view = lifter._view(points[None, a:b], confidence[None, a:b], 1.0, valid)
        time_s = (resampling.times[a:b] - resampling.times[[a, b - 1]].mean())[None].float()
        sides = (view.observed, mirror_poses(view.observed, lifter.mirror))
        direct, mirrored = (lifter.model.read_intent(side, time_s, valid) for side in sides)
        assert direct is not None
        assert mirrored is not None
        windows.append(Window(clip.trial, clip.action, view, time_s, valid, true[a:b], (direct, mirrored)))
    return windows


def measure(lifter: Lifter, windows: Sequence[Window], everything: Candidates, wrong: int) -> dict[str, Any]:
    """All of one set's numbers, ready for JSON."""
    own = lifter.config.labels
    unseen = [label for label in everything.labels if label not in own]
    seen_windows = [window for window in windows if window.label in own]
    new_windows = [window for window in windows if window.label not in own]
    contests = {
        "trained": (seen_windows, everything.among(own)),
        "zero-shot among all": (new_windows, everything),
        "zero-shot among the unseen": (new_windows, everything.among(unseen)),
    }
    found: dict[str, Any] = {"scores": {}, "mpjpe_mm": wrong_prompts(lifter, windows, wrong)}
    for name, (part, candidates) in contests.items():
        if part:
            probability, truth = probabilities(lifter, part, candidates)
            by_clip = pooled(probability, [window.clip for window in part])
            clip_truth = truth[[[w.clip for w in part].index(clip) for clip in dict.fromkeys(w.clip for w in part)]]
            found["scores"][f"{name}, per window"] = vars(score(probability, truth))
            found["scores"][f"{name}, per clip"] = vars(score(by_clip, clip_truth))
            if name == "trained":
                found["reliability"] = reliability(probability, truth)
    return found


@torch.inference_mode()
def probabilities(
    lifter: Lifter, windows: Sequence[Window], candidates: Candidates
) -> tuple[Float[Tensor, "W V"], Int[Tensor, " W"]]:
    """Of each candidate in each window, as the lifter reads them, and which is true."""
    read = lifter.model.prompt
    assert read is not None
    mean = read.vocabulary.mean(0)  # of the trained labels, whoever competes
    phrases = F.normalize(candidates.features - mean, dim=-1)
    sides = []
    for side in (0, 1):
        features = torch.cat([window.prompts[side].text_feature for window in windows])
        cosine = F.normalize(features - mean, dim=-1) @ phrases.T
        sides.append((read.log_scale.exp().clamp(max=100) * cosine).softmax(-1))
    truth = torch.tensor([candidates.labels.index(window.label) for window in windows])
    return torch.stack(sides).mean(0), truth


def pooled(probability: Float[Tensor, "W V"], clips: Sequence[str]) -> Float[Tensor, "C V"]:
    """The mean over the windows of each clip, in the order in which clips first appear."""
    return torch.stack([probability[[clip == name for clip in clips]].mean(0) for name in dict.fromkeys(clips)])


def score(probability: Float[Tensor, "U V"], truth: Int[Tensor, " U"]) -> Score:
    """Top-1 and top-3 of units (windows or clips), beside what knows nothing."""
    order = probability.argsort(-1, descending=True)
    hits = [(order[:, :k] == truth[:, None]).any(-1).double() for k in (1, 3)]
    labels = truth.unique()
    macro = [torch.stack([hit[truth == label].mean() for label in labels]).mean().item() for hit in hits]
    frequent = [count for _, count in Counter(truth.tolist()).most_common(3)]
    candidates = probability.shape[1]
    return Score(
        units=len(truth),
        labels=len(labels),
        candidates=candidates,
        micro=(hits[0].mean().item(), hits[1].mean().item()),
        macro=(macro[0], macro[1]),
        chance=(1 / candidates, min(3 / candidates, 1.0)),
        majority=(frequent[0] / len(truth), sum(frequent) / len(truth)),
    )


def reliability(probability: Float[Tensor, "W V"], truth: Int[Tensor, " W"]) -> dict[str, Any]:
    """Of the top label by its probability, in tenths: windows, mean probability, share right; and the ECE.

    The expected calibration error is the mean distance of the last two, weighted by the windows.
    """
    top = probability.max(-1)
    right = (top.indices == truth).double()
    tenth = (top.values * BINS).long().clamp(max=BINS - 1)
    bins, error = [], 0.0
    for index in range(BINS):
        inside = tenth == index
        if inside.any():
            said, kept = top.values[inside].double().mean().item(), right[inside].mean().item()
            bins.append({"windows": int(inside.sum()), "probability": said, "right": kept})
            error += abs(said - kept) * int(inside.sum()) / len(truth)
    return {"bins": bins, "ece": error}


@torch.inference_mode()
def wrong_prompts(lifter: Lifter, windows: Sequence[Window], at_most: int) -> dict[str, float]:
    """MPJPE, mm, over the frames of evenly chosen windows: their own prompt, one of another label, none."""
    chosen = windows[:: max(1, -(-len(windows) // at_most))]
    errors: dict[str, list[Tensor]] = {"own": [], "of another label": [], "none": []}
    for number, window in enumerate(chosen):
        turn = len(chosen) // 2
        others = [*chosen[number + turn :], *chosen[: number + turn]]
        other = next((o for o in others if o.label != window.label), None)
        if other is not None:
            prompts = (window.prompts[0], other.prompts[0], None)
            for name, prompt in zip(errors, prompts, strict=True):
                errors[name].append(mpjpe(lift_window(lifter, window, prompt), window.true_mm))
    return {name: float(torch.cat(each).mean()) for name, each in errors.items() if each}


def lift_window(lifter: Lifter, window: Window, prompt: Prompt | None) -> Float[Tensor, "n J 3"]:
    """One window at H=1 K=1 without flip, told a prompt; camera frame, mm."""
    observed = window.view.observed
    noise = noise_field(LiftOptions().seed, 0, 0, 0, observed.shape[1], observed.shape[2])[None]
    last = torch.tensor([lifter.config.diffusion_steps - 1])
    x_0 = lifter.model(noise, observed, last, prompt, window.time_s, window.valid, window.view.condition)
    return (x_0 @ window.view.rotation[:, None] * MILLIMETRES)[0]


def tables(results: dict[str, Any]) -> list[Table]:
    """Scores, calibration, and what a wrong prompt costs."""
    header = ["set, labels, unit", "units", "labels", "candidates"]
    for top in ("top-1", "top-3"):
        header += [f"{top} micro, %", f"{top} macro", "chance", "majority"]
    rows = [
        [f"{name}: {contest}", *(str(s[key]) for key in ("units", "labels", "candidates"))]
        + [f"{100 * s[key][k]:.1f}" for k in (0, 1) for key in ("micro", "macro", "chance", "majority")]
        for name, result in results.items()
        for contest, s in result["scores"].items()
    ]
    prompts = ["own", "of another label", "none"]
    costs = [[name, *(f"{result['mpjpe_mm'].get(p, 0):.1f}" for p in prompts)] for name, result in results.items()]
    calibrated = [
        [name, f"{result['reliability']['ece']:.3f}"] for name, result in results.items() if "reliability" in result
    ]
    return [
        Table(header, rows),
        Table(["calibration", "ECE"], calibrated),
        Table(["MPJPE, mm, with the prompt", *prompts], costs),
    ]


@paper_style()
def sheet(results: dict[str, Any]) -> Figure:
    """Top-1 per clip beside chance and majority; reliability; the cost of a wrong prompt."""
    figure = new_figure("full", 2.6)
    hits, curve, cost = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    named = [(f"{name}\n{contest.removesuffix(', per clip')}", s) for name, r in results.items()
             for contest, s in r["scores"].items() if contest.endswith("per clip")]  # fmt: skip
    for place, (_, s) in enumerate(reversed(named)):
        for k, height in ((1, 0.62), (0, 0.34)):
            hits.barh(place, 100 * s["micro"][k], height, color=(LINES[0][0], LINES[4][0])[k])
        hits.plot(100 * s["chance"][0], place, "|", color=QUIET, ms=9)
        hits.plot(100 * s["majority"][0], place, "x", color=LINES[1][0], ms=4)
    hits.set_yticks(range(len(named)), [name for name, _ in reversed(named)])
    hits.set_xlim(0, 100)
    hits.set_xlabel("clips, %: top-1 (dark), top-3 (light);\n| chance, x majority of top-1")
    curve.plot((0, 100), (0, 100), color=QUIET, lw=0.6)
    for (colour, dashes), (name, result) in zip(LINES, results.items(), strict=False):
        if "reliability" in result:
            bins, ece = result["reliability"]["bins"], result["reliability"]["ece"]
            curve.plot([100 * b["probability"] for b in bins], [100 * b["right"] for b in bins], color=colour,
                       ls=dashes, marker="o", ms=2, label=f"{name}, ECE {ece:.2f}")  # fmt: skip
    curve.set(xlabel="probability of the top label, %", ylabel="right, %", xlim=(0, 100), ylim=(0, 100))
    curve.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=1.6)
    for place, prompt in enumerate(("own", "of another label", "none")):
        values = [result["mpjpe_mm"].get(prompt, 0) for result in results.values()]
        places = [x + 0.26 * (place - 1) for x in range(len(values))]
        cost.bar(places, values, 0.24, color=LINES[place][0], label=prompt)
    cost.set_xticks(range(len(results)), list(results))
    cost.set_ylabel("MPJPE with the prompt, mm")
    cost.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=1)
    return figure


if __name__ == "__main__":
    main(tyro.cli(Intent))

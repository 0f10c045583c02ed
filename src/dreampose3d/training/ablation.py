"""Ablations: the paper's Tables 5 to 10, and of our own choices and data; everything equal but for one switch.

Each run keeps a folder of its own, named after its switch and its seed: what is complete is not repeated, what was
interrupted goes on, and tables share what they have in common.
"""

import csv
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from dreampose3d.files import atomic_write
from dreampose3d.training.config import BenchmarkConfig, RunConfig, TrainConfig
from dreampose3d.training.record import plain, versions
from dreampose3d.training.trainer import Report, Run
from dreampose3d.training.unseen import detected_windows
from dreampose3d.training.validation import measure


class Variant(NamedTuple):
    """A row."""

    name: str
    change: dict[str, Any]
    """The fields of the configuration that differ from the full method's; those of its parts with dots."""
    paper: str = ""
    """What the paper prints (Human3.6M, CPN; MPJPE / P-MPJPE, mm, to be read as J-Best of H = 20, K = 10)."""


class Ablation(NamedTuple):
    """A table."""

    title: str
    variants: tuple[Variant, ...]


def _off(part: str, *shares: str) -> dict[str, float]:
    """Shares of a part of the windows' configuration at 0."""
    return {f"windows.{part}.{share}": 0.0 for share in shares}


_FULL = "29.5 / 23.4"
TABLES: dict[int | str, Ablation] = {
    5: Ablation(
        "Parts of the method",
        (
            Variant("full", {}, _FULL),
            Variant("without SRE (no affinity)", {"affinity": False}, "32.2 / 24.8"),
            Variant("without APL (no prompt)", {"prompt": "none"}, "31.9 / 24.9"),
            Variant("without HPD (n = 1)", {"num_poses": 1}, "30.1 / 24.2"),
            Variant("without the first guess [ours]", {"guess": False}),
            Variant(
                "denoiser only", {"affinity": False, "prompt": "none", "num_poses": 1, "guess": False}, "37.4 / 30.7"
            ),
        ),
    ),
    6: Ablation(
        "Prompts",
        (
            Variant("none", {"prompt": "none"}, "31.9 / 24.9"),
            Variant("random", {"prompt": "random"}, "31.2 / 24.0"),
            Variant("learned", {}, _FULL),
        ),
    ),
    7: Ablation(
        "Terms of the loss",
        (
            Variant("L'_3D + L_act + L_BL", {}, _FULL),
            Variant("without L_act", {"lambda_act": 0.0}),
            Variant("without L_BL", {"lambda_bone": 0.0}),
            Variant("L'_3D alone", {"lambda_act": 0.0, "lambda_bone": 0.0}, "2 to 2.5 % worse"),
            Variant("without L'_3D", {"lambda_pose": 0.0}, "does not converge"),
        ),
    ),
    8: Ablation(
        "Hallucinated poses",
        (
            Variant("n = 1", {"num_poses": 1}, "30.1"),
            Variant("n = 3", {}, "29.5"),
            Variant("n = 5", {"num_poses": 5}, "29.9"),
            Variant("n = 7", {"num_poses": 7}, "30.0"),
        ),
    ),
    9: Ablation(
        "Which neighbours are imagined, and when",
        (
            Variant("fixed: all n from the first step", {"single_pose": 0.0}),
            Variant("falloff: f + k in a share 1 / (1 + |k|) of the steps", {"single_pose": 0.0, "falloff": True}),
            Variant("controlled: n = 1 for the first quarter", {}, "29.5"),
        ),
    ),
    10: Ablation(
        "Who imagines them",
        (
            Variant("HPD: one denoiser, one decoder", {}, f"{_FULL}; 60.67 s"),
            Variant("n denoisers with shared weights", {"imagine": "denoisers"}, "85.62 s"),
        ),
    ),
    "model": Ablation(
        "Our own choices, one switch each",
        (
            Variant("full", {}),
            Variant("A_L from the first step", {"change": ("gated_affinity=false",)}),
            Variant("without affinity", {"affinity": False}),
            Variant("without the first guess", {"guess": False}),
            Variant("whole 2D pose told beside the guess", {"change": ("whole_pose=true",)}),
            Variant("noisy poses as they are", {"change": ("shrink_noise=false",)}),
            Variant("a tenth at pure noise", {"at_pure_noise": 0.1}),
            Variant("own guesses shown", {"own_guess": 0.5}),
            Variant("confidence not told", {"change": ("told_confidence=false",)}),
            Variant("velocity loss", {"lambda_velocity": 5.0}),
            Variant("prompt's tokens alone", {"change": ("conditioning=tokens",)}),
            Variant("pooled prompt alone", {"change": ("conditioning=pooled",)}),
            Variant("random tower", {"tower": "random"}),
            Variant("fixed prompts", {"prompt": "random"}),
            Variant("no prompt", {"prompt": "none"}),
            Variant("without L_act", {"lambda_act": 0.0}),
            Variant("ten times L_act", {"lambda_act": 0.1}),
            Variant("AdamW alone", {"optimizer": "adamw"}),
        ),
    ),
    "data": Ablation(
        "Ingredients of the training data",
        (
            Variant("full", {}),
            Variant("without exchanged limbs", _off("pose", "exchange_arms", "exchange_legs", "exchange_trunk")),
            Variant("without tilted parts", _off("pose", "tilt_limbs")),
            Variant("without legal joints", _off("pose", "legal")),
            Variant("without leaning and lying", _off("pose", "lean", "topple")),
            Variant("without varied bones", _off("pose", "bone_scale", "body_scale", "hip_scale")),
            Variant("without other people's bodies", _off("pose", "people")),
            Variant("without invented motion", _off("pose", "invented")),
            Variant("without the mirror", _off("pose", "mirror")),
            Variant("without warped and reversed time", {"windows.warp": 0.0, "windows.reverse": 0.0}),
            Variant(
                "without near, far and tilted cameras",
                {"windows.cameras.distance_m": (1.8, 10.0)} | _off("cameras", "tele", "tilted"),
            ),
            Variant("without low and high cameras", _off("cameras", "steep")),
            Variant("without unknown cameras", _off("cameras", "unknown")),
            Variant("without detectors' joints", {"windows.conventions": (1.0, 0.0, 0.0, 0.0)}),
            Variant("without bias in the noise", _off("noise", "bias")),
            Variant("without guessed limbs, gaps and edges", _off("noise", "lapses", "gappy", "cropped")),
            Variant("without noise", {"windows.exact": 1.0}),
        ),
    ),
}
"""What the paper does not explain is ours: Table 9's falloff replaces the weights of Eq. 6 by a drawing with these
probabilities, so that both agree in the mean; Table 10's denoisers share all but a vector that says which neighbour
is meant, and only the centre's runs at inference."""

_NEVER = 10**9
"""Steps between looks at the watched windows: the last step is looked at anyhow."""

Table = Literal[5, 6, 7, 8, 9, 10, "model", "data"]
MEASURES = {
    "val_mpjpe_mm": ("MPJPE, mm", 1),
    "val_p_mpjpe_mm": ("P-MPJPE, mm", 1),
    "val_intent": ("intent right", 2),
    "steps": ("steps", 0),
    "trained_m": ("weights trained, M", 2),
    "step_s": ("training step, s", 3),
    "window_ms": ("lifting a window, ms", 1),
}
"""What is measured of each run, its name for people, and its digits."""
_ERRORS = ("val_mpjpe_mm", "val_p_mpjpe_mm")


def ablate(
    number: Table, config: RunConfig, seeds: Sequence[int], report: Report = print, unseen: Sequence[Path] = ()
) -> dict[str, Any] | None:
    """Train and measure a table's variants, or what of them is missing, and write table-<number>.json and .md.

    Errors are the last average's on the windows that the run watches (split val, or the subjects held out): H = 1,
    K = 1, no flip. Times are medians on this machine as it is, so mind what else runs on it.

    Args:
        number: The paper's table, or `model` or `data`.
        config: The full method's run; `out` becomes the parent of the runs' folders.
        seeds: One run of each variant for each.
        report: Told each run's progress.
        unseen: Canonical sets whose split `test` is measured too, as `detected_windows` shows it.

    Returns:
        `rows`: name, the paper's figure, and what was measured with each seed; `title`, `conditions`, `versions`: ready
        for JSON. None if Ctrl-C was pressed; the same call goes on from there.

    Raises:
        ValueError: If nobody is held out, a folder holds a run with other options, or the table is `model` or `data`
            and the run is on a benchmark, which has neither.
    """
    if number in ("model", "data") and not isinstance(config, TrainConfig):
        raise ValueError(f"table {number} is of motion capture: choose --preset mocap, mocap-release or mocap-wild")
    table = TABLES[number]
    rows: list[dict[str, Any]] = [{"name": row.name, "paper": row.paper, "seeds": []} for row in table.variants]
    for seed, (variant, row) in product(seeds, zip(table.variants, rows, strict=True)):
        report(f"Table {number}, {variant.name}, seed {seed}")
        own = replace(config, out=config.out / _folder(variant, seed), seed=seed, validate_every=_NEVER)
        if (found := _result(changed(own, variant.change), report, unseen)) is None:
            report("stopped; the same command goes on from here")
            return None
        row["seeds"].append({"seed": seed} | found)
    result = {
        "table": number,
        "title": table.title,
        "conditions": _conditions(config),
        "rows": rows,
        "versions": versions(),
    }
    with atomic_write(config.out / f"table-{number}.json") as path:
        path.write_text(json.dumps(result, indent=1))
    with atomic_write(config.out / f"table-{number}.md") as path:
        path.write_text(format_ablation(result))
    return result


def changed(config: Any, change: Mapping[str, Any]) -> Any:
    """A configuration with other values of some fields, or of its parts' (`windows.pose.people`)."""
    for name, value in change.items():
        field, _, rest = name.partition(".")
        part = changed(getattr(config, field), {rest: value}) if rest else value
        config = replace(config, **{field: part})
    return config


def format_ablation(result: dict[str, Any]) -> str:
    """A table as Markdown: means over the seeds, +- their standard deviation where there are several."""
    measures = MEASURES | {
        key: (f"{key.rpartition(': ')[0]} detected, {name}", digits)
        for key in result["rows"][0]["seeds"][0]
        for end, (name, digits) in MEASURES.items()
        if key.endswith(f": {end}")
    }
    header = ["", "seeds", *(name for name, _ in measures.values()), "the paper's"]
    lines = [f"Table {result['table']}. {result['title']}. {result['conditions']}", ""]
    lines += [_line(header), _line(["---", *["--:"] * (len(header) - 2), "---"])]
    for row in result["rows"]:
        values = [_spread([found[key] for found in row["seeds"]], digits) for key, (_, digits) in measures.items()]
        lines.append(_line([row["name"], str(len(row["seeds"])), *values, row["paper"]]))
    return "\n".join(lines) + "\n"


def _result(config: RunConfig, report: Report, unseen: Sequence[Path]) -> dict[str, float] | None:
    """What was measured of a run, now or before; None if it was stopped on the way."""
    path, options = config.out / "result.json", plain(config)
    wanted = [f"{folder.name}: {name}" for folder in unseen for name in _ERRORS]
    if path.is_file() and (known := json.loads(path.read_text()))["config"] == options:
        known = known["measured"]
        if set(wanted) <= set(known):
            return {name: known[name] for name in (*MEASURES, *wanted)}
    run = Run.start(config, report)
    if not any(True for _ in run.feed.watched(torch.Generator())):
        raise ValueError(
            "an ablation is measured on people who are not trained on, and there are none: give data with a split "
            "`val`, or --hold-out a training subject"
        )
    run.go(report)
    run.save()
    if run.step < run.config.steps:
        return None
    run.export(calibrate=False)
    measured = _unseen(run, unseen) | _measured(run)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({"config": options, "measured": measured}, indent=1))
    return measured


def _measured(run: Run) -> dict[str, float]:
    with (run.config.out / "log.csv").open(newline="") as file:
        *_, last = csv.DictReader(file)
    found = {key: float(last[key]) for key in ("val_mpjpe_mm", "val_p_mpjpe_mm", "val_intent")}
    return found | {
        "steps": run.config.steps,
        "trained_m": sum(p.numel() for p in run.trained) / 1e6,
        "window_ms": 1000 * _median_s(_lift_one(run)),
        "step_s": _median_s(run.train_step),  # last: it trains on
    }


def _unseen(run: Run, folders: Sequence[Path]) -> dict[str, float]:
    """Errors of the last average on sets that it was not trained on."""
    found: dict[str, float] = {}
    with run.averaged():
        for folder in folders:
            errors = measure(run.model, detected_windows(folder), torch.Generator().manual_seed(0))
            found |= {f"{folder.name}: {name}": errors[name] for name in _ERRORS}
    return found


def _lift_one(run: Run) -> Callable[[], Any]:
    """Lifting of one window, prompt and all: H = 1, K = 1."""
    batch = next(iter(run.feed.watched(torch.Generator()))).to(run.device)
    one = type(batch)(*(part[:1] for part in batch))
    x_t, t = torch.randn_like(one.target[:, :, 0]), torch.full_like(one.label, len(run.alpha_bar) - 1)

    @torch.no_grad()
    def lift() -> Any:
        prompt = run.model.read_intent(one.observed, one.time_s, one.valid)
        return run.model(x_t, one.observed, t, prompt, one.time_s, one.valid, one.view).cpu()

    return lift


def _median_s(work: Callable[[], Any], times: int = 5) -> float:
    """Seconds, after one that does not count."""
    work()
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def _folder(variant: Variant, seed: int) -> Path:
    fields = {key.removeprefix("windows."): value for key, value in variant.change.items() if key != "change"}
    names = [f"{key}={value}".replace(" ", "") for key, value in fields.items()]
    return Path("-".join((*names, *variant.change.get("change", ()))) or "full") / str(seed)


def _conditions(config: RunConfig) -> str:
    length, shown = f"{config.steps} steps", "exact 2D, split val"
    if config.core_minutes is not None:
        length = f"{config.core_minutes:g} core-minutes a run"
    if isinstance(config, BenchmarkConfig):
        length = length if config.steps else f"{config.epochs} epochs"
        shown = f"{config.keypoints} 2D, held out: {', '.join(config.hold_out)}"
    return (
        f"{', '.join(config.trained_on)}, {shown}; model {config.model}, {length}; last average, H=1 K=1, no flip; "
        f"{config.threads} threads."
    )


def _spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} +- {statistics.stdev(values):.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

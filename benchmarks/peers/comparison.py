"""The table: every peer and seed trained at equal budget, one result file a run, and what exists of them as Markdown.

A run is resumed in its middle from its checkpoint, and not repeated once it has a result.
"""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmarks.peers import d3dp, flow, ktpformer, mixste, motionagformer, ours, videopose3d
from benchmarks.peers.measuring import HYPOTHESES, hardware, measured
from benchmarks.peers.peer import PHASES, Peer, PeerRun
from tyro.conf import arg

from dreampose3d.files import atomic_write
from dreampose3d.training.config import RunConfig, TrainConfig
from dreampose3d.training.recipes import mocap
from dreampose3d.training.record import plain, versions
from dreampose3d.training.trainer import Report

Name = Literal["ours", "d3dp", "mixste", "flow", "videopose3d", "ktpformer", "motionagformer"]
PEERS: dict[str, Peer] = {
    part.PEER.name: part.PEER for part in (ours, d3dp, mixste, flow, videopose3d, ktpformer, motionagformer)
}
_NEVER = 10**9


@dataclass(frozen=True)
class Comparison:
    """Train the peers and ourselves on the same motion capture for the same time, and print how they do."""

    data: Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]")]
    """Canonical set folders: their split `train` is trained on, `val` is watched."""
    test: Annotated[tuple[Path, ...], arg(metavar="[DIR ...]")] = ()
    """Set folders whose split `test` is measured; those of --data where not given."""
    out: Path = Path("runs/peers")
    """The runs' folders, and table.md and table.json."""
    only: tuple[Name, ...] = tuple(PEERS)  # type: ignore[assignment]
    """Which peers; with none after it, nothing is trained and the table is printed from what there is."""
    seeds: tuple[int, ...] = (0,)
    """A run of each peer for each."""
    core_minutes: float = 15.0
    """Of training a run, as CPU time of all threads; measuring comes on top."""
    gpu_minutes: float | None = None
    """Train on a GPU for this time instead."""
    threads: int = 1
    frames: int = 120
    """Of each test clip, from its middle; each clip is seen by one camera."""

    @property
    def conditions(self) -> dict[str, Any]:
        """What all rows of a table share."""
        return {
            "trained_on": sorted(folder.name for folder in self.data),
            "tested_on": [folder.name for folder in self.test or self.data],
            "core_minutes": self.core_minutes if self.gpu_minutes is None else None,
            "gpu_minutes": self.gpu_minutes,
            "threads": self.threads,
            "frames": self.frames,
        }


def compare(
    comparison: Comparison, report: Report = print, base: TrainConfig | None = None, peers: dict[str, Peer] = PEERS
) -> dict[str, Any]:
    """Train and measure what is missing; write and return the table of what there is.

    Args:
        comparison: What to run.
        report: Told each run's progress.
        base: The run that all have in common; the recipe `mocap` with `PHASES` where not given.
        peers: By name.

    Raises:
        ValueError: If a folder holds a run with other options.
    """
    base = replace(mocap(), phases=PHASES) if base is None else base
    for seed, name in product(comparison.seeds, comparison.only):
        if run(comparison, peers[name], seed, base, report) is None:
            report("stopped; the same command goes on from here")
            break
        write_table(comparison, peers)
    return write_table(comparison, peers)


def run(comparison: Comparison, peer: Peer, seed: int, base: TrainConfig, report: Report) -> dict[str, Any] | None:
    """A run's result, from its file or of a training that begins or goes on now; None if it was stopped."""
    folder = comparison.out / peer.name / str(seed)
    if (known := read(folder)) is not None:
        if known["conditions"] != comparison.conditions:
            raise ValueError(f"{folder} holds a run with other options; choose another --out, or give it the same ones")
        return known
    report(f"{peer.title}, seed {seed}")
    engine = PeerRun.of(peer).start(config_of(comparison, peer, seed, base), report)
    begun, first = time.process_time(), engine.step
    engine.go(report)
    engine.save()
    if engine.step < engine.config.steps:
        return None
    spent = (time.process_time() - begun) / 60
    result = {
        "peer": peer.name,
        "seed": seed,
        "conditions": comparison.conditions,
        "measured": measured(engine, comparison.test or comparison.data, comparison.frames, report),
        "spent_core_minutes": round(spent, 2) if first == 0 else None,
        "config": plain(engine.config),
        "hardware": hardware(engine.device),
        "versions": versions(),
    }
    with atomic_write(folder / "result.json") as path:
        path.write_text(json.dumps(result, indent=1))
    return result


def config_of(comparison: Comparison, peer: Peer, seed: int, base: TrainConfig) -> RunConfig:
    """One run: everything as in all, but for what makes the peer."""
    budget: dict[str, Any] = {"core_minutes": comparison.core_minutes}
    if comparison.gpu_minutes is not None:
        budget = {"budget": f"{comparison.gpu_minutes:g}m", "device": "cuda"}
    return replace(
        base, data=comparison.data, out=comparison.out / peer.name / str(seed), seed=seed, threads=comparison.threads,
        validate_every=_NEVER, **budget, **peer.change,
    )  # fmt: skip


def read(folder: Path) -> dict[str, Any] | None:
    """A run's result, if it has one."""
    path = folder / "result.json"
    return json.loads(path.read_text()) if path.is_file() else None


def write_table(comparison: Comparison, peers: dict[str, Peer]) -> dict[str, Any]:
    """table.json and table.md from all results that there are under these conditions, whatever was asked for now."""
    rows = []
    for peer in peers.values():
        found = [read(path.parent) for path in sorted((comparison.out / peer.name).glob("*/result.json"))]
        same = [one for one in found if one is not None and one["conditions"] == comparison.conditions]
        if same:
            rows.append({"name": peer.name, "title": peer.title, "steps": peer.steps, "runs": same})
    table = {"conditions": comparison.conditions, "rows": rows, "versions": versions()}
    comparison.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("table.json", json.dumps(table, indent=1)), ("table.md", markdown(table))):
        with atomic_write(comparison.out / name) as path:
            path.write_text(text)
    return table


def markdown(table: dict[str, Any]) -> str:
    """Means over the seeds, +- their standard deviation where there are several; errors as MPJPE / P-MPJPE, mm."""
    conditions = table["conditions"]
    errors = {"val": f"{', '.join(conditions['trained_on'])} val"}
    for name in conditions["tested_on"]:
        errors |= {f"{name}_h1k1": f"{name} H=1 K=1", f"{name}_p_agg": f"{name} P-Agg"}
    header = ["", "seeds", "weights, M", "GMAC a window", "steps", *errors.values(), f"H={HYPOTHESES}, K="]
    lines = [told(conditions), "", line(header), line(["---", *["--:"] * (len(header) - 1)])]
    for row in table["rows"]:
        found = [one["measured"] for one in row["runs"]]
        cells = [spread(found, key, digits) for key, digits in (("trained_m", 2), ("window_gmacs", 2), ("steps", 0))]
        cells += [" / ".join(spread(found, f"{key}{part}_mm", 1) for part in ("_mpjpe", "_p_mpjpe")) for key in errors]
        lines.append(line([row["title"], str(len(found)), *cells, str(row["steps"] or "-")]))
    return "\n".join(lines) + "\n"


def told(conditions: dict[str, Any]) -> str:
    """The conditions in words."""
    budget = f"{conditions['core_minutes']} core-minutes on {conditions['threads']} thread(s)"
    if conditions["gpu_minutes"] is not None:
        budget = f"{conditions['gpu_minutes']} GPU-minutes"
    return (
        f"Trained on {', '.join(conditions['trained_on'])} for {budget} each, by the same engine; the last average. "
        f"MPJPE / P-MPJPE, mm, exact 2D. val: windows as while training, no flip. Test sets: the mocap protocol's "
        f"cameras, one a clip instead of four, the {conditions['frames']} frames in the middle of every test clip, "
        "flip on; so not to be set beside figures of the whole protocol."
    )


def spread(found: Sequence[dict[str, Any]], key: str, digits: int) -> str:
    """Mean and standard deviation; a dash for what the peer does not have."""
    values = [one[key] for one in found if key in one]
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} +- {statistics.stdev(values):.{digits}f}"


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"

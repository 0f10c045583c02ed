"""What the published protocols share: sequences in, each lifted and counted, tables out."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dreampose3d import __version__
from dreampose3d.evaluation.counting import (
    AGGREGATIONS,
    Counted,
    Counting,
    Predict,
    Tally,
    count_as_d3dp,
    count_clean,
)
from dreampose3d.evaluation.inputs import scene_of
from dreampose3d.evaluation.tables import Report, Table, to_csv
from dreampose3d.metrics import mpjpe
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17, Skeleton, skeleton_named

_COLUMNS = 16
"""More actions or sequences than these stand in rows, not in columns."""


class Metric(NamedTuple):
    """One number of a pose."""

    key: str
    """Its name in files."""
    name: str
    """Its name for people, with the unit."""
    measure: Callable[[Counted, Skeleton], Float[Tensor, "A F"]]


MPJPE = Metric("mpjpe_mm", "MPJPE, mm", lambda counted, _: mpjpe(counted.poses, counted.true))
P_MPJPE = Metric("p_mpjpe_mm", "P-MPJPE, mm", lambda counted, _: mpjpe(counted.aligned, counted.true))


class D3DPCounting(NamedTuple):
    """How D3DP counts on a data set (see `count_as_d3dp`)."""

    batch: int
    each_frame_once: bool


@dataclass(frozen=True)
class Protocol:
    """A data set, how it is read, and what is printed of it."""

    name: str
    title: str
    """What stands over the tables: the data, and which of the protocols that go by its name."""
    read: Callable[[Path, str, str], Iterator[PoseSequence]]
    """(folder, split, 2D: "gt" or the name of a set's own detections) -> sequences with truth, 2D and camera."""
    metrics: tuple[Metric, ...]
    part: Callable[[PoseSequence], str]
    """Which action or sequence of the table a sequence belongs to."""
    parts: Literal["actions", "sequences"]
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    """Parts in the order of the table, with their names in it; others follow."""
    as_d3dp: D3DPCounting | None = None
    """How D3DP counts here, if it does."""
    admit: Callable[[Sequence[str]], None] = lambda trained_on: None
    """Refuses weights by what they were trained on."""
    remark: Callable[[PoseSequence], str] = lambda sequence: ""
    """What the first sequence tells of the data, to be printed."""


@dataclass(frozen=True)
class ProtocolConfig:
    """What is evaluated and how; written beside every result."""

    protocol: str
    data: str
    split: str = "test"
    input: str = "gt"
    """Exact 2D (gt), with the errors of `data.noise` (noisy), a set's own detections by name, or a folder of files."""
    hypotheses: int = 1
    """H."""
    steps: int = 1
    """K."""
    eta: float = 0.0
    span: float = 1.0
    clamp: float | None = None
    flip: Literal["inside", "over", "off"] = "inside"
    compatible: Literal["d3dp"] | None = None
    """Whose counting, if not ours."""
    window: int = 243
    """Frames that the network sees at once."""
    batch: int | None = None
    """Windows that P-Best chooses for in D3DP's counting; D3DP's own number for the data where not given."""
    seed: int = 0
    skeleton: str = H36M_17.name
    """The lifter's joints."""
    weights: str = ""
    weights_sha256: str = ""
    trained_on: tuple[str, ...] = ()
    threads: int = field(default_factory=torch.get_num_threads)
    version: str = __version__

    def __post_init__(self) -> None:
        for name in ("hypotheses", "steps", "window", "batch"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


def evaluate_protocol(
    protocol: Protocol,
    predict: Predict,
    config: ProtocolConfig,
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Lift every sequence of a data set and compare with the truth.

    Args:
        protocol: Which.
        predict: The lifter; called once at H, K and, unless these are 1, once more at H = 1, K = 1, for each sequence
            (clean) or window (D3DP's counting), under a name of its own.
        config: What to evaluate. Poses in its `skeleton` are converted to the truth's joints by name.
        progress: Told (frames done, None) after each sequence.

    Returns:
        `average` (the unweighted mean over the parts, as papers print it), `overall` (the mean over all frames) and
        `parts`, each: aggregation -> metric -> number; `counts`; `config`. Ready for JSON.

    Raises:
        FileNotFoundError: If a file of the data is missing.
        ValueError: If the data holds no such split, 2D or scale, or the lifter returns another shape.
    """
    protocol.admit(config.trained_on)
    config, count = _counting(protocol, config)
    skeleton = skeleton_named(config.skeleton)
    tallies: dict[str, Tally] = {}
    sequences: Counter[str] = Counter()
    first: PoseSequence | None = None
    done = 0
    for sequence in protocol.read(Path(config.data), config.split, _own_2d(config.input)):
        part, scene = protocol.part(sequence), scene_of(sequence, config.input)
        counted = count(_in_joints_of(scene.skeleton, predict, skeleton), scene, config.hypotheses, config.steps)
        values = {metric.key: metric.measure(counted, scene.skeleton) for metric in protocol.metrics}
        tallies.setdefault(part, Tally([metric.key for metric in protocol.metrics])).add(values)
        sequences[part] += 1
        first = sequence if first is None else first
        done += len(sequence)
        if progress is not None:
            progress(done, None)
    if first is None:
        raise ValueError(f"{config.data} has no sequence of the split {config.split!r}")
    order = [*(part for part in protocol.abbreviations if part in tallies), *sorted(tallies)]
    return _result(protocol, config, {part: tallies[part] for part in order}, sequences, first)


def report(result: Mapping[str, Any]) -> Report:
    """A result as tables: all metrics of the averages; then each metric with a column (or row) for each part."""
    counts, names = result["counts"], result["names"]
    whole, frames = f"{names['parts']}: mean of {len(result['parts'])}", f"all {counts['frames']} frames"
    keys = list(names["metrics"])
    header = [whole, *names["metrics"].values(), *(f"{name} ({frames})" for name in names["metrics"].values())]
    rows = [
        [name, *(f"{result[of][key][metric]:.1f}" for of in ("average", "overall") for metric in keys)]
        for key, name in AGGREGATIONS.items()
    ]
    tables = [Table(header, rows)]
    columns = {names["short"].get(part, part): errors for part, errors in result["parts"].items()}
    columns |= {"average": result["average"], "all frames": result["overall"]}
    for metric, name in names["metrics"].items():
        rows = [
            [aggregation, *(f"{errors[key][metric]:.1f}" for errors in columns.values())]
            for key, aggregation in AGGREGATIONS.items()
        ]
        tables.append(_upright(Table([name, *columns], rows)))
    return Report(_conditions(result), tables)


def comma_separated(result: Mapping[str, Any]) -> str:
    """A result as CSV: a line for each part and aggregation, for their average, and for all frames."""
    counts = result["counts"]
    parts = result["parts"] | {"average": result["average"], "all frames": result["overall"]}
    frames = {part: count["frames"] for part, count in counts["parts"].items()} | {"all frames": counts["frames"]}
    config = result["config"]
    return to_csv(parts, frames, config | {"trained_on": " ".join(config["trained_on"])})


def _counting(protocol: Protocol, config: ProtocolConfig) -> tuple[ProtocolConfig, Counting]:
    if config.compatible is None:
        return config, count_clean
    if protocol.as_d3dp is None:
        raise ValueError(f"D3DP has no counting for the protocol {protocol.name}; leave --compatible out")
    batch = config.batch or protocol.as_d3dp.batch
    counting = count_as_d3dp(config.window, batch, each_frame_once=protocol.as_d3dp.each_frame_once)
    return replace(config, batch=batch), counting


def _own_2d(input: str) -> str:
    """The set's own 2D that is needed: its detections by name, or the exact one."""
    return "gt" if input == "noisy" or Path(input).is_dir() else input


def _in_joints_of(target: Skeleton, predict: Predict, skeleton: Skeleton) -> Predict:
    """The lifter's poses in the joints of the truth, relative to its root."""

    def converted(sequence: PoseSequence, hypotheses: int, steps: int) -> Tensor:
        poses = predict(sequence, hypotheses, steps)
        joints = torch.from_numpy(skeleton.to(target, poses.cpu().numpy())[0])
        return joints - joints[..., target.root, None, :]

    return predict if skeleton == target else converted


def _result(
    protocol: Protocol,
    config: ProtocolConfig,
    tallies: Mapping[str, Tally],
    sequences: Mapping[str, int],
    first: PoseSequence,
) -> dict[str, Any]:
    overall = sum(tallies.values(), start=Tally([metric.key for metric in protocol.metrics]))
    parts = {part: tally.means() for part, tally in tallies.items()}
    average = {
        name: {key: sum(of[name][key] for of in parts.values()) / len(parts) for key in overall.metrics}
        for name in AGGREGATIONS
    }
    frames = {part: int(tally.counts[0]) for part, tally in tallies.items()}
    remark = f" ({said})" if (said := protocol.remark(first)) else ""
    return {
        "average": average,
        "overall": overall.means(),
        "parts": parts,
        "counts": {
            "sequences": sum(sequences.values()),
            "frames": sum(frames.values()),
            "parts": {part: {"sequences": sequences[part], "frames": frames[part]} for part in parts},
        },
        "names": {
            "title": f"{protocol.title}{remark}",
            "joints": first.skeleton.name,
            "parts": protocol.parts,
            "metrics": {metric.key: metric.name for metric in protocol.metrics},
            "short": {part: protocol.abbreviations[part] for part in parts if part in protocol.abbreviations},
        },
        "config": asdict(config) | {"trained_on": list(config.trained_on)},
    }


def _conditions(result: Mapping[str, Any]) -> str:
    config, counts = result["config"], result["counts"]
    counting = {
        None: "each valid frame once",
        "d3dp": f"D3DP's (windows of {config['window']}, batches of {config['batch']})",
    }[config["compatible"]]
    joints = result["names"]["joints"]
    converted = f", joints {config['skeleton']} -> {joints} by name" if config["skeleton"] != joints else ""
    clamp = f" clamp={config['clamp']:g}" if config["clamp"] else ""
    trained = f" (trained on {', '.join(config['trained_on'])})" if config["trained_on"] else ""
    return (
        f"{result['names']['title']}, {config['split']}, {config['input']} 2D; "
        f"weights {config['weights']}{trained}{converted}; "
        f"H={config['hypotheses']} K={config['steps']} eta={config['eta']:g} span={config['span']:g}{clamp} "
        f"flip={config['flip']} seed={config['seed']}; "
        f"counting: {counting}; {counts['sequences']} sequences, {counts['frames']} frames"
    )


def _upright(table: Table) -> Table:
    """Turned on its side if it has too many columns."""
    if len(table.header) <= _COLUMNS + 3:
        return table
    first, *rows = zip(table.header, *table.rows, strict=True)
    return Table(first, rows)

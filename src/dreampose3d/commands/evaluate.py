"""`dreampose3d evaluate`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from dreampose3d.commands.console import CHOSEN, Device, Progress, given

if TYPE_CHECKING:
    from torch import Tensor

    from dreampose3d.evaluation.tables import Report
    from dreampose3d.lifting.lifter import LiftOptions
    from dreampose3d.sequence import PoseSequence

FlipMode = Literal["inside", "over", "off"]
D3DPS_SAMPLER = {"eta": 1.0, "span": 1.0, "clamp": 1.1}
Name = Literal["mocap", "h36m", "3dhp-a", "3dhp-b", "3dhp-c", "mlb"]
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]


def evaluate(
    data: Annotated[Path, arg(metavar="DIR")],
    input: Annotated[str, arg(metavar="gt|noisy|NAME|DIR")],
    protocol: Name = "mocap",
    split: Annotated[str, arg(metavar="NAME")] = "test",
    set_name: Annotated[str | None, arg(name="set", metavar="NAME", help_behavior_hint="")] = None,
    weights: Annotated[str, arg(metavar="small|PATH")] = "small",
    hypotheses: Annotated[int | None, arg(metavar="H", help_behavior_hint=CHOSEN)] = None,
    steps: Annotated[int | None, arg(metavar="K", help_behavior_hint=CHOSEN)] = None,
    eta: Annotated[float | None, arg(metavar="E", help_behavior_hint="(default: 0; for d3dp: 1)")] = None,
    span: Annotated[float | None, arg(metavar="S", help_behavior_hint="(default: as in lift; for d3dp: 1)")] = None,
    clamp: Annotated[float | None, arg(metavar="M", help_behavior_hint="(default: as trained; for d3dp: 1.1)")] = None,
    flip: bool = True,
    flip_mode: Annotated[FlipMode | None, arg(help_behavior_hint="(default: inside)")] = None,
    compatible: Annotated[Literal["d3dp"] | None, arg(help_behavior_hint="")] = None,
    batch: Annotated[int | None, arg(metavar="B", help_behavior_hint="(default: D3DP's own)")] = None,
    seed: Annotated[int, arg(metavar="S")] = 0,
    markdown: File = None,
    csv: File = None,
    json: File = None,
    latex: File = None,
    device: Device = "auto",
) -> None:
    """Measure the lifter: on any motion capture, or by the published protocols.

    Oracles, which choose with the ground truth, are marked as such; they are no result that a user can have.
    docs/evaluation.md says what each protocol counts.

    Args:
        data: The files of the data set. mocap: a set's folder, or a folder of set folders with --set.
        input: Exact 2D (gt), 2D with a detector's errors (noisy), the data set's own detections by name (such as
            cpn_ft_h36m_dbb), or a folder with a keypoint file for each sequence.
        protocol: mocap puts four virtual cameras around each clip. 3dhp-a, -b and -c are three that go by one name:
            people scaled to one height (univ_annot3), true size (annot3), weights that never saw the data.
        split: mocap: any value of the index's column split.
        set_name: Which set, if --data holds several (mocap).
        weights: The weights that ship, by name, or a weights file.
        hypotheses: H, as in lift.
        steps: K, as in lift.
        eta: Noise put back at each step: 0 none, 1 all.
        span: Share of the noise schedule, from its noisy end, over which the steps are spread.
        clamp: Clip noisy poses and their estimates to this many metres, as some weights were trained.
        flip: Lift the mirrored input too and take the mean.
        flip_mode: Where that mean is taken: inside every step, over two whole samplings, or not at all.
        compatible: Sample and count as D3DP does, only to compare with numbers published so.
        batch: Windows for which its P-Best chooses one hypothesis.
        seed: Of the noise.
        markdown: Write the tables here as well.
        csv: Write every number here, one line each action (or sequence) and aggregation.
        json: Write every number here.
        latex: Write the tables here for a paper.
        device: Where the network runs.
    """
    from dreampose3d.evaluation.tables import to_latex, to_markdown, write_result, write_text
    from dreampose3d.files import check_folder_writable
    from dreampose3d.lifting.lifter import LiftOptions

    for file in (markdown, csv, json, latex):
        if file is not None:
            check_folder_writable(file.parent)
    if protocol == "mocap":
        _refuse("is for the published protocols, not for mocap", compatible=compatible, span=span, clamp=clamp)
    else:
        _refuse(f"is for the protocol mocap, not for {protocol}", set=set_name)
    if compatible is None:
        _refuse("is for D3DP's counting: give --compatible d3dp with it, or leave it out", batch=batch)
    mode = _flip_mode(flip, flip_mode)
    options = LiftOptions(
        flip=mode != "off",
        flip_mode="over" if mode == "over" else "inside",
        seed=seed,
        **(D3DPS_SAMPLER if compatible == "d3dp" else {})
        | given(hypotheses=hypotheses, steps=steps, eta=eta, span=span, clamp=clamp),
    )
    if protocol == "mocap":
        result, report, lines = _mocap(data, split, set_name, input, weights, options, device)
    else:
        result, report, lines = _published(
            protocol, data, split, input, weights, options, device, compatible=compatible, batch=batch
        )
    print(to_markdown(report))
    for file, text in ((markdown, to_markdown(report)), (csv, lines), (latex, to_latex(report))):
        if file is not None:
            write_text(text, file)
    if json is not None:
        write_result(result, json)


def _mocap(
    data: Path, split: str, set_name: str | None, input: str, weights: str, options: "LiftOptions", device: Device
) -> tuple[dict[str, Any], "Report", str]:
    """The result, its tables, and its lines of CSV."""
    from dreampose3d.evaluation import mocap
    from dreampose3d.lifting.lifter import Lifter

    if input not in ("gt", "noisy"):
        raise ValueError(f"expected --input gt or noisy for the protocol mocap, which films by itself; got {input!r}")
    lifter = Lifter.load(weights, device)
    config = mocap.EvaluationConfig(
        data=str(data),
        split=split,
        set=set_name,
        input="noisy" if input == "noisy" else "gt",
        hypotheses=options.hypotheses,
        steps=options.steps,
        eta=options.eta,
        flip="over" if options.flip and options.flip_mode == "over" else options.flip,
        seed=options.seed,
        weights=weights,
        weights_sha256=lifter.weights.sha256,
    )

    def predict(sequence: "PoseSequence", hypotheses: int, steps: int) -> "Tensor":
        return lifter.hypotheses(sequence, replace(options, hypotheses=hypotheses, steps=steps))

    with Progress("evaluating") as progress:
        result = mocap.evaluate_mocap(predict, config, lambda clip: lifter.count_windows(clip, options), progress.of)
    return result, mocap.report(result), mocap.comma_separated(result)


def _published(
    name: str, data: Path, split: str, input: str, weights: str, options: "LiftOptions", device: Device, **counting: Any
) -> tuple[dict[str, Any], "Report", str]:
    """The result, its tables, and its lines of CSV."""
    from dreampose3d.evaluation import protocol
    from dreampose3d.evaluation.mocap import stable_seed
    from dreampose3d.evaluation.published import PUBLISHED
    from dreampose3d.lifting.lifter import Lifter

    lifter = Lifter.load(weights, device)
    config = protocol.ProtocolConfig(
        protocol=name,
        data=str(data),
        split=split,
        input=input,
        hypotheses=options.hypotheses,
        steps=options.steps,
        eta=options.eta,
        span=options.span,
        clamp=lifter.clamp(options),
        flip=options.flip_mode if options.flip else "off",
        window=lifter.config.frames,
        seed=options.seed,
        skeleton=lifter.skeleton.name,
        weights=weights,
        weights_sha256=lifter.weights.sha256,
        trained_on=tuple(lifter.weights.card.get("data", ())),
        **counting,
    )

    def predict(sequence: "PoseSequence", hypotheses: int, steps: int) -> "Tensor":
        seed = stable_seed(f"{options.seed} {sequence.name}")  # noise of its own for each sequence or window
        return lifter.hypotheses(sequence, replace(options, hypotheses=hypotheses, steps=steps, seed=seed))

    with Progress("evaluating: frame") as progress:
        result = protocol.evaluate_protocol(PUBLISHED[name], predict, config, progress.of)
    return result, protocol.report(result), protocol.comma_separated(result)


def _flip_mode(flip: bool, mode: FlipMode | None) -> FlipMode:
    if not flip and mode not in (None, "off"):
        raise ValueError(f"--no-flip and --flip-mode {mode} contradict each other; leave one of them out")
    return mode or ("inside" if flip else "off")


def _refuse(why: str, **options: Any) -> None:
    """Options that would do nothing."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"--{name} {why}")

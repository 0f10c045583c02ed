"""`dreampose3d evaluate`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from dreampose3d.commands.console import CHOSEN, Device, Progress, given


def evaluate(
    data: Annotated[Path, arg(metavar="DIR")],
    split: Annotated[str, arg(metavar="NAME")],
    input: Literal["gt", "noisy"],
    set_name: Annotated[str | None, arg(name="set", metavar="NAME", help_behavior_hint="")] = None,
    weights: Annotated[str, arg(metavar="small|PATH")] = "small",
    hypotheses: Annotated[int | None, arg(metavar="H", help_behavior_hint=CHOSEN)] = None,
    steps: Annotated[int | None, arg(metavar="K", help_behavior_hint=CHOSEN)] = None,
    flip: bool = True,
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    device: Device = "auto",
) -> None:
    """Measure the lifter on motion capture: four virtual cameras a clip, one row an action and one in all.

    Oracles, which choose with the ground truth, are marked as such; they are no result that a user can have.

    Args:
        data: A set's folder (index.csv and npz files), or a folder of set folders with --set.
        split: Any value of the index's column split.
        input: Exact 2D (gt), or 2D with a detector's errors (noisy).
        set_name: Which set, if --data holds several.
        weights: The weights that ship, by name, or a weights file.
        hypotheses: H, as in lift.
        steps: K, as in lift.
        flip: Lift the mirrored input too and take the mean.
        json: Write the table here as well.
        device: Where the network runs.
    """
    import torch

    from dreampose3d.evaluation import EvaluationConfig, evaluate_mocap, format_table, write_result
    from dreampose3d.files import check_folder_writable
    from dreampose3d.lifting.lifter import Lifter, LiftOptions
    from dreampose3d.sequence import PoseSequence

    if json is not None:
        check_folder_writable(json.parent)
    options = LiftOptions(flip=flip, **given(hypotheses=hypotheses, steps=steps))
    lifter = Lifter.load(weights, device)
    config = EvaluationConfig(
        data=str(data),
        split=split,
        set=set_name,
        input=input,
        hypotheses=options.hypotheses,
        steps=options.steps,
        eta=options.eta,
        flip=flip,
        seed=options.seed,
        weights=weights,
        weights_sha256=lifter.weights.sha256,
    )

    def predict(sequence: PoseSequence, hypotheses: int, steps: int) -> torch.Tensor:
        return lifter.hypotheses(sequence, replace(options, hypotheses=hypotheses, steps=steps))

    with Progress("evaluating") as progress:
        result = evaluate_mocap(predict, config, lambda clip: lifter.count_windows(clip, options), progress.of)
    print(format_table(result))
    if json is not None:
        write_result(result, json)

"""The command line: one typed function a command.

Heavy modules are imported inside the functions, so that `--help` answers at once.
"""

import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from dreampose3d import __version__

Device = Literal["auto", "cpu", "cuda", "mps"]
USER_ERROR, INTERRUPTED = 2, 130
_CHOSEN = "(default: chosen by measurement, see README)"


def lift(
    input: Annotated[Positional[Path], arg(metavar="INPUT")],
    out: Annotated[Path, arg(metavar="DIR")],
    detector: Literal["blazepose", "rtmpose"] = "blazepose",
    fps: Annotated[float | None, arg(metavar="F", help_behavior_hint="")] = None,
    size: Annotated[str | None, arg(metavar="WxH", help_behavior_hint="")] = None,
    skeleton: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None,
    fov: Annotated[float | None, arg(metavar="D", help_behavior_hint="")] = None,
    focal: Annotated[float | None, arg(metavar="PX", help_behavior_hint="")] = None,
    calib: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None,
    weights: Annotated[str, arg(metavar="small|PATH")] = "small",
    hypotheses: Annotated[int | None, arg(metavar="H", help_behavior_hint=_CHOSEN)] = None,
    steps: Annotated[int | None, arg(metavar="K", help_behavior_hint=_CHOSEN)] = None,
    eta: Annotated[float | None, arg(metavar="E", help_behavior_hint=_CHOSEN)] = None,
    flip: bool = True,
    aggregate: Literal["p-agg", "j-agg"] = "p-agg",
    save_hypotheses: bool = False,
    seed: Annotated[int, arg(metavar="S")] = 0,
    device: Device = "auto",
    window: Annotated[int | None, arg(metavar="N", help_behavior_hint=_CHOSEN)] = None,
    overlap: Annotated[int | None, arg(metavar="M", help_behavior_hint=_CHOSEN)] = None,
    overlay: bool = True,
) -> None:
    """Lift a video or 2D keypoints to 3D motion.

    Writes <name>.pose3d.npz, <name>.json, <name>.html and <name>.overlay.mp4: all of them or none.

    Args:
        input: A video, or an npz file with keypoints_px (N, K, 2), fps, size and skeleton (docs/conventions.md).
        out: The folder for the results.
        detector: What finds the 2D joints in a video.
        fps: Frames per second, where the file does not say or says it wrong.
        size: Width and height of the image in pixels, where a keypoint file does not say.
        skeleton: The keypoints' convention: h36m_17, mpi_inf_3dhp_17, coco_17, blazepose_33, halpe_26, body_25.
        fov: Field of view over the longer image side, degrees; 55 is assumed where nothing is known.
        focal: Focal length in pixels.
        calib: Calibration: Pose2Sim TOML, Qualisys .qca.txt, OpenCV YAML or our JSON.
        weights: The weights that ship, by name, or a weights file.
        hypotheses: How many times to lift; their mean is the result, their spread its uncertainty.
        steps: Denoising steps of each.
        eta: Noise put back at each step: 0 none, 1 all.
        flip: Lift the mirrored input too and take the mean.
        aggregate: How hypotheses become one: mean (p-agg), or per joint the best reprojected (j-agg).
        save_hypotheses: Keep every hypothesis in the npz file.
        seed: Of the noise: equal seeds give equal files.
        device: Where the network runs.
        window: Frames that the network sees at once.
        overlap: Frames that neighbouring windows share.
        overlay: Write the overlay video.
    """
    from dreampose3d.files import check_folder_writable

    size_px = None if size is None else _parsed_size(size)
    if not input.exists():
        raise FileNotFoundError(f"no such file: {input}")
    check_folder_writable(out)

    from dreampose3d.export.results import write_results
    from dreampose3d.lifting.lifter import Lifter, LiftOptions
    from dreampose3d.lifting.source import choose_camera, read_2d
    from dreampose3d.lifting.video import is_video

    options = LiftOptions(
        flip=flip,
        seed=seed,
        save_hypotheses=save_hypotheses,
        aggregate=aggregate,
        **_given(hypotheses=hypotheses, steps=steps, eta=eta, window=window, overlap=overlap),
    )
    camera = choose_camera(fov, focal, calib, hint=input.stem)
    lifter = Lifter.load(weights, device)  # before the detector, which takes longest: what is wrong shows at once
    with _Progress(f"finding the person ({detector})") as progress:
        sequence = read_2d(input, camera, detector, fps, size_px, skeleton, progress.of)
    with _Progress("lifting") as progress:
        motion = lifter.lift(sequence, options, progress)
    page = write_results(motion, out, input if is_video(input) else None, overlay)
    print(f"open {page}")


def evaluate(
    data: Annotated[Path, arg(metavar="DIR")],
    split: Annotated[str, arg(metavar="NAME")],
    input: Literal["gt", "noisy"],
    set_name: Annotated[str | None, arg(name="set", metavar="NAME", help_behavior_hint="")] = None,
    weights: Annotated[str, arg(metavar="small|PATH")] = "small",
    hypotheses: Annotated[int | None, arg(metavar="H", help_behavior_hint=_CHOSEN)] = None,
    steps: Annotated[int | None, arg(metavar="K", help_behavior_hint=_CHOSEN)] = None,
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
    options = LiftOptions(flip=flip, **_given(hypotheses=hypotheses, steps=steps))
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

    with _Progress("evaluating") as progress:
        result = evaluate_mocap(predict, config, lambda clip: lifter.count_windows(clip, options), progress.of)
    print(format_table(result))
    if json is not None:
        write_result(result, json)


def train(*arguments: str) -> None:
    """Train on motion capture, or go on with a run.

    Its options are the fields of TrainConfig, which needs torch: so they are parsed in here. Ctrl-C stops at a
    checkpoint, from which the same command goes on.
    """
    from dreampose3d.training.config import TrainConfig
    from dreampose3d.training.trainer import train as run

    print(run(tyro.cli(TrainConfig, prog="dreampose3d train", args=arguments), report=_say))


def info() -> None:
    """Tell the presets' sizes and costs, the weights that ship, and the versions in use."""
    from dreampose3d.model.info import overview

    print(overview())


def fetch(what: Positional[Literal["blazepose", "pose2sim", "sports2d"]]) -> None:
    """Download once what the package may not ship, checked by SHA-256, and print the folder that it is in.

    Args:
        what: The default detector's weights (Apache-2.0), or a demo clip (BSD-3-Clause).
    """
    from dreampose3d.lifting.fetch import fetch as fetch_once

    print(fetch_once(what, report=_say))


COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command for command in (lift, evaluate, train, info, fetch)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for what the user can put right, 130 for Ctrl-C."""
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(f"dreampose3d {__version__}")
        return 0
    if name not in COMMANDS:
        _say(f"dreampose3d: error: unknown command {name!r}; the commands are {', '.join(COMMANDS)}")
        return USER_ERROR
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: _say(f"dreampose3d: note: {message}")
            if name == "train":
                train(*rest)
            else:
                tyro.cli(COMMANDS[name], prog=f"dreampose3d {name}", args=rest)
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        return INTERRUPTED
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("DREAMPOSE3D_DEBUG"):
            raise
        _say(f"dreampose3d: error: {error}")
        return USER_ERROR
    return 0


def _overview() -> str:
    """The help of the whole: a line a command."""
    lines = {name: (command.__doc__ or "").splitlines()[0] for name, command in COMMANDS.items()}
    return "\n".join(
        [
            "usage: dreampose3d COMMAND [OPTIONS]      dreampose3d COMMAND --help tells the options",
            "",
            "A video or 2D keypoints in, 3D human motion out.",
            "",
            *(f"  {name:10}{line}" for name, line in lines.items()),
            "",
            "Set DREAMPOSE3D_DEBUG=1 to see where an error comes from.",
        ]
    )


def _parsed_size(text: str) -> tuple[int, int]:
    """`1920x1080` as (1920, 1080)."""
    found = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not found or not min(size := (int(found[1]), int(found[2]))):
        raise ValueError(f"expected --size as WxH in pixels, such as 1920x1080; got {text!r}")
    return size


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others keep the lifter's defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _say(line: str) -> None:
    print(line, file=sys.stderr)


class _Progress:
    """A percentage on standard error, if that is a terminal."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.shown = ""

    def __call__(self, share: float) -> None:
        """Show a share of the work, in [0, 1]."""
        self._show(f"{self.doing}: {share:4.0%}")

    def of(self, done: int, whole: int | None) -> None:
        """Show a count; the whole may be unknown."""
        self._show(f"{self.doing}: {done / whole:4.0%}" if whole else f"{self.doing}: {done}")

    def _show(self, line: str) -> None:
        if line != self.shown and sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self.shown = line

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            _say("")


if __name__ == "__main__":
    sys.exit(main())

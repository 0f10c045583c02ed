"""What fitting the result to its 2D and to its bones gives (`lifting/fitting.py`), whole and part by part.

Every clip of a split is cut to the frames about its fastest wrist and seen by one camera: exact 2D, the evaluation's
noisy 2D, and 2D with the errors of a real detector (BlazePose's, as fitted). It is lifted once, at H=1 K=1 with flip,
and what is lifted is fitted in every way. The constants were chosen by this table on cmu's split val.

    python benchmarks/fitting.py --data MOCAP/cmu
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from jitter import Jitter, filmed
from torch import Tensor

from dreampose3d.data.noise import add_detector_noise, blazepose_noise
from dreampose3d.evaluation import FilmedClip
from dreampose3d.evaluation.mocap import stable_seed
from dreampose3d.evaluation.tables import Report, Table, to_markdown, write_result
from dreampose3d.lifting import fitting
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import acceleration_error, acceleration_magnitude, mpjpe, p_mpjpe
from dreampose3d.skeleton import H36M_17

NEVER = 1e9
WAYS: Mapping[str, Mapping[str, float] | None] = {
    "as the network has it": None,
    "fitted": {},
    "without its 2D": {"NOISE_TIMES": NEVER},
    "without its bones": {"BONE_MM": NEVER},
    "not steadied": {"CLEAN_MM": NEVER},
    "depth as fast as it comes": {"DEPTH_HZ": NEVER},
}
"""Constants of the module other than its own."""


@dataclass(frozen=True)
class Fitting:
    """What to fit."""

    data: Path
    split: str = "val"
    weights: str = "small"
    every: int = 1
    """Take every so-manieth clip."""
    frames: int = 150
    """Of each clip, at most: those about its fastest wrist."""
    threads: int = 1
    out: Path | None = None
    """A JSON file for the numbers."""


def main(args: Fitting) -> None:
    torch.set_num_threads(args.threads)
    lifter = Lifter.load(args.weights, "cpu")
    results = {input: summary(lifter, args, input) for input in ("gt", "noisy", "detected")}
    conditions = (
        f"{args.data.name} {args.split}, every {args.every}. clip, at most {args.frames} frames about the fastest "
        f"wrist, one camera each; weights {args.weights}, H=1 K=1, flip; MPJPE / P-MPJPE mm, acceleration as a ratio "
        "to the truth's and its error, m/s^2"
    )
    rows = [[way, *(cell(result[way]) for result in results.values())] for way in WAYS]
    print(to_markdown(Report(conditions, [Table(["", *results], rows)])))
    if args.out is not None:
        write_result({"conditions": conditions, "results": results}, args.out)


def seen(args: Fitting, input: str) -> Iterator[FilmedClip]:
    """The clips with their 2D."""
    jitter = Jitter(args.data, args.split, every=args.every, frames=args.frames)
    for clip in filmed(jitter, "noisy" if input == "noisy" else "gt"):
        if input != "detected":
            yield clip
            continue
        assert clip.sequence.keypoints_px is not None
        exact, generator = torch.from_numpy(clip.sequence.keypoints_px).double(), torch.Generator()
        generator.manual_seed(stable_seed(clip.sequence.name))
        keypoints, confidence = add_detector_noise(exact, clip.sequence.fps, generator, blazepose_noise())
        shown = replace(clip.sequence, keypoints_px=keypoints.float().numpy(), confidence=confidence.float().numpy())
        assert shown.camera is not None
        yield replace(clip, sequence=shown, rays=shown.camera.rays(keypoints), confidence=confidence)


def summary(lifter: Lifter, args: Fitting, input: str) -> dict[str, dict[str, float]]:
    """For every way the means over all frames and joints."""
    measured: dict[str, list[tuple[Tensor, ...]]] = {way: [] for way in WAYS}
    for clip in seen(args, input):
        (lifted,) = lifter.hypotheses(clip.sequence, LiftOptions(hypotheses=1, steps=1)).double()
        true = clip.joints_mm - clip.joints_mm[:, :1]
        for way, constants in WAYS.items():
            measured[way].append(measure(fitted(lifted, clip, constants), true, clip.sequence.fps))
    return {way: means([torch.cat(column) for column in zip(*clips, strict=True)]) for way, clips in measured.items()}


def fitted(
    lifted: Float[Tensor, "N J 3"], clip: FilmedClip, constants: Mapping[str, float] | None
) -> Float[Tensor, "N J 3"]:
    """The lifted poses, fitted with some constants changed, or as they are."""
    if constants is None:
        return lifted
    with changed(constants):
        return fitting.fit_to_2d(lifted, clip.rays, clip.confidence, clip.sequence.times, H36M_17)[0]


@contextmanager
def changed(constants: Mapping[str, float]) -> Iterator[None]:
    """With other constants of the module."""
    own = {name: getattr(fitting, name) for name in constants}
    for name, value in constants.items():
        setattr(fitting, name, value)
    yield
    for name, value in own.items():
        setattr(fitting, name, value)


def measure(found: Float[Tensor, "N J 3"], true: Float[Tensor, "N J 3"], fps: float) -> tuple[Tensor, ...]:
    """MPJPE, P-MPJPE, the size of the accelerations, that of the truth's, and their error; of every frame."""
    accelerations = (acceleration_magnitude(joints, fps) for joints in (found, true))
    return mpjpe(found, true), p_mpjpe(found, true), *accelerations, acceleration_error(found, true, fps)


def means(columns: list[Tensor]) -> dict[str, float]:
    """Over all frames."""
    error, aligned, found, true, missed = (float(column.mean()) for column in columns)
    return {"mpjpe_mm": error, "p_mpjpe_mm": aligned, "ratio": found / true, "acceleration_error_m_per_s2": missed}


def cell(result: Mapping[str, float]) -> str:
    """One way, one input."""
    error, aligned, ratio, missed = result.values()
    return f"{error:.1f} / {aligned:.1f}; {ratio:.2f}, {missed:.1f}"


if __name__ == "__main__":
    main(tyro.cli(Fitting))

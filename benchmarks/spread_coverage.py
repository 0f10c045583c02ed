"""Does the uncertainty keep its word: how many errors lie within `spread_mm` (68 % should), and does it follow them.

Sets of motion capture, every clip seen by one camera, with exact and with noisy 2D; of sets whose trunk is another's
than the training data's the limb joints count. With `--views` the four real views, too (limb joints, against the
triangulated reference of benchmarks/four_views.py). All relative to the middle of the hips. The rank correlation is
Spearman's, of spread and error over joints and frames pooled. *At true size*: as where the person's height is given
(`motion.scale.with_height`), but with the height at which its limbs' bones are in sum as long as the truth's, as trunks
are defined in many ways.

    python benchmarks/spread_coverage.py --data MOCAP/cmu MOCAP/bandai --views
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from jaxtyping import Bool, Float
from torch import Tensor

from dreampose3d.data.mocap import read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.evaluation.mocap import Input
from dreampose3d.evaluation.tables import Report, Table, to_markdown, write_result
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.motion.scale import body_height, with_height
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import BLAZEPOSE_33, H36M_17
from dreampose3d.view import MISSING_BELOW

LIMB_SETS = ("bandai", "spl", "obp")
LIMBS = sorted((*H36M_17.left, *H36M_17.right))
ALL_BUT_ROOT = [joint for joint in range(H36M_17.num_joints) if joint != H36M_17.root]
HIPS = list(H36M_17.indices("left_hip", "right_hip"))


@dataclass(frozen=True)
class Coverage:
    """Every so-manieth clip of each set's split, one camera each."""

    data: tuple[Path, ...]
    split: str = "test"
    weights: str = "small"
    every: int = 1
    """Take every so-manieth clip."""
    frames: int = 81
    """Of each clip, at most."""
    views: bool = False
    """The four real views, too: `dreampose3d fetch blazepose` and `dreampose3d fetch pose2sim` first."""
    hypotheses: int = LiftOptions.hypotheses
    steps: int = LiftOptions.steps
    threads: int = 1
    out: Path | None = None
    """A JSON file for the numbers."""


@dataclass(frozen=True)
class Judged:
    """Errors beside what was promised, mm."""

    error: Float[Tensor, "F J"]
    sized_error: Float[Tensor, "F J"]
    """At the truth's size."""
    spread: Float[Tensor, "F J"]
    sized_spread: Float[Tensor, "F J"]
    lost: Bool[Tensor, "F J"]

    @classmethod
    def of(cls, motion: LiftedMotion, true_mm: Float[Tensor, "F J 3"], frames: slice = slice(None)) -> "Judged":
        """A lifted motion's frames against the truth."""
        size = float(bones(true_mm) / bones(torch.from_numpy(motion.root_relative_mm[frames]).double()))
        height_m = size * body_height(motion.root_relative_mm, motion.skeleton, motion.confidence) / 1000
        errors, spreads = [], []
        for given in (motion, with_height(motion, height_m)):
            pose = torch.from_numpy(given.root_relative_mm[frames]).double()
            errors.append((at_hips(pose) - at_hips(true_mm)).norm(dim=-1))
            spreads.append(torch.from_numpy(given.spread_mm[frames]).double())
        return cls(*errors, *spreads, torch.from_numpy(motion.confidence[frames] < MISSING_BELOW))


def main(coverage: Coverage) -> None:
    torch.set_num_threads(coverage.threads)
    lifter = Lifter.load(coverage.weights, "cpu")
    options = LiftOptions(hypotheses=coverage.hypotheses, steps=coverage.steps)
    inputs: tuple[Input, ...] = ("gt", "noisy")
    results: dict[str, dict[str, Any]] = {}
    for folder in coverage.data:
        joints = LIMBS if folder.name in LIMB_SETS else ALL_BUT_ROOT
        for input in inputs:
            results[f"{folder.name}, {input}"] = covered(mocap(lifter, options, coverage, folder, input), joints)
            print(f"{folder.name}, {input}: done", flush=True)
    if coverage.views:
        results["four views"] = covered(real_views(lifter, options), LIMBS)
    conditions = (
        f"{coverage.split}, every {coverage.every}. clip, at most {coverage.frames} frames, one camera each; weights "
        f"{coverage.weights}, H={options.hypotheses} K={options.steps}, flip; % of errors within the spread"
    )
    print("\n" + to_markdown(Report(conditions, tables(results))))
    if coverage.out is not None:
        write_result({"conditions": conditions, "results": results}, coverage.out)


def mocap(lifter: Lifter, options: LiftOptions, coverage: Coverage, folder: Path, input: Input) -> Iterator[Judged]:
    """Each clip of a set, lifted."""
    for number, clip in enumerate(read_mocap(folder, split=coverage.split)[:: coverage.every]):
        cut = replace(clip, joints_mm=clip.joints_mm[: coverage.frames])
        filmed = list(film_clip(cut, input))[number % 4]
        yield Judged.of(lifter.lift(filmed.sequence, options), filmed.joints_mm)


def real_views(lifter: Lifter, options: LiftOptions) -> Iterator[Judged]:
    """Each of the four views on their common frames, against the person triangulated from all."""
    import four_views  # beside this file; needs what reads real video

    views = [four_views.read_view(name, "heavy") for name in four_views.VIEWS]
    reference = four_views.triangulate(views)
    for name, view, frames in zip(four_views.VIEWS, views, reference.frames, strict=True):
        seen = PoseSequence(name, four_views.FPS, BLAZEPOSE_33, keypoints_px=view.keypoints_px,
                            confidence=view.confidence, camera=view.camera)  # fmt: skip
        true = view.camera.to_camera(torch.from_numpy(reference.joints_mm))
        yield Judged.of(lifter.lift(seen, options), true, slice(frames.start, frames.stop))


def at_hips(joints_mm: Float[Tensor, "F J 3"]) -> Float[Tensor, "F J 3"]:
    """Relative to the middle of the hips, which every convention means alike."""
    return joints_mm - joints_mm[:, HIPS].mean(1, keepdim=True)


def bones(joints_mm: Float[Tensor, "F J 3"]) -> Tensor:
    """The mean over the frames of the limbs' bones' lengths in sum, mm."""
    limbs = [(joint, parent) for joint, parent in H36M_17.bones if joint in LIMBS and parent in LIMBS]
    return torch.stack([(joints_mm[:, a] - joints_mm[:, b]).norm(dim=-1).mean() for a, b in limbs]).sum()


def covered(judged: Iterator[Judged], joints: list[int]) -> dict[str, Any]:
    """Shares in %, over frames and joints pooled, and of each joint; of lost joints None where there are none."""
    clips = list(judged)
    error, sized_error, spread, sized_spread, lost = (
        torch.cat([getattr(clip, name) for clip in clips])[:, joints]
        for name in ("error", "sized_error", "spread", "sized_spread", "lost")
    )
    within = 100 * (error <= spread).double()
    return {
        "frames": len(error),
        "error_mm": float(error.mean()),
        "within": float(within.mean()),
        "within_at_true_size": float(100 * (sized_error <= sized_spread).double().mean()),
        "joints": {H36M_17.joints[joint]: float(share) for joint, share in zip(joints, within.mean(0), strict=True)},
        "lost": float(within[lost].mean()) if lost.any() else None,
        "spread_mm": float(spread[~lost].mean()),
        "lost_spread_mm": float(spread[lost].mean()) if lost.any() else None,
        "rank_correlation": rank_correlation(spread, error),
    }


def tables(results: dict[str, dict[str, Any]]) -> list[Table]:
    """Pooled; and each joint."""
    header = ["set, 2D", "frames", "error, mm", "within", "at true size", "joints from .. to", "lost joints",
              "spread, mm", "of lost joints", "rank correlation"]  # fmt: skip
    rows = []
    for name, r in results.items():
        ends = f"{min(r['joints'].values()):.0f} .. {max(r['joints'].values()):.0f}"
        numbers = [r["error_mm"], r["within"], r["within_at_true_size"], ends, r["lost"], r["spread_mm"]]
        cells = ["-" if n is None else n if isinstance(n, str) else f"{n:.1f}" for n in (*numbers, r["lost_spread_mm"])]
        rows.append([name, str(r["frames"]), *cells, f"{r['rank_correlation']:.2f}"])
    names = [H36M_17.joints[joint] for joint in ALL_BUT_ROOT]
    each = [
        [joint, *(f"{r['joints'][joint]:.0f}" if joint in r["joints"] else "-" for r in results.values())]
        for joint in names
    ]
    return [Table(header, rows), Table(["within, %", *results], each)]


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, over joints and frames pooled."""
    ranks = torch.stack([x.flatten().argsort().argsort().double() for x in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


if __name__ == "__main__":
    main(tyro.cli(Coverage))

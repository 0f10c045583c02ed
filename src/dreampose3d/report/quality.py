"""How sure a lifted motion is, in figures and words; and what one camera cannot see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from dreampose3d.metrics import bone_length_spread
from dreampose3d.motion.bones import estimate_lengths
from dreampose3d.motion.contacts import runs, sliding_mm_per_s, standing
from dreampose3d.report.markup import Markup, figure, joined, table, tag
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton
from dreampose3d.view import MISSING_BELOW

_GAP_S = 0.2  # spans of doubt so near to each other are told as one
_SPANS = 3
_DOUBTFUL_SHARE = 0.9  # a joint is in doubt where its spread is above this quantile of all spreads


class Verdict(NamedTuple):
    """A figure, the word for it, and what the word means."""

    name: str
    value: float
    unit: str
    good: float
    fair: float
    meaning: str

    @property
    def word(self) -> str:
        """Good, fair, poor, or not known."""
        if not np.isfinite(self.value):
            return "not known"
        return "good" if self.value <= self.good else "fair" if self.value <= self.fair else "poor"


@dataclass(frozen=True)
class Doubt:
    """When a joint is least certain, and when its 2D is missing: spans of seconds."""

    joint: str
    spread_mm: float
    """Below which it is in 90 % of the frames."""
    doubtful: tuple[tuple[float, float], ...]
    unseen: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Quality:
    """What can be told of a lifted motion without knowing the truth."""

    spread_mm: Float[ndarray, " J"]
    """The median over the frames."""
    missing: Float[ndarray, " J"]
    """The share of frames without 2D."""
    reprojection_px: Float[ndarray, " J"]
    """From the 2D to the 3D as the camera sees it: the median; NaN for a joint never seen."""
    reprojection_percent: float
    """Of the person's size in the picture; all joints."""
    bone_spread_percent: Float[ndarray, " bones"]
    """Standard deviation of each bone's length over its length."""
    sliding_mm_per_s: float
    """Of standing ankles; NaN if none stands."""
    doubts: tuple[Doubt, ...]
    """The joints that are least certain."""

    @property
    def verdicts(self) -> list[Verdict]:
        """Each figure with its word; the limits are a rule of thumb, ours."""
        return [
            Verdict("Uncertainty of a joint", float(np.median(self.spread_mm)), "mm", 40, 80,
                    "68 % of true joints lie nearer than this to where they are drawn, relative to the pelvis."),
            Verdict("2D missing", 100 * float(self.missing.mean()), "%", 2, 10,
                    "Joints that the detector did not see; their 3D comes from the others and from time."),
            Verdict("3D against 2D", self.reprojection_percent, "% of the person", 1.5, 4,
                    "How far the 3D, seen by the camera, is from the 2D."),
            Verdict("Bones change length by", float(np.mean(self.bone_spread_percent)), "%", 2, 5,
                    "True bones do not; lift --bones constant holds them."),
            Verdict("Standing feet slide at", self.sliding_mm_per_s, "mm/s", 100, 300,
                    "True feet stand; lift --plant-feet holds them."),
        ]  # fmt: skip


def quality_of(motion: LiftedMotion, least_certain: int = 4) -> Quality:
    """Measure a lifted motion.

    Args:
        motion: With its 2D and its uncertainty.
        least_certain: Of how many joints to tell when they are in doubt.
    """
    missing = ~np.isfinite(motion.keypoints_px).all(-1) | (motion.confidence < MISSING_BELOW)
    off, size_px = _reprojection(motion, missing)
    bones = bone_length_spread(torch.from_numpy(motion.root_relative_mm), motion.skeleton).numpy()
    lengths = estimate_lengths(motion.root_relative_mm, motion.skeleton)
    up = np.array(motion.camera.up)
    joints = motion.joints_mm.astype(np.float64)
    stands = standing(joints, motion.time_s, motion.skeleton, up)
    order = np.argsort(-np.quantile(motion.spread_mm, 0.9, axis=0), kind="stable")[:least_certain]
    return Quality(
        spread_mm=np.median(motion.spread_mm, axis=0),
        missing=missing.mean(0),
        reprojection_px=_medians(off),
        reprojection_percent=100 * float(np.nanmedian(off)) / size_px if np.isfinite(off).any() else float("nan"),
        bone_spread_percent=100 * bones / lengths,
        sliding_mm_per_s=sliding_mm_per_s(joints, motion.time_s, stands, motion.skeleton, up),
        doubts=tuple(_doubt(motion, missing, int(joint)) for joint in order),
    )


def quality_section(quality: Quality, skeleton: Skeleton) -> Markup:
    """The verdicts, the least certain joints, and every joint and bone."""
    columns = zip(skeleton.joints, quality.spread_mm, 100 * quality.missing, quality.reprojection_px, strict=True)
    joints = [
        (name.replace("_", " "), figure(float(spread)), figure(float(missing)), figure(float(off), 1))
        for name, spread, missing, off in columns
    ]
    bones = [
        (f"{skeleton.joints[parent]} to {skeleton.joints[joint]}".replace("_", " "), figure(float(spread), 1))
        for (joint, parent), spread in zip(skeleton.bones, quality.bone_spread_percent, strict=True)
    ]
    doubts = [(d.joint, figure(d.spread_mm), told(d.doubtful), told(d.unseen)) for d in quality.doubts]
    return joined(
        tag("dl", *map(_verdict, quality.verdicts), class_="verdicts"),
        table("The least certain joints", ("joint", "9 of 10, mm", "least certain at", "no 2D at"), doubts, wordy=True),
        tag("div",
            table("Joint by joint (medians)", ("joint", "68 % within, mm", "2D missing, %", "3D to 2D, px"), joints),
            table("Bones: how much their length changes", ("bone", "% of length"), bones),
            class_="pair"),
    )  # fmt: skip


def _verdict(verdict: Verdict) -> Markup:
    limits = f" Good up to {verdict.good:g}, fair up to {verdict.fair:g}."
    value = f"{figure(verdict.value, 1)} {verdict.unit}"
    return tag(
        "div",
        tag("dt", verdict.name),
        tag("dd", tag("strong", value), f" – {verdict.word}"),
        tag("dd", verdict.meaning + limits, class_="quiet"),
    )


def _reprojection(motion: LiftedMotion, missing: Bool[ndarray, "N J"]) -> tuple[Float[ndarray, "N J"], float]:
    """How far each joint is from its 2D, px, and how large the person is in the picture."""
    seen = motion.camera.project(torch.from_numpy(motion.joints_mm.astype(np.float64))).numpy()
    off = np.linalg.norm(seen - motion.keypoints_px, axis=-1)
    size = np.linalg.norm(np.ptp(np.nan_to_num(seen, nan=np.nanmedian(seen)), axis=1), axis=-1)
    return np.where(missing, np.nan, off), float(np.median(size))


def _medians(values: Float[ndarray, "N J"]) -> Float[ndarray, " J"]:
    known = np.isfinite(values).any(0)
    medians = np.full(values.shape[1], np.nan)
    medians[known] = np.nanmedian(values[:, known], axis=0)
    return medians


def _doubt(motion: LiftedMotion, missing: Bool[ndarray, "N J"], joint: int) -> Doubt:
    spread = motion.spread_mm[:, joint]
    limit = np.quantile(motion.spread_mm, _DOUBTFUL_SHARE)
    return Doubt(
        motion.skeleton.joints[joint].replace("_", " "),
        float(np.quantile(spread, 0.9)),
        _spans(spread > limit, motion.time_s),
        _spans(missing[:, joint], motion.time_s),
    )


def _spans(on: Bool[ndarray, " N"], time_s: Float[ndarray, " N"]) -> tuple[tuple[float, float], ...]:
    """The longest spans, those near to each other as one, in order of time."""
    spans: list[tuple[float, float]] = []
    for start, stop in runs(on):
        first, last = float(time_s[start]), float(time_s[stop - 1])
        if spans and first - spans[-1][1] <= _GAP_S:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    longest = sorted(spans, key=lambda span: span[0] - span[1])[:_SPANS]
    return tuple(sorted(longest))


def told(spans: Sequence[tuple[float, float]]) -> str:
    """Spans in words."""
    return ", ".join(f"{first:.2f}–{last:.2f} s" if last > first else f"{first:.2f} s" for first, last in spans) or "–"

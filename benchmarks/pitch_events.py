"""Events of the two baseball pitches of `obp`, from motion capture and lifted from four virtual views each.

The index has the times of peak knee height, foot plant and ball release; maximal external rotation has no label and
must lie between foot plant and release. Two pitches of one person are an example, not a validation.

python benchmarks/pitch_events.py --data MOCAP/obp
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.evaluation import film_clip
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.motion.angles import within_a_turn
from dreampose3d.motion.events import PitchEvents, find_pitch_events, pitch_events
from dreampose3d.motion.pitch import Measure, measures_markdown, pitch_measures
from dreampose3d.motion.refine import Refinement, refine
from dreampose3d.motion.scale import body_height
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import H36M_17

LABELS = {"peak knee height": "peak_knee_s", "foot plant": "foot_plant_s", "ball release": "ball_release_s"}
UP = np.array((0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Benchmark:
    """What to measure on."""

    data: Path
    weights: str = "small"
    threads: int = 2


def main(benchmark: Benchmark) -> None:
    torch.set_num_threads(benchmark.threads)
    clips = read_mocap(benchmark.data)
    with (benchmark.data / "index.csv").open(newline="") as lines:
        rows = {row["trial"]: row for row in csv.DictReader(lines)}
    lifter = Lifter.load(benchmark.weights, "cpu")
    print(f"n = {len(clips)} pitches of one person; errors in frames of {clips[0].fps:g} frames/s\n")
    print("| pitch | input | throws | peak knee | foot plant | release | rotation peaks between plant and release at |")
    print("|---|---|---|--:|--:|--:|--:|")
    differences: dict[tuple[str, str], list[float]] = {}
    for clip in clips:
        true = {event: float(rows[clip.trial][column]) for event, column in LABELS.items()}
        reference = find_pitch_events(clip.joints_mm, times(clip), H36M_17, UP)
        measured = measures_of(clip.joints_mm, times(clip), UP, reference)
        print(event_row(clip, "mocap", reference, true), flush=True)
        for name, motion in views(lifter, clip):
            found = pitch_events(motion)
            print(event_row(clip, name, found, true), flush=True)
            for ours, theirs in zip(lifted_measures(motion, found), measured, strict=True):
                off = ours.value - theirs.value
                off = within_a_turn(off) if ours.unit == "degrees" else off
                differences.setdefault((ours.name, ours.when), []).append(abs(off))
    print(f"\n{clips[0].trial}, motion capture:\n")
    print(measures_markdown(first_measures(clips[0])))
    print("\n| lifted from four views, exact and noisy 2D, 8 Hz, constant bones | when | median difference | n |")
    print("|---|---|--:|--:|")
    for (name, when), values in differences.items():
        print(f"| {name} | {when} | {np.nanmedian(values):.1f} | {np.isfinite(values).sum()} |")


def views(lifter: Lifter, clip: MocapClip) -> Iterator[tuple[str, LiftedMotion]]:
    """The pitch as lifted from four cameras, with a world of its own."""
    for kind in ("gt", "noisy"):
        for view, filmed in enumerate(film_clip(clip, kind)):  # type: ignore[arg-type]
            motion = lifter.lift(filmed.sequence, LiftOptions())
            yield f"view {view}, {kind} 2D", refine(motion, Refinement(world=True))


def lifted_measures(motion: LiftedMotion, events: PitchEvents) -> list[Measure]:
    """Posture from poses with constant bones and a little smoothing; the events come from the 2D."""
    calm = refine(motion, Refinement(smooth_hz=8, bones="constant"))
    return measures_of(calm.joints_mm, calm.time_s, np.array(calm.camera.up), events)


def measures_of(
    joints_mm: Float[ndarray, "N J 3"], time_s: Float[ndarray, " N"], up: Float[ndarray, " 3"], events: PitchEvents
) -> list[Measure]:
    return pitch_measures(joints_mm, time_s, H36M_17, up, events, body_height(joints_mm, H36M_17))


def first_measures(clip: MocapClip) -> list[Measure]:
    return measures_of(clip.joints_mm, times(clip), UP, find_pitch_events(clip.joints_mm, times(clip), H36M_17, UP))


def event_row(clip: MocapClip, kind: str, found: PitchEvents, true: dict[str, float]) -> str:
    """Differences from the labels in frames, positive where found later."""
    off = " | ".join(f"{clip.fps * (found.named[event] - moment):+.1f}" for event, moment in true.items())
    way = found.ball_release_s - found.foot_plant_s
    share = (found.max_external_rotation_s - found.foot_plant_s) / way
    return f"| {clip.trial} | {kind} | {found.throws} | {off} | {100 * share:.0f} % |"


def times(clip: MocapClip) -> Float[ndarray, " N"]:
    return np.arange(len(clip.joints_mm)) / clip.fps


if __name__ == "__main__":
    main(tyro.cli(Benchmark))

"""Robustness: error against camera, framing, noise, gaps, frame rate and clip length, one of them at a time.

Pieces of recorded motion, each seen by a camera of its own: 50 degrees of field of view, 10 degrees above the person,
aimed at his middle, from where his joints, over all frames, just reach the picture's edge. Each curve changes one
thing and leaves the rest. Every value is lifted in three ways: H=1 K=1 with the focal length known, the same with it
assumed (55 degrees, flagged as such, as where a video tells none), and at the default H, K. All with flip. Values
next to each other whose errors differ by more than a fifth are named as steep.

    python benchmarks/robustness.py --data MOCAP/cmu MOCAP/bandai --plot docs/figures/robustness.png
"""

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray
from scipy.interpolate import CubicSpline
from torch import Tensor

from dreampose3d.camera import Camera
from dreampose3d.data.cameras import look_at
from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.data.noise import DetectorNoise, add_detector_noise
from dreampose3d.evaluation import stable_seed
from dreampose3d.evaluation.tables import Report, Table, to_markdown, write_result
from dreampose3d.figures.style import LINES, new_figure, paper_style, save_figure
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17

SIZE_PX = 1000
ASSUMED_FOV = 55.0
STEEP = 0.2
LIMB_SETS = ("bandai", "spl", "obp")
"""Sets whose trunk and head are another's than the training data's: their limb joints count."""
LIMBS = sorted((*H36M_17.left, *H36M_17.right))
GAPS = DetectorNoise(jitter=0, drift=0, blur=0, outliers=0, swaps=0, lost=1, run_s=0.3, doubt=0)
"""Joints that are missing for about 0.3 s, and no other error; its level is their share."""


@dataclass(frozen=True)
class Robustness:
    """Every so-manieth clip of each set's split."""

    data: tuple[Path, ...]
    split: str = "test"
    weights: str = "small"
    clips: int = 6
    """Of each set, evenly chosen from its index."""
    frames: int = 30
    """Of each clip's middle, at most."""
    hypotheses: int = LiftOptions.hypotheses
    steps: int = LiftOptions.steps
    curves: tuple[str, ...] = ()
    """Only these; all if not given."""
    default: bool = True
    """Lift at the default H, K, too: three quarters of the time."""
    threads: int = 1
    out: Path | None = None
    """A JSON file for the numbers."""
    plot: Path | None = None
    """A figure: .png, .svg or .pdf."""


@dataclass(frozen=True)
class Shot:
    """Where the camera is and what is done to its 2D."""

    fov: float = 50.0
    elevation: float = 10.0
    """Degrees above the person's middle; below 0 it looks up."""
    size: float = 1.0
    """How far the farthest joint is from the picture's middle; 1 at its edge."""
    place: float = 0.0
    """How far towards the picture's corner the person's middle is."""
    noise: float = 0.0
    """Level of `data.noise`."""
    missing: float = 0.0
    """Share of joints."""
    fps: float = 0.0
    """Frames per second; the recording's own if 0."""
    length: int = 0
    """Frames that are lifted together; the whole piece if 0."""


@dataclass(frozen=True)
class Curve:
    """One thing that changes, over its values."""

    title: str
    values: tuple[float, ...]
    shot: Callable[[float], Shot]
    log: bool = False
    costly: bool = False
    """Measured on every third clip, and not at the default H, K."""


CURVES = {
    "fov": Curve("field of view, degrees", (5, 10, 20, 35, 50, 70, 90, 110), lambda x: Shot(fov=x)),
    "elevation": Curve("camera's elevation, degrees", (-60, -40, -20, -5, 10, 25, 45, 60, 75),
                       lambda x: Shot(elevation=x)),
    "size": Curve("person's size, share of the picture (to whole pixels)", (0.03, 0.06, 0.12, 0.25, 0.5, 1),
                  lambda x: Shot(size=x), log=True),
    "place": Curve("person's place, 0 middle to 1 corner (90 degrees wide)", (0, 0.25, 0.5, 0.75, 0.9),
                   lambda x: Shot(fov=90, size=0.3, place=x)),
    "noise": Curve("2D noise level", (0, 0.5, 1, 1.5, 2, 3), lambda x: Shot(noise=x)),
    "missing": Curve("missing joints, share", (0, 0.05, 0.1, 0.2, 0.3, 0.4), lambda x: Shot(missing=x)),
    "fps": Curve("frames/s", (10, 15, 18, 20, 24, 30, 50, 60, 63, 90, 120), lambda x: Shot(fps=x)),
    "length": Curve("clip length, frames", (1, 2, 3, 5, 9, 17, 33, 81, 82, 120, 300, 1000, 2000),
                    lambda x: Shot(length=int(x)), log=True, costly=True),
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording that is judged, within all of it."""

    clip: MocapClip
    start: int
    frames: int
    azimuth: float
    """Radians."""

    @property
    def joints_mm(self) -> Float[ndarray, "N J 3"]:
        """The stretch alone, world, mm."""
        return self.clip.joints_mm[self.start : self.start + self.frames].astype(np.float64)


@dataclass(frozen=True)
class Scene:
    """What the lifter is shown, the truth, and which of its frames are judged."""

    sequence: PoseSequence
    true_mm: Float[Tensor, "N J 3"]
    judged: slice


def main(robustness: Robustness) -> None:
    torch.set_num_threads(robustness.threads)
    lifter = Lifter.load(robustness.weights, "cpu")
    ways = {"known": LiftOptions(hypotheses=1, steps=1), "assumed": LiftOptions(hypotheses=1, steps=1)}
    if robustness.default:
        ways["default"] = LiftOptions(hypotheses=robustness.hypotheses, steps=robustness.steps)
    results: dict[str, Any] = {}
    for folder in robustness.data:
        pieces = choose(read_mocap(folder, split=robustness.split), robustness.clips, robustness.frames)
        joints = LIMBS if folder.name in LIMB_SETS else list(range(H36M_17.num_joints))
        results[folder.name] = {}
        for name in robustness.curves or CURVES:
            results[folder.name][name] = measure(lifter, pieces, CURVES[name], ways, joints)
            print(f"{folder.name} {name}: {steep(results[folder.name][name]) or 'no steep step'}", flush=True)
    conditions = (
        f"{robustness.split}, {robustness.clips} clips of each set, {robustness.frames} frames of each (judged: all "
        f"joints; of {', '.join(LIMB_SETS)} the limbs), weights {robustness.weights}, flip, default "
        f"H={robustness.hypotheses} K={robustness.steps}; MPJPE / P-MPJPE, mm"
    )
    print("\n" + to_markdown(Report(conditions, tables(results))))
    if robustness.out is not None:
        write_result({"conditions": conditions, "results": results}, robustness.out)
    if robustness.plot is not None:
        save_figure(sheet(results), robustness.plot, conditions)


def choose(clips: Sequence[MocapClip], count: int, frames: int) -> list[Piece]:
    """Evenly chosen clips, the middle of each, seen from eight sides in turn."""
    chosen = [clips[int((i + 0.5) * len(clips) / count)] for i in range(min(count, len(clips)))]
    pieces = []
    for number, clip in enumerate(chosen):
        length = min(frames, len(clip.joints_mm))
        start = (len(clip.joints_mm) - length) // 2
        pieces.append(Piece(clip, start, length, math.radians(45 * (3 * number % 8) + 20)))
    return pieces


def measure(
    lifter: Lifter, pieces: Sequence[Piece], curve: Curve, ways: dict[str, LiftOptions], joints: list[int]
) -> dict[str, Any]:
    """A curve's errors: way -> MPJPE and P-MPJPE of each value, mm, over all judged frames."""
    if curve.costly:
        pieces, ways = pieces[::3], {way: options for way, options in ways.items() if way != "default"}
    found: dict[str, Any] = {"values": list(curve.values), **{way: {"mpjpe": [], "p_mpjpe": []} for way in ways}}
    for value in curve.values:
        scenes = [scene for piece in pieces for scene in scenes_of(piece, curve.shot(value))]
        for way, options in ways.items():
            pairs = [judged(lifter, scene, options, assumed=way == "assumed") for scene in scenes]
            lifted, true = (torch.cat(part)[:, joints] for part in zip(*pairs, strict=True))
            found[way]["mpjpe"].append(float(mpjpe(lifted, true).mean()))
            found[way]["p_mpjpe"].append(float(p_mpjpe(lifted, true).mean()))
    return found


def judged(lifter: Lifter, scene: Scene, options: LiftOptions, *, assumed: bool) -> tuple[Tensor, Tensor]:
    """Lifted and true root-relative joints of the judged frames."""
    sequence = scene.sequence
    if assumed:
        camera = replace(Camera.from_fov((SIZE_PX, SIZE_PX), ASSUMED_FOV), assumed=True)
        sequence = replace(sequence, camera=camera)
    lifted = torch.from_numpy(lifter.lift(sequence, options).root_relative_mm).double()
    true = scene.true_mm - scene.true_mm[:, H36M_17.root, None]
    return lifted[scene.judged], true[scene.judged]


def scenes_of(piece: Piece, shot: Shot) -> Iterator[Scene]:
    """A piece as the camera sees it: one scene, or where clips are short a scene for each part of it."""
    camera = stand(piece, shot)
    if shot.length > piece.frames:
        joints, first = surrounded(piece, shot.length)
        yield film(joints, piece.clip.fps, camera, shot, piece.clip.trial, slice(first, first + piece.frames))
    elif shot.length:
        starts = range(0, piece.frames - shot.length + 1, max(shot.length, piece.frames // 8))
        for start in starts:
            part = piece.joints_mm[start : start + shot.length]
            yield film(part, piece.clip.fps, camera, shot, f"{piece.clip.trial}/{start}", slice(None))
    else:
        joints = resampled(piece.joints_mm, piece.clip.fps, shot.fps)
        yield film(joints, shot.fps or piece.clip.fps, camera, shot, piece.clip.trial, slice(None))


def stand(piece: Piece, shot: Shot) -> Camera:
    """The camera before a piece: it sees all joints at a given size and place.

    A joint at (x, y, z) from the middle, in the camera's axes, stays within reach r of the picture's middle if
    |x|, |y| <= r (z + distance): the distance is the least with which all joints do, and are 100 mm before the camera.
    """
    world = torch.from_numpy(piece.joints_mm)
    middle = world[:, H36M_17.root].mean(0)
    rise = math.radians(shot.elevation)
    outward = (math.cos(rise) * math.cos(piece.azimuth), math.cos(rise) * math.sin(piece.azimuth), math.sin(rise))
    level = look_at(middle + middle.new_tensor(outward), middle, middle.new_zeros(()))
    half = math.tan(math.radians(shot.fov) / 2)
    joints = (world - middle) @ level.T
    aside_mm = joints[..., :2].abs().amax(-1)
    distance = torch.maximum(aside_mm / (half * shot.size), joints.new_tensor(100.0)).sub(joints[..., 2]).max()
    position = middle + distance * middle.new_tensor(outward)
    rotation = aside(shot.place * half) @ level
    lens = Camera.from_fov((SIZE_PX, SIZE_PX), shot.fov)
    return replace(lens, rotation=tuple(map(tuple, rotation.tolist())), position_mm=tuple(position.tolist()))


def aside(offset: float) -> Float[Tensor, "3 3"]:
    """The rotation that takes the optical axis to the ray (offset, offset, 1)."""
    forward = torch.tensor((0.0, 0.0, 1.0), dtype=torch.float64)
    to = torch.nn.functional.normalize(torch.tensor((offset, offset, 1.0), dtype=torch.float64), dim=0)
    cross = torch.linalg.cross(forward, to)
    skew = torch.tensor(
        ((0, -cross[2], cross[1]), (cross[2], 0, -cross[0]), (-cross[1], cross[0], 0)), dtype=torch.float64
    )
    return torch.eye(3, dtype=torch.float64) + skew + skew @ skew / (1 + float(forward @ to))


def surrounded(piece: Piece, length: int) -> tuple[Float[ndarray, "N J 3"], int]:
    """The piece in the middle of `length` frames, played to and fro beyond the recording's ends; its first frame."""
    before = (length - piece.frames) // 2
    frames = np.arange(piece.start - before, piece.start - before + length)
    period = max(1, 2 * (len(piece.clip.joints_mm) - 1))
    folded = np.abs((frames + period // 2) % period - period // 2)
    return piece.clip.joints_mm[folded].astype(np.float64), before


def resampled(joints_mm: Float[ndarray, "N J 3"], fps: float, wanted: float) -> Float[ndarray, "M J 3"]:
    """The same span of time at another frame rate, by a cubic spline; as it is for 0."""
    if not wanted or len(joints_mm) < 2:
        return joints_mm
    time = np.arange(len(joints_mm)) / fps
    spline: ndarray = CubicSpline(time, joints_mm)(np.arange(0, time[-1] + 1e-9, 1 / wanted))
    return spline


def film(joints_mm: Float[ndarray, "N J 3"], fps: float, camera: Camera, shot: Shot, name: str, judged: slice) -> Scene:
    """Project and spoil; where the size varies, to whole pixels."""
    joints = camera.to_camera(torch.from_numpy(joints_mm))
    joints[..., 2].clamp_(min=100.0)  # one who walks on, far outside the judged frames, may pass the camera
    keypoints = camera.project(joints)
    keypoints = keypoints.round() if shot.size != 1 else keypoints
    confidence = torch.ones_like(keypoints[..., 0])
    generator = torch.Generator().manual_seed(stable_seed(name))
    if shot.noise:
        keypoints, confidence = add_detector_noise(keypoints, fps, generator, level=shot.noise)
    if shot.missing:
        _, confidence = add_detector_noise(keypoints, fps, generator, GAPS, level=shot.missing)
    lens = Camera.from_fov((SIZE_PX, SIZE_PX), shot.fov)
    seen = {"keypoints_px": keypoints.float().numpy(), "confidence": confidence.float().numpy()}
    return Scene(PoseSequence(name, fps, camera=lens, **seen), joints, judged)


def steep(found: dict[str, Any]) -> str:
    """Where neighbours differ by more than a fifth of the smaller, in any way of lifting."""
    values = found["values"]
    steps = []
    for way in (key for key in found if key != "values"):
        errors = found[way]["mpjpe"]
        for i in range(1, len(values)):
            if abs(errors[i] - errors[i - 1]) > STEEP * min(errors[i], errors[i - 1]):
                steps.append(f"{way} {values[i - 1]:g} to {values[i]:g}: {errors[i - 1]:.0f} to {errors[i]:.0f} mm")
    return "; ".join(steps)


def tables(results: dict[str, Any]) -> list[Table]:
    """One for each curve, a row for each set and way of lifting."""
    built = []
    for name in next(iter(results.values())):
        rows = []
        for folder, curves in results.items():
            for way in (key for key in curves[name] if key != "values"):
                errors = zip(curves[name][way]["mpjpe"], curves[name][way]["p_mpjpe"], strict=True)
                rows.append([f"{folder}, {way}", *(f"{a:.0f} / {b:.0f}" for a, b in errors)])
        built.append(Table([CURVES[name].title, *(f"{value:g}" for value in CURVES[name].values)], rows))
    return built


@paper_style()
def sheet(results: dict[str, Any]) -> Figure:
    """A panel for each curve: MPJPE; colours are sets, thin lines H=1 K=1, dashes where the focal length is assumed."""
    names = list(next(iter(results.values())))
    columns = min(4, len(names))
    figure = new_figure("full", 1.75 * -(-len(names) // columns) + 0.3)
    panels = figure.subplots(-(-len(names) // columns), columns, squeeze=False).ravel()
    style = {"known": ("-", 0.8), "assumed": ((0, (1.5, 1.5)), 0.8), "default": ("-", 1.8)}
    for panel, name in zip(panels, names, strict=False):
        for (colour, _), (folder, curves) in zip(LINES, results.items(), strict=False):
            for way, (dashes, width) in style.items():
                if way in curves[name]:
                    panel.plot(curves[name]["values"], curves[name][way]["mpjpe"], color=colour, ls=dashes, lw=width,
                               marker="o", ms=1.8, label=f"{folder}, {way}")  # fmt: skip
        panel.set_xlabel(textwrap.fill(CURVES[name].title, 28))
        panel.set_ylim(bottom=0)
        if CURVES[name].log:
            panel.set_xscale("log")
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    panels[0].set_ylabel("MPJPE, mm")
    handles, _ = panels[0].get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside upper center", ncols=6)
    return figure


if __name__ == "__main__":
    main(tyro.cli(Robustness))

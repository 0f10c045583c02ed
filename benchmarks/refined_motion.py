"""What refinement does to lifted motion: the root's path, bones, joint angles, up and floor, smoothing, foot sliding.

Clips of a split are filmed by one camera each, whose distance from the mean root is 4 m (more where a joint would come
nearer to the camera than 0.5 m), 50 degrees over 1000 x 1000 pixels, from 5 degrees below to 20 above, and lifted with
exact and with noisy 2D. The true height is `body_height` of the clip's own joints.

python benchmarks/refined_motion.py --data MOCAP/cmu
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.camera import Camera
from dreampose3d.data.cameras import look_at
from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.data.noise import add_detector_noise
from dreampose3d.evaluation import stable_seed
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.metrics import bone_length_spread, mpjpe
from dreampose3d.motion.angles import joint_angles
from dreampose3d.motion.refine import Refinement, refine
from dreampose3d.motion.scale import body_height
from dreampose3d.motion.speeds import joint_speeds
from dreampose3d.motion.world import find_ground
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import H36M_17
from dreampose3d.trajectory import estimate_root, fit_root

LENS = Camera.from_fov((1000, 1000), 50.0)
DISTANCE_MM, NEAREST_MM = 4000.0, 500.0
ELEVATION_DEGREES = (-5.0, 20.0)
FOCAL_FACTORS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
CUTOFFS_HZ = (4.0, 6.0, 8.0, 10.0, 15.0)


@dataclass(frozen=True)
class Benchmark:
    """What to measure on."""

    data: Path
    split: str = "test"
    weights: str = "small"
    frames: int = 300
    """Of each clip, at most."""
    focal_frames: int = 100
    """Of each clip, at most, in the curve over focal lengths, which lifts anew for each."""
    threads: int = 2


@dataclass(frozen=True)
class Shot:
    """A clip, as filmed and lifted."""

    clip: MocapClip
    camera: Camera
    """With its true pose."""
    joints_mm: Float[ndarray, "N J 3"]
    """The truth in the camera frame."""
    motion: LiftedMotion

    @property
    def height_m(self) -> float:
        """The true height, by the same definition as the lifted one's."""
        return body_height(self.joints_mm, H36M_17) / 1000


def main(benchmark: Benchmark) -> None:
    torch.set_num_threads(benchmark.threads)
    lifter = Lifter.load(benchmark.weights, "cpu")
    clips = read_mocap(benchmark.data, split=benchmark.split)
    for noisy in (False, True):
        shots = [shoot(lifter, clip, benchmark.frames, noisy) for clip in clips]
        frames = sum(len(shot.motion) for shot in shots)
        distance = np.concatenate([np.linalg.norm(shot.joints_mm[:, 0], axis=-1) for shot in shots]).mean() / 1000
        kind = "noisy" if noisy else "exact"
        print(f"\n## {kind} 2D: {len(shots)} clips, {frames} frames, mean distance {distance:.2f} m", flush=True)
        report_root(shots)
        report_bones(shots)
        report_smoothing(shots)
        report_world(shots)
        report_angles(shots)
    report_focal(lifter, clips, benchmark.focal_frames)


def shoot(lifter: Lifter, clip: MocapClip, frames: int, noisy: bool, focal_factor: float = 1.0) -> Shot:
    """Film one clip and lift it, told a focal length that is wrong by a factor."""
    world = torch.from_numpy(clip.joints_mm[:frames]).double()
    generator = torch.Generator().manual_seed(stable_seed(clip.trial))
    camera = camera_before(world, generator)
    joints = camera.to_camera(world)
    keypoints, confidence = camera.project(joints), torch.ones_like(joints[..., 0])
    if noisy:
        keypoints, confidence = add_detector_noise(keypoints, clip.fps, generator)
    told = replace(LENS, focal_px=(focal_factor * LENS.focal_px[0],) * 2, assumed=focal_factor != 1)
    sequence = PoseSequence(
        name=clip.trial,
        fps=clip.fps,
        keypoints_px=keypoints.float().numpy(),
        confidence=confidence.float().numpy(),
        camera=told,
    )
    options = LiftOptions() if focal_factor == 1 else LiftOptions(hypotheses=1, steps=1)
    return Shot(clip, camera, joints.numpy(), lifter.lift(sequence, options))


def camera_before(world: Float[torch.Tensor, "N J 3"], generator: torch.Generator) -> Camera:
    """A camera that looks at the mean root from a random side."""
    azimuth, elevation = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
    low, high = ELEVATION_DEGREES
    azimuth, elevation = 2 * math.pi * azimuth, math.radians(low + (high - low) * elevation)
    side = (math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation))
    direction, target = world.new_tensor(side), world[:, H36M_17.root].mean(0)
    distance = max(DISTANCE_MM, float(((world - target) @ direction).max()) + NEAREST_MM)
    position = target + distance * direction
    rotation = look_at(position, target, torch.zeros((), dtype=torch.float64)).tolist()
    return replace(LENS, rotation=tuple(map(tuple, rotation)), position_mm=tuple(position.tolist()))


def report_root(shots: list[Shot]) -> None:
    """Error of the root's place over its distance, per method."""
    print("\n| root | error | across | along | velocity error, mm/s | acceleration error, m/s^2 |")
    print("|---|--:|--:|--:|--:|--:|")

    def fitted(shot: Shot) -> Float[ndarray, "N 3"]:
        return fit_root(*tensors(shot.motion)).numpy()

    def median(shot: Shot) -> Float[ndarray, "N 3"]:
        return estimate_root(*tensors(shot.motion)).numpy()

    def path(options: Callable[[Shot], Refinement]) -> Callable[[Shot], Float[ndarray, "N 3"]]:
        return lambda shot: refine(shot.motion, options(shot)).root_mm

    ways: dict[str, Callable[[Shot], Float[ndarray, "N 3"]]] = {
        "each frame alone": fitted,
        "median of 5 frames": median,
        "path": path(lambda _: Refinement()),
        "path, constant bones": path(lambda _: Refinement(bones="constant")),
        "path, true height": path(lambda shot: Refinement(height_m=shot.height_m)),
        "path, true height, constant bones": path(lambda shot: Refinement(height_m=shot.height_m, bones="constant")),
    }
    for name, way in ways.items():
        print(f"| {name} | {root_errors(shots, way)} |", flush=True)


def root_errors(shots: list[Shot], way: Callable[[Shot], Float[ndarray, "N 3"]]) -> str:
    """Means over all frames; error, across and along the line of sight in % of the distance."""
    columns: list[list[Float[ndarray, " n"]]] = [[], [], [], [], []]
    for shot in shots:
        true = shot.joints_mm[:, 0]
        distance = np.linalg.norm(true, axis=-1)
        error = way(shot) - true
        along = (error * true).sum(-1) / distance
        across = np.sqrt(np.maximum((error**2).sum(-1) - along**2, 0))
        total = np.linalg.norm(error, axis=-1)
        for column, part in zip(columns, (total, across, np.abs(along)), strict=False):
            column.append(100 * part / distance)
        fps = shot.clip.fps
        columns[3].append(np.linalg.norm(np.diff(error, axis=0), axis=-1) * fps)
        columns[4].append(np.linalg.norm(np.diff(error, n=2, axis=0), axis=-1) * fps**2 / 1000)
    total_, across_, along_, velocity, acceleration = (float(np.concatenate(column).mean()) for column in columns)
    return f"{total_:.2f} % | {across_:.2f} % | {along_:.2f} % | {velocity:.0f} | {acceleration:.1f}"


def report_bones(shots: list[Shot]) -> None:
    """Error of the poses and spread of the bones, as lifted and after."""
    print("\n| bones | MPJPE, mm | mean bone spread, mm | largest, mm |\n|---|--:|--:|--:|")
    for bones in ("free", "constant", "symmetric"):
        poses = [refine(shot.motion, Refinement(bones=bones)).root_relative_mm for shot in shots]
        spread = torch.stack([bone_length_spread(torch.from_numpy(pose).double(), H36M_17) for pose in poses])
        print(f"| {bones} | {pose_error(shots, poses):.2f} | {spread.mean():.3f} | {spread.max():.3f} |", flush=True)


def report_smoothing(shots: list[Shot]) -> None:
    """Error and peak speeds (the wrists': the clip's highest over the true one, median of the clips) by cut-off."""
    print("\n| cut-off, Hz | MPJPE, mm | peak wrist speed / true | peak ankle speed / true |\n|---|--:|--:|--:|")
    for cutoff_hz in (None, *CUTOFFS_HZ):
        motions = [refine(shot.motion, Refinement(smooth_hz=cutoff_hz)) for shot in shots]
        pairs = list(zip(motions, shots, strict=True))
        ratios = [
            float(np.median([peak(m.joints_mm, m, limb) / peak(s.joints_mm, m, limb) for m, s in pairs]))
            for limb in ("wrist", "ankle")
        ]
        error = pose_error(shots, [motion.root_relative_mm for motion in motions])
        print(f"| {cutoff_hz or 'none'} | {error:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


def peak(joints_mm: Float[ndarray, "N J 3"], motion: LiftedMotion, limb: str) -> float:
    """The highest speed of either side's joint against the pelvis."""
    joints = H36M_17.indices(f"left_{limb}", f"right_{limb}")
    return float(joint_speeds((joints_mm - joints_mm[:, :1])[:, joints], motion.time_s).max())


def report_world(shots: list[Shot]) -> None:
    """Error of up and of the camera's height, on the true motion and on the lifted one; foot sliding."""
    print("\n| world | up off by: median | mean | 90 % below | camera height off by: median, mm | 90 % below |")
    print("|---|--:|--:|--:|--:|--:|")
    true = [
        replace(s.motion, root_relative_mm=s.joints_mm - s.joints_mm[:, :1], root_mm=s.joints_mm[:, 0]) for s in shots
    ]
    lifted = [refine(s.motion, Refinement(height_m=s.height_m)) for s in shots]
    for name, motions in (("true motion", true), ("lifted, true height", lifted)):
        grounds = [find_ground([motion]) for motion in motions]
        cosines = [float(np.dot(g.up, s.camera.up)) for g, s in zip(grounds, shots, strict=True)]
        off = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
        height = np.abs([g.camera_height_mm - s.camera.position_mm[2] for g, s in zip(grounds, shots, strict=True)])
        print(
            f"| {name} | {np.median(off):.1f}° | {off.mean():.1f}° | {np.quantile(off, 0.9):.1f}° | "
            f"{np.median(height):.0f} | {np.quantile(height, 0.9):.0f} |",
            flush=True,
        )
    planted = [refine(s.motion, Refinement(world=True, plant_feet=True)) for s in shots]
    sliding = [m.meta["refined"]["foot_sliding_mm_per_s"] for m in planted]
    before, after = (np.mean([s[key] for s in sliding if s[key] is not None]) for key in ("before", "after"))
    error = pose_error(shots, [motion.root_relative_mm for motion in planted])
    print(f"\nfoot sliding {before:.0f} mm/s, {after:.0f} after planting; MPJPE {error:.2f} mm", flush=True)


def report_angles(shots: list[Shot]) -> None:
    """Absolute error of each angle where both motions have it, as lifted and constant bones at 6 Hz; true up."""
    print("\n| angle, degrees | median error | mean | constant bones, 6 Hz: median | mean | defined |")
    print("|---|--:|--:|--:|--:|--:|")
    columns: dict[str, list[list[Float[ndarray, " n"]]]] = {}
    for shot in shots:
        up = np.array(shot.camera.up)
        true = joint_angles(shot.joints_mm, H36M_17, up)
        ways = (Refinement(), Refinement(bones="constant", smooth_hz=6))
        for way, options in enumerate(ways):
            got = joint_angles(refine(shot.motion, options).joints_mm, H36M_17, up)
            for name, values in true.items():
                off = np.abs((got[name] - values + 180) % 360 - 180)
                columns.setdefault(unsided(name), [[] for _ in ways])[way].append(off)
    for name, (plain, calm) in columns.items():
        off, off_calm = np.concatenate(plain), np.concatenate(calm)
        print(
            f"| {name.removesuffix('_deg')} | {np.nanmedian(off):.1f} | {np.nanmean(off):.1f} | "
            f"{np.nanmedian(off_calm):.1f} | {np.nanmean(off_calm):.1f} | {100 * np.isfinite(off).mean():.0f} % |"
        )


def report_focal(lifter: Lifter, clips: list[MocapClip], frames: int) -> None:
    """Error of the root with a focal length that is wrong by a factor (and flagged as assumed), true height given."""
    print(f"\n## Wrong focal length: noisy 2D, H=1 K=1, the first {frames} frames of each clip, true height")
    print("\n| focal length told / true | error | across | along | velocity error | acceleration error |")
    print("|--:|--:|--:|--:|--:|--:|")
    for factor in FOCAL_FACTORS:
        shots = [shoot(lifter, clip, frames, noisy=True, focal_factor=factor) for clip in clips]
        errors = root_errors(shots, lambda shot: refine(shot.motion, Refinement(height_m=shot.height_m)).root_mm)
        print(f"| {factor:g} | {errors} |", flush=True)


def pose_error(shots: list[Shot], poses: list[Float[ndarray, "N J 3"]]) -> float:
    """MPJPE over all frames, mm."""
    true = torch.from_numpy(np.concatenate([shot.joints_mm - shot.joints_mm[:, :1] for shot in shots]))
    return float(mpjpe(torch.from_numpy(np.concatenate(poses)).double(), true).mean())


def tensors(motion: LiftedMotion) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Poses, rays and confidence, float64."""
    rays = motion.camera.rays(torch.from_numpy(motion.keypoints_px).double())
    return torch.from_numpy(motion.root_relative_mm).double(), rays, torch.from_numpy(motion.confidence).double()


def unsided(name: str) -> str:
    return name.removeprefix("left_").removeprefix("right_")


if __name__ == "__main__":
    main(tyro.cli(Benchmark))

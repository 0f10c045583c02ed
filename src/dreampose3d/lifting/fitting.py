"""The pose that fits its 2D and keeps its bones [ours]: what the network cannot know of the clip that it is shown.

A network denoises its 2D even where that is exact, knows no person's own bones, and hands on the jitter of a detector.
The clip tells better: how noisy its 2D is, how far the lifted pose misses it, how long each bone is in all frames
together. From these, in closed form but for a few Gauss-Newton steps and without any ground truth:

    noise and miss of the 2D, bone lengths -> steadied by the noise -> nearest pose that fits both -> smooth in depth
        -> bridged where joints are lost

Each frame is the least of

    sum_j |lateral move|^2 / 15^2 + (move in depth)^2 / (3.5 % of the way along the bones from the root)^2
        + confidence |distance from the 2D's ray|^2 / e^2 + sum_bones (length - the clip's)^2 / 8^2

where e is what the 2D of this clip may be wrong by. Chosen on cmu val (RESULTS.md has what each part gives there).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.linalg import solveh_banded

from dreampose3d.motion.bones import bone_lengths, bone_vectors, mirrored_bones
from dreampose3d.motion.roughness import acceleration_bands, frame_seconds
from dreampose3d.motion.smoothing import smooth, smooth_by
from dreampose3d.skeleton import Skeleton
from dreampose3d.trajectory import MIN_CONFIDENCE, estimate_root, fittable

LATERAL_MM = 15.0
"""How far the network is off across the line of sight."""
DEPTH_SHARE = 0.035
"""How far along it, as a share of the bones between a joint and the root, which all may err,"""
LEAST_DEPTH_MM = 3.0
"""and of the root itself."""
BONE_MM = 8.0
"""By how much the length of a bone may differ from the clip's."""
NOISE_TIMES = 4.0
"""How much larger a detector's whole error is than what is new of it in every frame: BlazePose's is 10 times, white
noise's own once."""
MISS_TIMES = 1.2
"""How much larger than its median the miss of noisy 2D is,"""
OWN_MISS_MM = 12.0
"""and what of it is the network's own."""
CLEAN_MM = 1.5
"""2D with less noise than this is not steadied."""
SPECTRUM_MM2_PER_S3 = 3e6
"""Of the acceleration of joints, taken as white: 10 m/s^2 that last for 0.03 s."""
DEPTH_HZ = 20.0
"""What is faster in the move in depth is not made: there bones say too little."""
UNKNOWN_NOISE_MM = 3.0
"""Of clips too short to tell: a good detector's."""
IMAGINED_MM = 100.0
"""How far off the network is where a joint is lost,"""
IMAGINED_S = 0.1
"""and how long it is off alike."""
_ROUNDS = 3
_LARGEST_STEP_MM = 60.0
_CERTAIN_DEPTH_MM = 2.0
_QUARTILE = {2: 0.7585, 3: 1.1011}  # of a normal vector's length
_FRAMES_FOR_BONES = 300
_FRAMES_AT_ONCE = 2048  # bounds the memory that an hour of frames takes
_AS_SEEN = 1e6  # a weight in which nothing moves
_MARGIN = 64  # frames beyond which no frame is felt


class Evidence(NamedTuple):
    """What a whole clip says of its 2D and its person."""

    noise_mm: float
    """Of the 2D, new in every frame, at the person's depth."""
    miss_mm: float
    """The median distance between the lifted joints and their 2D's rays."""
    lengths_mm: Float[ndarray, " bones"]
    """Of the bones, alike on both sides."""

    @property
    def error_mm(self) -> float:
        """What a joint of the 2D may be wrong by."""
        missed = max(0.0, (MISS_TIMES * self.miss_mm) ** 2 - OWN_MISS_MM**2)
        return float(np.sqrt(1 + (NOISE_TIMES * self.noise_mm) ** 2 + missed))

    @property
    def steadied(self) -> float:
        """The share of the noise that is to be taken out: none of what exact 2D seems to have."""
        return self.noise_mm**2 / (self.noise_mm**2 + CLEAN_MM**2)


def fit_to_2d(
    poses_mm: Float[torch.Tensor, "N J 3"],
    rays: Float[torch.Tensor, "N J 2"],
    confidence: Float[torch.Tensor, "N J"],
    time_s: Float[ndarray, " N"],
    skeleton: Skeleton,
) -> tuple[Float[torch.Tensor, "N J 3"], Evidence | None]:
    """Move lifted poses to where their 2D and bones of constant length put them, as far as the 2D is to be trusted.

    Args:
        poses_mm: Root-relative poses in the camera frame, mm.
        rays: The 2D joints as points (x/z, y/z) of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; joints below 0.05 count as missing, and only bones move them.
        time_s: Presentation times, increasing, seconds.
        skeleton: Whose joints.

    Returns:
        Root-relative poses, mm, of the given type, and what was found; the poses as they are, and None, if no frame's
        2D can place a root.
    """
    if not fittable(rays, confidence).any():
        return poses_mm, None
    seen = torch.where(confidence[..., None] < MIN_CONFIDENCE, torch.nan, rays)
    clip = _Clip(
        poses_mm.numpy(),
        estimate_root(poses_mm, rays, confidence).numpy(),
        _unit(torch.cat((seen, torch.ones_like(seen[..., :1])), -1).numpy()),
        confidence.numpy(),
        np.asarray(time_s, np.float64),
        skeleton,
    )
    evidence = gather(clip)
    fitted = np.empty_like(clip.poses)
    for inner, outer in _parts(len(clip.poses)):
        fitted[inner] = _fitted(clip.part(outer), evidence)[inner.start - outer.start :][: inner.stop - inner.start]
    return torch.from_numpy(_bridged_poses(clip._replace(poses=fitted), evidence)).to(poses_mm), evidence


class _Clip(NamedTuple):
    """Frames of a clip: poses and root mm; rays as unit vectors, NaN where missing; of any precision."""

    poses: Float[ndarray, "N J 3"]
    root: Float[ndarray, "N 3"]
    rays: Float[ndarray, "N J 3"]
    confidence: Float[ndarray, "N J"]
    time_s: Float[ndarray, " N"]
    skeleton: Skeleton

    @property
    def sight(self) -> Float[ndarray, "N 1 3"]:
        """The direction in which the root is seen."""
        return _unit(self.root)[:, None]

    @property
    def distance(self) -> float:
        """Of the person, mm."""
        return float(np.median(np.linalg.norm(self.root, axis=-1)))

    def part(self, frames: slice | Int[ndarray, " n"]) -> "_Clip":
        """Some frames, in double precision."""
        return _Clip(*(array[frames].astype(np.float64) for array in self[:-1]), skeleton=self.skeleton)  # type: ignore[arg-type, misc]


def gather(clip: _Clip) -> Evidence:
    """Read the clip: its noise from all frames, its bones and what is missed from some.

    Bones settle: those of poses that were fitted to the 2D, and to the bones found before, are nearer to the person's.
    """
    some = clip.part(np.linspace(0, len(clip.poses) - 1, min(len(clip.poses), _FRAMES_FOR_BONES)).astype(int))
    joints = some.poses + some.root[:, None]
    miss = np.linalg.norm(joints - some.rays * (some.rays * joints).sum(-1, keepdims=True), axis=-1)
    noise = clip.distance * white_noise(clip.rays, 2)
    noise = noise[np.isfinite(noise)]
    evidence = Evidence(
        float(np.median(noise)) if len(noise) else UNKNOWN_NOISE_MM, float(np.nanmedian(miss)), _lengths(some)
    )
    for _ in range(_ROUNDS):
        fitted = _nearest(some, evidence, _free_in_depth(evidence, clip.skeleton), _ROUNDS)
        evidence = evidence._replace(lengths_mm=_lengths(some._replace(poses=fitted)))
    return evidence


def _lengths(clip: _Clip) -> Float[ndarray, " bones"]:
    """The mean length of each bone, alike on both sides.

    A bone across the line of sight weighs most, since there the 2D measures it.
    """
    vectors = bone_vectors(clip.poses, clip.skeleton)
    lengths = np.linalg.norm(vectors, axis=-1)
    across = 1 - ((vectors * clip.sight).sum(-1) / np.maximum(lengths, 1)) ** 2
    mean = (across * lengths).sum(0) / np.maximum(across.sum(0), 1e-9)
    both: ndarray = (mean + mean[mirrored_bones(clip.skeleton)]) / 2
    return both


def _free_in_depth(evidence: Evidence, skeleton: Skeleton) -> Float[ndarray, " J"]:
    """How far the network is off along the line of sight, mm: errors add up along the bones from the root."""
    way = np.zeros(skeleton.num_joints)
    for length, (joint, _) in zip(evidence.lengths_mm, skeleton.bones, strict=True):
        way[list(skeleton.subtree(joint))] += length
    return np.maximum(DEPTH_SHARE * way, LEAST_DEPTH_MM)


def white_noise(points: Float[ndarray, "N J 3"], axes: int) -> Float[ndarray, " J"]:
    """Standard deviation, per axis, of what is new in every frame: from fourth differences, which motion hardly has.

    Their lower quartile is taken, as it is seldom that of fast motion or of an outlier.

    Args:
        points: Of each joint; NaN where missing.
        axes: Along how many of the three axes there is noise: 2 for points of a sphere.

    Returns:
        NaN where a joint is not seen in five frames in a row.
    """
    if len(points) < 5:
        return np.full(points.shape[1], np.nan)
    parts = [points[inner.start : inner.stop + 4] for inner, _ in _parts(len(points) - 4)]
    fourth = np.concatenate([np.linalg.norm(np.diff(part, 4, axis=0), axis=-1) for part in parts])
    seen = np.isfinite(fourth).any(0)
    quartile = np.full(points.shape[1], np.nan)
    quartile[seen] = np.nanquantile(fourth[:, seen], 0.25, axis=0)
    noise: ndarray = quartile / _QUARTILE[axes] / np.sqrt(70)  # 1, 4, 6, 4, 1
    return noise


def _fitted(clip: _Clip, evidence: Evidence) -> Float[ndarray, "N J 3"]:
    clip = _steadied(clip, evidence)
    free = _free_in_depth(evidence, clip.skeleton)
    moved = _nearest(clip, evidence, free, _ROUNDS)
    along = ((moved - clip.poses) * clip.sight).sum(-1)
    if len(along) > 2 and 1 / float(np.median(np.diff(clip.time_s))) > 2.2 * DEPTH_HZ:
        along = smooth(along, clip.time_s, DEPTH_HZ)
    deeper = clip._replace(poses=clip.poses + along[..., None] * clip.sight)
    return _nearest(deeper, evidence, np.full_like(free, _CERTAIN_DEPTH_MM), 1)


def _steadied(clip: _Clip, evidence: Evidence) -> _Clip:
    """The most probable motion, given the noise of 2D and poses, where acceleration is white."""
    if len(clip.poses) < 5:
        return clip
    weight = evidence.steadied * float(np.median(np.diff(clip.time_s))) / SPECTRUM_MM2_PER_S3
    rays = smooth_by(_bridged(clip.rays), clip.time_s, weight * evidence.noise_mm**2)
    poses = clip.poses.copy()
    for joint, noise in enumerate(white_noise(clip.poses, 3)):
        poses[:, joint] = smooth_by(poses[:, joint], clip.time_s, weight * noise**2)
    return clip._replace(
        poses=poses - poses[:, clip.skeleton.root, None], rays=np.where(np.isnan(clip.rays), np.nan, _unit(rays))
    )


def _nearest(clip: _Clip, evidence: Evidence, depth_mm: Float[ndarray, " J"], rounds: int) -> Float[ndarray, "N J 3"]:
    """The least of the module's sum, by Gauss-Newton steps on all coordinates of a frame together; root-relative."""
    count, joints, _ = clip.poses.shape
    ends, starts = (list(side) for side in zip(*clip.skeleton.bones, strict=True))
    bone, joint = np.arange(len(ends)), np.arange(joints)
    begin = clip.poses + clip.root[:, None]
    seen = np.isfinite(clip.rays)
    certain = np.where(seen.all(-1), clip.confidence / evidence.error_mm**2, 0)[..., None, None]
    along = clip.sight[..., None] * clip.sight[..., None, :]
    stay = (np.eye(3) - along) / LATERAL_MM**2 + along / depth_mm[:, None, None] ** 2  # N J 3 3
    ray = np.where(seen, clip.rays, 0)
    follow = certain * (np.eye(3) - ray[..., None] * ray[..., None, :])
    placed = begin.copy()
    for _ in range(rounds):
        vectors = bone_vectors(placed, clip.skeleton)
        lengths = np.maximum(bone_lengths(placed, clip.skeleton), 1e-6)
        longer = np.zeros((count, len(ends), joints, 3))  # how joints must move for bones to become longer
        longer[:, bone, ends] = vectors / lengths[..., None]
        longer[:, bone, starts] = -longer[:, bone, ends]
        longer = longer.reshape(count, len(ends), -1) / BONE_MM
        matrix = (longer.swapaxes(1, 2) @ longer).reshape(count, joints, 3, joints, 3)
        matrix[:, joint, :, joint] += (stay + follow).swapaxes(0, 1)
        pull = (stay @ (begin - placed)[..., None] - follow @ placed[..., None]).reshape(count, -1, 1)
        pull += longer.swapaxes(1, 2) @ ((evidence.lengths_mm - lengths) / BONE_MM)[..., None]
        step = np.linalg.solve(matrix.reshape(count, 3 * joints, -1), pull).reshape(placed.shape)
        placed += step * np.minimum(
            1, _LARGEST_STEP_MM / np.maximum(np.linalg.norm(step, axis=-1, keepdims=True), 1e-9)
        )
    relative: ndarray = placed - placed[:, clip.skeleton.root, None]
    return relative


def _bridged_poses(clip: _Clip, evidence: Evidence) -> Float[ndarray, "N J 3"]:
    """Lost joints on the most probable way between where they are seen, given what the network imagines there.

    It imagines each frame without knowing what the fit has made of those about it, and a jump is the less likely thing.
    Bones have their lengths there, too.
    """
    lost = np.isnan(clip.rays).any(-1)
    if not lost.any():
        return clip.poses
    seconds = frame_seconds(clip.time_s)
    roughness = acceleration_bands(clip.time_s) / SPECTRUM_MM2_PER_S3
    poses = clip.poses.astype(np.float64)
    for joint in np.flatnonzero(lost.any(0)):
        bands = roughness.copy()
        weight = np.where(lost[:, joint], seconds / (IMAGINED_S * IMAGINED_MM**2), _AS_SEEN)
        bands[0] += weight
        way = solveh_banded(bands, weight[:, None] * poses[:, joint], lower=True)
        poses[lost[:, joint], joint] = way[lost[:, joint]]
    frames = np.flatnonzero(lost.any(1))
    alike = np.full(clip.skeleton.num_joints, LATERAL_MM)
    long = _nearest(clip._replace(poses=poses).part(frames), evidence, alike, _ROUNDS)
    poses[frames] = np.where(lost[frames, :, None], long, poses[frames])
    return poses


def _unit(vectors: Float[ndarray, "*batch 3"]) -> Float[ndarray, "*batch 3"]:
    unit: ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _bridged(rays: Float[ndarray, "N J 3"]) -> Float[ndarray, "N J 3"]:
    """Missing joints on the straight line between where they are seen."""
    filled, frames = rays.copy(), np.arange(len(rays))
    known: Bool[ndarray, "N J"] = np.isfinite(rays).all(-1)
    for joint in np.flatnonzero(~known.all(0)):
        seen = known[:, joint]
        for axis in range(3):
            filled[:, joint, axis] = np.interp(frames, frames[seen], rays[seen, joint, axis]) if seen.any() else 1
    return filled


def _parts(count: int) -> Iterator[tuple[slice, slice]]:
    """Frames in parts, each also with the frames about it that it feels."""
    for start in range(0, count, _FRAMES_AT_ONCE):
        stop = min(start + _FRAMES_AT_ONCE, count)
        yield slice(start, stop), slice(max(0, start - _MARGIN), min(count, stop + _MARGIN))

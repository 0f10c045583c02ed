"""From hypotheses to poses that count: one for every aggregation, as we count (clean) or as D3DP does.

Clean: a sequence is lifted whole, each of its valid frames counts once, P-Best chooses per pose, and P-MPJPE aligns
the pose that was assembled. D3DP's: a sequence is cut into windows that are lifted apart and counted in batches, so
that the overlap of the last window counts twice and padding counts, P-Best chooses one hypothesis for a whole batch,
and P-MPJPE aligns every hypothesis before one is chosen. docs/evaluation.md states the size of each difference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from dreampose3d.camera import Camera
from dreampose3d.hypotheses import j_agg, j_agg_given_root, oracle_j_best, oracle_p_best, p_agg
from dreampose3d.lifting.fitting import fit_to_2d
from dreampose3d.metrics import mpjpe, similarity_align
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import Skeleton
from dreampose3d.trajectory import estimate_root, fittable

Predict = Callable[[PoseSequence, int, int], Tensor]
"""(2D with its camera, H, K) -> root-relative hypotheses (H, N, J, 3) in the camera frame, mm."""

AGGREGATIONS = {
    "h1k1": "H=1 K=1",
    "p_agg": "P-Agg",
    "fitted": "P-Agg, fitted",
    "j_agg_estimated_root": "J-Agg",
    "oracle_j_agg_true_root": "J-Agg, true root (oracle)",
    "oracle_p_best": "P-Best (oracle)",
    "oracle_j_best": "J-Best (oracle)",
}
"""Every way from hypotheses to one pose, in the order of the tables, with its name for people."""


@dataclass(frozen=True)
class Scene:
    """One sequence: what the lifter is shown, and the truth."""

    shown: PoseSequence
    """2D in any joints, confidence, frame rate and intrinsics. No action, no pose of the camera, no truth."""
    skeleton: Skeleton
    """The truth's."""
    joints_mm: Float[Tensor, "N J 3"]
    """The truth in the camera frame, float64."""
    keypoints_px: Float[Tensor, "N J 2"]
    """What is shown, in the truth's joints, float64; NaN where missing."""
    confidence: Float[Tensor, "N J"]
    valid: Bool[Tensor, " N"]
    """Frames that count."""

    @property
    def camera(self) -> Camera:
        """The intrinsics."""
        assert self.shown.camera is not None
        return self.shown.camera

    @property
    def root_mm(self) -> Float[Tensor, "N 3"]:
        """The true path of the root."""
        return self.joints_mm[:, self.skeleton.root]

    @property
    def true(self) -> Float[Tensor, "N J 3"]:
        """The truth less its root."""
        return self.joints_mm - self.root_mm[:, None]

    def window(self, frames: Int[Tensor, " n"]) -> "Scene":
        """These frames as a scene of their own; a frame may repeat."""
        index, first = frames.numpy(), int(frames[0])
        shown = self.shown
        assert shown.keypoints_px is not None
        part = replace(
            shown,
            name=f"{shown.name}[{first}:{first + len(frames)}]",
            keypoints_px=shown.keypoints_px[index],
            confidence=None if shown.confidence is None else shown.confidence[index],
            time_s=None,
        )
        keypoints, confidence = self.keypoints_px[frames], self.confidence[frames]
        return Scene(part, self.skeleton, self.joints_mm[frames], keypoints, confidence, self.valid[frames])


@dataclass(frozen=True)
class Counted:
    """Frames that count: a pose for every aggregation, in the order of `AGGREGATIONS`, and the truth."""

    poses: Float[Tensor, "A F J 3"]
    aligned: Float[Tensor, "A F J 3"]
    """The poses that P-MPJPE measures, moved onto the truth by a similarity."""
    true: Float[Tensor, "F J 3"]


Counting = Callable[[Predict, Scene, int, int], Counted]
"""(lifter, scene, H, K) -> the frames that count."""


def count_clean(predict: Predict, scene: Scene, hypotheses: int, steps: int) -> Counted:
    """The sequence is lifted whole; each valid frame counts once."""
    many, single = lifted(predict, scene.shown, hypotheses, steps, scene.joints_mm.shape)
    rays = scene.camera.rays(scene.keypoints_px)
    times = scene.shown.times
    poses = assembled(many, single, scene.joints_mm, scene.skeleton, rays, scene.confidence, times)[:, scene.valid]
    true = scene.true[scene.valid]
    return Counted(poses, similarity_align(poses, true), true)


def lifted(
    predict: Predict, shown: PoseSequence, hypotheses: int, steps: int, shape: Sequence[int]
) -> tuple[Float[Tensor, "H N J 3"], Float[Tensor, "1 N J 3"]]:
    """The hypotheses at H, K, and the one at H = 1, K = 1: a run of its own unless it is the same.

    Raises:
        ValueError: If the lifter returns another shape than (H, *shape).
    """

    def run(count: int, steps: int) -> Tensor:
        poses = predict(shown, count, steps).detach().cpu().double()
        if poses.shape != (count, *shape):
            raise ValueError(
                f"expected hypotheses of shape {(count, *shape)} for {shown.name}, got {tuple(poses.shape)}"
            )
        return poses

    many = run(hypotheses, steps)
    return many, many if hypotheses == steps == 1 else run(1, 1)


def assembled(
    many: Float[Tensor, "H N J 3"],
    single: Float[Tensor, "1 N J 3"],
    joints_mm: Float[Tensor, "N J 3"],
    skeleton: Skeleton,
    rays: Float[Tensor, "N J 2"],
    confidence: Float[Tensor, "N J"],
    time_s: Float[ndarray, " N"],
) -> Float[Tensor, "A N J 3"]:
    """One motion of the hypotheses in every way of `AGGREGATIONS`.

    Args:
        many: Hypotheses, root-relative, camera frame, mm.
        single: The one of H = 1, K = 1.
        joints_mm: The truth in the camera frame, mm.
        skeleton: Its joints.
        rays: The 2D that was shown, as points of the plane z = 1.
        confidence: Its certainty.
        time_s: Presentation times, seconds.
    """
    path = joints_mm[:, skeleton.root]
    true = joints_mm - path[:, None]
    poses = {
        "h1k1": single[0],
        "p_agg": p_agg(many),
        "fitted": fit_to_2d(p_agg(many), rays, confidence, time_s, skeleton)[0],
        "j_agg_estimated_root": j_agg(many, rays, confidence),
        "oracle_j_agg_true_root": j_agg_given_root(many, path, rays, confidence),
        "oracle_p_best": oracle_p_best(many, true),
        "oracle_j_best": oracle_j_best(many, true),
    }
    return torch.stack([poses[name] for name in AGGREGATIONS])


def count_as_d3dp(window: int, batch: int, *, each_frame_once: bool) -> Counting:
    """D3DP's counting, to compare with numbers that were published with it; never for a result of one's own.

    Args:
        window: Frames of a window, the network's N.
        batch: Windows of a sequence that P-Best chooses one hypothesis for (D3DP: 4 on Human3.6M, 2 on MPI-INF-3DHP).
        each_frame_once: False counts every frame of every window, as on Human3.6M. True, as on MPI-INF-3DHP, gives
            each valid frame the pose of the last window that holds it, and aligns that pose.
    """

    def count(predict: Predict, scene: Scene, hypotheses: int, steps: int) -> Counted:
        windows = cut(len(scene.joints_mm), window)
        parts = []
        for first in range(0, len(windows), batch):
            scenes = [scene.window(frames) for frames in windows[first : first + batch]]
            runs = [lifted(predict, part.shown, hypotheses, steps, part.joints_mm.shape) for part in scenes]
            many, single = (torch.stack(run, 1) for run in zip(*runs, strict=True))
            parts.append(_count_batch(many, single, scenes))
        poses, aligned = (torch.cat([getattr(part, name) for part in parts], 1) for name in ("poses", "aligned"))
        if not each_frame_once:
            return Counted(poses, aligned, torch.cat([part.true for part in parts]))
        poses, true = poses[:, last_places(windows)[scene.valid]], scene.true[scene.valid]
        return Counted(poses, similarity_align(poses, true), true)

    return count


def cut(frames: int, window: int) -> list[Int[Tensor, " n"]]:
    """Windows one after the other; the last is the last `window` frames, or all of them and the last one repeated."""
    if frames < window:
        return [torch.arange(window).clamp(max=frames - 1)]
    starts = [*range(0, frames - window, window), frames - window]
    return [torch.arange(start, start + window) for start in starts]


def last_places(windows: Sequence[Int[Tensor, " n"]]) -> Int[Tensor, " N"]:
    """For each frame its place in the last of the windows, laid end to end, that holds it; padding is no place."""
    size = len(windows[0])
    frames = int(windows[-1][-1]) + 1
    place = torch.empty(frames, dtype=torch.long)
    for number, window in enumerate(windows):
        place[window[:frames]] = number * size + torch.arange(min(size, frames))
    return place


def _count_batch(
    many: Float[Tensor, "H B N J 3"], single: Float[Tensor, "1 B N J 3"], scenes: Sequence[Scene]
) -> Counted:
    """Every frame of a batch of windows."""
    true, root = torch.stack([part.true for part in scenes]), torch.stack([part.root_mm for part in scenes])
    estimated = torch.stack([_estimated_root(many[:, b], part) for b, part in enumerate(scenes)], 1)
    pixels, camera = torch.stack([part.keypoints_px for part in scenes]), scenes[0].camera
    nearest = {
        "j_agg_estimated_root": _nearest_in_image(many, estimated, pixels, camera),
        "oracle_j_agg_true_root": _nearest_in_image(many, root, pixels, camera),
    }
    poses = _chosen_in_batch(many, single, true, nearest)
    aligned = _chosen_in_batch(similarity_align(many, true), similarity_align(single, true), true, nearest)
    poses["fitted"] = torch.stack([_fitted(poses["p_agg"][b], part) for b, part in enumerate(scenes)])
    aligned |= {name: similarity_align(poses[name], true) for name in ("p_agg", "fitted")}  # not a mean of aligned ones

    def every(of: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([of[name] for name in AGGREGATIONS]).flatten(1, 2)

    return Counted(every(poses), every(aligned), true.flatten(0, 1))


def _chosen_in_batch(
    many: Float[Tensor, "H B N J 3"],
    single: Float[Tensor, "1 B N J 3"],
    true: Float[Tensor, "B N J 3"],
    nearest: Mapping[str, Int[Tensor, "B N J"]],
) -> dict[str, Float[Tensor, "B N J 3"]]:
    return {
        "h1k1": single[0],
        "p_agg": p_agg(many),
        "oracle_p_best": many[mpjpe(many, true).mean((1, 2)).argmin()],
        "oracle_j_best": oracle_j_best(many, true),
    } | {name: torch.take_along_dim(many, index[None, ..., None], 0)[0] for name, index in nearest.items()}


def _nearest_in_image(
    many: Float[Tensor, "H B N J 3"],
    root_mm: Float[Tensor, "*roots B N 3"],
    keypoints_px: Float[Tensor, "B N J 2"],
    camera: Camera,
) -> Int[Tensor, "B N J"]:
    """Which hypothesis lies nearest to the 2D in the image, distortion included, whatever the 2D's confidence.

    D3DP measures in units of half the image's width; pixels choose alike. Rays beyond 45 degrees are clamped, as there.
    """
    joints = many + root_mm[..., None, :]
    projected = camera.pixels((joints[..., :2] / joints[..., 2:]).clamp(-1, 1))
    distance: Tensor = torch.linalg.vector_norm(projected - keypoints_px, dim=-1)
    return distance.nan_to_num(nan=torch.inf).argmin(0)


def _estimated_root(many: Float[Tensor, "H N J 3"], scene: Scene) -> Float[Tensor, "H N 3"]:
    """NaN, so that the first hypothesis is taken, where the window's 2D places no root."""
    rays = scene.camera.rays(scene.keypoints_px)
    if not fittable(rays, scene.confidence).any():
        return torch.full_like(many[:, :, 0], torch.nan)
    return estimate_root(many, rays, scene.confidence)


def _fitted(pose: Float[Tensor, "N J 3"], scene: Scene) -> Float[Tensor, "N J 3"]:
    rays = scene.camera.rays(scene.keypoints_px)
    return fit_to_2d(pose, rays, scene.confidence, scene.shown.times, scene.skeleton)[0]


class Tally:
    """Sums and counts of some metrics for every aggregation; two tallies add up."""

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self.sums = torch.zeros(len(AGGREGATIONS), len(metrics), dtype=torch.float64)
        self.counts = torch.zeros(len(metrics), dtype=torch.long)

    def add(self, values: Mapping[str, Float[Tensor, "A _"]]) -> None:
        """Count values of every metric, over frames or pairs of frames."""
        self.sums += torch.stack([values[metric].sum(-1) for metric in self.metrics], -1)
        self.counts += torch.tensor([values[metric].shape[-1] for metric in self.metrics])

    def __add__(self, other: "Tally") -> "Tally":
        total = Tally(self.metrics)
        total.sums, total.counts = self.sums + other.sums, self.counts + other.counts
        return total

    def means(self) -> dict[str, dict[str, float]]:
        """Aggregation -> metric -> mean; 0 where there is nothing to take a mean of."""
        values = (self.sums / self.counts.clamp_min(1)).tolist()
        return {name: dict(zip(self.metrics, row, strict=True)) for name, row in zip(AGGREGATIONS, values, strict=True)}

"""How far is a person lifted from one view from where four calibrated views say that he is?

Pose2Sim's single-person clip shows a man on a balance beam from four calibrated cameras. The detector's keypoints of
all four are triangulated to a reference; then each view is lifted alone and compared with it. The reference is not
marker-based: it shares its detector with what it judges, and the clips are not frame-exact. Its own consistency is
printed with the result. Run `dreampose3d fetch blazepose` and `dreampose3d fetch pose2sim` first.

    python benchmarks/four_views.py                    # lifted with each view's calibrated focal length
    python benchmarks/four_views.py --fov 55           # lifted with an assumed field of view
    python benchmarks/four_views.py --reference-only   # the reference and its consistency, without a lifter
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from dreampose3d.calibration import read_calibration
from dreampose3d.camera import Camera
from dreampose3d.files import atomic_write
from dreampose3d.lifting import blazepose
from dreampose3d.lifting.blazepose import BlazePose, Complexity
from dreampose3d.lifting.fetch import cache_folder
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.lifting.video import read_video
from dreampose3d.metrics import mpjpe, p_mpjpe
from dreampose3d.motion.refine import Refinement, refine
from dreampose3d.motion.scale import body_height
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import BLAZEPOSE_33, H36M_17

VIEWS = ("cam01", "cam02", "cam03", "cam04")
FRAME_OFFSETS = (-1, 0, 3, 0)
"""Common frame i is frame i + offset of each view: the clips are not frame-exact (fitted here, by reprojection)."""
FPS = 60.0
LIMBS = sorted((*H36M_17.left, *H36M_17.right))
"""The twelve joints that every convention means alike."""
AS_LIFT_DOES = LiftOptions()
HIPS = H36M_17.indices("left_hip", "right_hip")


@dataclass(frozen=True)
class View:
    """One camera and what the detector saw in all frames of its clip."""

    camera: Camera
    keypoints_px: Float[ndarray, "N K 2"]
    confidence: Float[ndarray, "N K"]
    world_mm: Float[ndarray, "N K 3"]
    """The detector's own 3D guess."""

    def in_h36m(self) -> tuple[Float[ndarray, "N J 2"], Float[ndarray, "N J"]]:
        """Keypoints and confidence in Human3.6M's joints."""
        return BLAZEPOSE_33.to(H36M_17, self.keypoints_px, self.confidence)


@dataclass(frozen=True)
class Reference:
    """The person triangulated from all views, on their common frames, and the 2D it was made from."""

    joints_mm: Float[ndarray, "F J 3"]
    """In the world of the calibration."""
    keypoints_px: Float[ndarray, "4 F J 2"]
    confidence: Float[ndarray, "4 F J"]
    frames: tuple[range, ...]
    """The common frames in each view's own numbering."""


def read_view(name: str, complexity: Complexity) -> View:
    """One view with its detections, which are kept in the cache until the detector's code changes."""
    folder = cache_folder() / "pose2sim"
    code = hashlib.sha256(Path(blazepose.__file__).read_bytes()).hexdigest()[:8]
    stored = folder / f"{name}.{complexity}.{code}.npz"
    video = folder / f"{name}.mp4"
    if not stored.exists():
        detect_to(stored, video, complexity)
    arrays = np.load(stored)
    camera = read_calibration(folder / "Calib.qca.txt", name)
    # Two clips are 8 px narrower than calibrated: cut at the right, not scaled (the views agree best so).
    camera = replace(camera, size_px=(int(arrays["size"][0]), int(arrays["size"][1])))
    return View(camera, arrays["keypoints_px"], arrays["confidence"], arrays["world_mm"])


def detect_to(stored: Path, video: Path, complexity: Complexity) -> None:
    """Run the detector over a clip and store what it says; a frame without a person would stop it here."""
    detector, seen, size = BlazePose.load(complexity), [], (0, 0)
    for frame in read_video(video):
        size = frame.rgb.shape[1::-1]
        landmarks = detector.track(frame.rgb)
        assert landmarks is not None, f"nobody found in frame {len(seen)} of {video}"
        seen.append(landmarks)
    with atomic_write(stored) as temporary:
        np.savez(
            temporary,
            keypoints_px=np.stack([one.keypoints_px for one in seen]),
            confidence=np.stack([one.confidence for one in seen]),
            world_mm=np.stack([one.world_mm for one in seen]),
            size=np.array(size),
        )


def common_frames(lengths: list[int]) -> tuple[range, ...]:
    """The frames that all views show, in each view's own numbering."""
    first = max(-offset for offset in FRAME_OFFSETS)
    end = min(length - offset for length, offset in zip(lengths, FRAME_OFFSETS, strict=True))
    return tuple(range(first + offset, end + offset) for offset in FRAME_OFFSETS)


def triangulate(views: list[View]) -> Reference:
    """The person on the frames that all views show."""
    frames = common_frames([len(view.keypoints_px) for view in views])
    seen = [tuple(array[list(own)] for array in view.in_h36m()) for view, own in zip(views, frames, strict=True)]
    keypoints, confidence = np.stack([k for k, _ in seen]), np.stack([c for _, c in seen])
    return Reference(meet(views, keypoints, confidence), keypoints, confidence, frames)


def meet(
    views: list[View], keypoints_px: Float[ndarray, "4 F J 2"], confidence: Float[ndarray, "4 F J"]
) -> Float[ndarray, "F J 3"]:
    """Each joint where the views' rays meet: the linear least squares of X x (R|t) rays, weighted by confidence.

    Source: Hartley & Zisserman 2004, 12.2 (inhomogeneous), on undistorted rays.
    """
    rows, targets = [], []
    for view, pixels, weight in zip(views, keypoints_px, confidence, strict=True):
        rays = view.camera.rays(torch.from_numpy(pixels).double()).numpy()
        rotation = np.array(view.camera.rotation)
        for axis in (0, 1):  # ray * depth = coordinate, both linear in the point
            row = (rays[..., axis, None] * rotation[2] - rotation[axis]) * weight[..., None]
            rows.append(row)
            targets.append(row @ np.array(view.camera.position_mm))
    A, b = np.stack(rows, -2), np.stack(targets, -1)
    transposed = A.swapaxes(-1, -2)
    joints: ndarray = np.linalg.solve(transposed @ A, transposed @ b[..., None])[..., 0]
    return joints


def residuals_px(reference: Reference, views: list[View]) -> Float[ndarray, "4 F J 2"]:
    """Detected less reprojected, pixels."""
    joints = torch.from_numpy(reference.joints_mm)
    shown = np.stack([view.camera.project(view.camera.to_camera(joints)).numpy() for view in views])
    return reference.keypoints_px - shown


def print_reference(reference: Reference, views: list[View]) -> None:
    """How well the views agree, and how rigid the triangulated bones are."""
    error = np.linalg.norm(residuals_px(reference, views), axis=-1)
    print(f"common frames {error.shape[1]}; reprojection median {np.median(error):.1f} px, ", end="")
    print(f"90 % {np.percentile(error, 90):.1f} px; limbs {np.median(error[..., LIMBS]):.1f} px; by view ", end="")
    print(", ".join(f"{name} {np.median(e):.1f}" for name, e in zip(VIEWS, error, strict=True)))
    print("bone, mm: " + ", ".join(_bone_lengths(reference.joints_mm)))
    loo = [
        mpjpe(*_limb_pair(triangulate_without(views, left_out), reference.joints_mm)) for left_out in range(len(VIEWS))
    ]
    print("leaving one view out moves limbs by " + ", ".join(f"{e.mean():.0f}" for e in loo) + " mm (mid-hip aligned)")


def triangulate_without(views: list[View], left_out: int) -> Float[ndarray, "F J 3"]:
    """The reference made without one view."""
    blind = [replace(view, confidence=view.confidence * (i != left_out)) for i, view in enumerate(views)]
    return triangulate(blind).joints_mm


def _bone_lengths(joints_mm: Float[ndarray, "F J 3"]) -> list[str]:
    lengths = {H36M_17.joints[j]: np.linalg.norm(joints_mm[:, j] - joints_mm[:, p], axis=-1) for j, p in H36M_17.bones}
    return [f"{name} {length.mean():.0f}+-{length.std():.0f}" for name, length in lengths.items()]


def _limb_pair(pred: Float[ndarray, "F J 3"], true: Float[ndarray, "F J 3"]) -> tuple[Tensor, Tensor]:
    """Limb joints of both, relative to the middle of the hips."""
    return tuple(  # type: ignore[return-value]
        torch.from_numpy((pose - pose[:, HIPS].mean(1, keepdims=True))[:, LIMBS]).double() for pose in (pred, true)
    )


def score(pred_mm: Float[ndarray, "N J 3"], view: View, reference: Reference, frames: range) -> tuple[float, float]:
    """MPJPE and P-MPJPE of the limbs over the common frames, mm, in the axes of this camera, mid-hip aligned."""
    true = view.camera.to_camera(torch.from_numpy(reference.joints_mm)).numpy()
    pred, true = _limb_pair(pred_mm[list(frames)], true)
    return float(mpjpe(pred, true).mean()), float(p_mpjpe(pred, true).mean())


def lift(views: list[View], fov: float | None, weights: str, options: LiftOptions) -> list[LiftedMotion]:
    """Every view lifted by itself."""
    lifter, lifted = Lifter.load(weights), []
    for name, view in zip(VIEWS, views, strict=True):
        camera = view.camera if fov is None else Camera.from_fov(view.camera.size_px, fov)
        sequence = PoseSequence(
            name, FPS, BLAZEPOSE_33, keypoints_px=view.keypoints_px, confidence=view.confidence, camera=camera
        )
        lifted.append(lifter.lift(sequence, options))
    return lifted


def print_scores(label: str, poses_mm: list[ndarray], views: list[View], reference: Reference) -> None:
    each = zip(poses_mm, views, reference.frames, strict=True)
    scores = [score(pose, view, reference, frames) for pose, view, frames in each]
    print(f"{label}: limb MPJPE / P-MPJPE, mm")
    for name, (error, aligned) in zip((*VIEWS, "mean"), (*scores, tuple(np.mean(scores, 0))), strict=True):
        print(f"  {name}  {error:6.1f} / {aligned:5.1f}")


def print_paths(motions: list[LiftedMotion], views: list[View], reference: Reference) -> None:
    """How far the middle of the hips is from where it was triangulated, along the line of sight and across."""
    height_m = body_height(reference.joints_mm, H36M_17) / 1000
    print(f"root's path, error in % of the distance, along / across the line of sight (height {height_m:.2f} m):")
    for name, motion, view, frames in zip(VIEWS, motions, views, reference.frames, strict=True):
        true = view.camera.to_camera(torch.from_numpy(reference.joints_mm)).numpy()[:, HIPS].mean(1)
        distance = np.linalg.norm(true, axis=-1)
        sight = true / distance[:, None]
        shares = []
        for refinement in (Refinement(), Refinement(height_m=height_m)):
            off = refine(motion, refinement).joints_mm[list(frames)][:, HIPS].mean(1) - true
            along = (off * sight).sum(-1)
            across = np.linalg.norm(off - along[:, None] * sight, axis=-1)
            shares.append(tuple(float(100 * np.abs(part / distance).mean()) for part in (along, across)))
        (free, free_across), (tall, tall_across) = shares
        print(
            f"  {name}  {free:4.1f} / {free_across:4.2f}, with the height {tall:4.1f} / {tall_across:4.2f}"
            f"; distance {distance.mean() / 1000:.1f} m"
        )


def main(
    fov: float | None = None,
    weights: str = "small",
    options: LiftOptions = AS_LIFT_DOES,
    complexity: Complexity = "heavy",
    reference_only: bool = False,
) -> None:
    """Compare lifting from one view with triangulation from four.

    Args:
        fov: Lift with this assumed field of view, degrees, instead of each view's calibration.
        weights: The lifter's weights.
        options: How to lift.
        complexity: The landmark network that sees for both.
        reference_only: Stop after the reference.
    """
    views = [read_view(name, complexity) for name in VIEWS]
    reference = triangulate(views)
    print_reference(reference, views)
    own_guess = [BLAZEPOSE_33.to(H36M_17, view.world_mm)[0] for view in views]
    print_scores(f"BlazePose ({complexity}) world landmarks, for scale", own_guess, views, reference)
    if not reference_only:
        camera = "calibrated" if fov is None else f"assumed field of view {fov:g} degrees"
        how = f"{options.aggregate}, H {options.hypotheses}, K {options.steps}, flip {'on' if options.flip else 'off'}"
        motions = lift(views, fov, weights, options)
        poses = [motion.root_relative_mm for motion in motions]
        print_scores(f"lifted ({weights}; {camera}; {how})", poses, views, reference)
        print_paths(motions, views, reference)


if __name__ == "__main__":
    tyro.cli(main)

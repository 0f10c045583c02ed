"""How wrong is a real detector, and is the noise model wrong in the same way?

What BlazePose says on Pose2Sim's four-view clip is compared with the reprojection of what all four views say together.
The same figures are taken of the noise model: the triangulated person is seen by the four cameras, made noisy by
`blazepose_noise`, triangulated again and compared, so that what triangulation itself takes away (about a fifth of each
error) is taken away from both. What all views agree on cannot be seen here: where a detector puts a hip differs from
where a marker would be; `data/conventions.py` models that.

Run `dreampose3d fetch blazepose` and `dreampose3d fetch pose2sim` first.

    python benchmarks/detector_residuals.py
    python benchmarks/detector_residuals.py --noise.drift 0.03   # other constants than the model's
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import tyro
from four_views import FPS, VIEWS, Reference, View, meet, read_view, residuals_px, triangulate
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.data.augment import trunk_frame
from dreampose3d.data.conventions import CONVENTIONS, rederive
from dreampose3d.data.noise import DetectorNoise, add_detector_noise, blazepose_noise
from dreampose3d.skeleton import H36M_17

KINDS = {
    kind: H36M_17.indices(f"left_{kind}", f"right_{kind}")
    for kind in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
} | {"face": H36M_17.indices("neck", "head")}
LIMBS = [joint for kind in ("knee", "ankle", "elbow", "wrist") for joint in KINDS[kind]]
WINDOW = 81
GUESSED = 0.5
"""Below this confidence a joint counts as guessed."""
LAGS_S = (0.05, 0.1, 0.2, 0.4)
CONFIDENCE = (0.0, 0.2, 0.5, 0.8, 0.95, 1.01)
COMPONENTS = ("bias", "within", "white", *(f"r({lag:g} s)" for lag in LAGS_S))
NOISE = blazepose_noise()


@dataclass(frozen=True)
class Residuals:
    """Errors in shares of the person's size in the image, and what the detector thought of them."""

    error: Float[ndarray, "V F J 2"]
    confidence: Float[ndarray, "V F J"]


def residuals(reference: Reference, views: list[View]) -> Residuals:
    """Detected less reprojected."""
    off = residuals_px(reference, views)
    shown = reference.keypoints_px - off
    size = np.sqrt(np.square(shown - shown[:, :, [H36M_17.root]]).sum(-1).mean((1, 2)))
    return Residuals(off / size[:, None, None, None], reference.confidence)


def simulated(reference: Reference, views: list[View], noise: DetectorNoise, seed: int) -> Residuals:
    """The same of a person who is exactly the reference, seen through the noise model.

    Nothing is missing or swapped, as in the clip.
    """
    noise = replace(noise, lost=0, gappy=0, cropped=0, blind=0, swaps=0)
    generator = torch.Generator().manual_seed(seed)
    joints = torch.from_numpy(reference.joints_mm)
    exact = torch.stack([view.camera.project(view.camera.to_camera(joints)) for view in views])
    noisy, confidence = add_detector_noise(exact, FPS, generator, noise)
    face = torch.full((len(views),), CONVENTIONS.index("face"))
    noisy, confidence = rederive(noisy, confidence, face)
    joints_mm = meet(views, noisy.numpy(), confidence.numpy())
    return residuals(Reference(joints_mm, noisy.numpy(), confidence.numpy(), reference.frames), views)


def components(found: Residuals) -> Float[ndarray, "kinds components"]:
    """Of each kind of joint, per axis: what lasts a window, what does not, what is new in each frame, its memory."""
    return np.array(
        [_components(found.error[:, :, joints], found.confidence[:, :, joints]) for joints in KINDS.values()]
    )


def _components(error: Float[ndarray, "V F K 2"], confidence: Float[ndarray, "V F K"]) -> list[float]:
    sure = np.where((confidence >= GUESSED)[..., None], error, np.nan)
    windows = np.stack([sure[:, start : start + WINDOW] for start in range(0, sure.shape[1] - WINDOW + 1, 5)])
    mean = np.nanmean(windows, 2, keepdims=True)
    rest = windows - mean
    white = np.sqrt(np.nanmean(np.diff(sure, 2, axis=1) ** 2) / 6)
    return [
        np.sqrt(np.nanmean(mean**2)),
        np.sqrt(np.nanmean(rest**2)),
        white,
        *(_correlation(rest, round(lag * FPS)) for lag in LAGS_S),
    ]


def _correlation(rest: Float[ndarray, "W V F K 2"], lag: int) -> float:
    return float(np.nanmean(rest[:, :, :-lag] * rest[:, :, lag:]) / np.nanmean(rest**2))


def trust(found: Residuals) -> Float[ndarray, "bins 2"]:
    """Of limbs, by confidence: the share of all, and the median error."""
    error, confidence = np.linalg.norm(found.error[:, :, LIMBS], axis=-1), found.confidence[:, :, LIMBS]
    rows = []
    for low, high in pairwise(CONFIDENCE):
        inside = (confidence >= low) & (confidence < high)
        rows.append([inside.mean(), np.median(error[inside]) if inside.any() else np.nan])
    return np.array(rows)


def print_face(reference: Reference) -> None:
    """Where the detector's points lie in the person's own axes, mm: left, up, forward."""
    joints = torch.from_numpy(reference.joints_mm)
    chest = trunk_frame(joints, "shoulder", H36M_17)
    thorax, neck, head, shoulder = H36M_17.indices("thorax", "neck", "head", "left_shoulder")
    for name, bone in (
        ("nose from mid-shoulders", joints[:, neck] - joints[:, thorax]),
        ("mid-eyes from nose", joints[:, head] - joints[:, neck]),
        ("left shoulder from mid-shoulders", joints[:, shoulder] - joints[:, thorax]),
    ):
        own = (bone[:, None] @ chest)[:, 0]
        places = ", ".join(f"{m:.0f}+-{s:.0f}" for m, s in zip(own.mean(0), own.std(0), strict=True))
        print(f"{name}: {places} mm (left, up, forward); length {bone.norm(dim=-1).mean():.0f} mm")


def main(noise: DetectorNoise = NOISE, draws: int = 40) -> None:
    """Print the detector's errors beside the model's.

    Args:
        noise: The model's constants.
        draws: Simulated clips.
    """
    views = [read_view(name, "heavy") for name in VIEWS]
    reference = triangulate(views)
    real = residuals(reference, views)
    model = [simulated(reference, views, noise, seed) for seed in range(draws)]
    ours = np.sqrt(np.mean([components(one)[:, :3] ** 2 for one in model], 0))
    memory = np.mean([components(one)[:, 3:] for one in model], 0)
    print("errors per axis, shares of the person's size in the image: BlazePose heavy | the model")
    print("joint     " + "  ".join(f"{name:>15s}" for name in COMPONENTS))
    for kind, row, size, lasting in zip(KINDS, components(real), ours, memory, strict=True):
        cells = [f"{a:7.4f} {b:7.4f}" for a, b in zip(row[:3], size, strict=True)]
        cells += [f"{a:7.2f} {b:7.2f}" for a, b in zip(row[3:], lasting, strict=True)]
        print(f"{kind:9s} " + "  ".join(cells))
    print("limbs by confidence: share and median error, BlazePose | the model")
    own = np.nanmean([trust(one) for one in model], 0)
    for low, (share, error), (modelled, made) in zip(CONFIDENCE, trust(real), own, strict=False):
        print(f"from {low:4.2f}: {share:5.3f} {error:6.3f} | {modelled:5.3f} {made:6.3f}")
    print_face(reference)


if __name__ == "__main__":
    tyro.cli(main)

"""How often `check_skeleton` refuses a right skeleton, and how often it finds a wrong one.

    python benchmarks/plausibility.py --data DIR        # DIR holds the sets' folders (index.csv and npz files)

Every clip is filmed by two random cameras, put into the orders h36m_17, coco_17 (with a made-up face) and
mpi_inf_3dhp_17, and given a detector's errors. Prints the segment lengths over the training splits, which
`plausibility.SEGMENTS` holds, and the rates over all other splits.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch

from dreampose3d.data.cameras import film
from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.data.noise import add_detector_noise
from dreampose3d.lifting.plausibility import (
    MOSTLY_UPSIDE_DOWN,
    SEGMENTS,
    implausibility,
    is_refused,
    segment_lengths,
    share_upside_down,
)
from dreampose3d.skeleton import COCO_17, H36M_17, MPI_INF_3DHP_17

SKELETONS = (H36M_17, COCO_17, MPI_INF_3DHP_17)
RENAMED = {MPI_INF_3DHP_17: {"head_top": "head", "neck": "thorax", "head": "neck"}}
FOCAL_PX, CENTER_PX = 1000, 500
FACE_MM = {  # forward, up, left of the middle of neck and head
    "nose": (110, -20, 0),
    **{f"{side}_eye": (85, 35, sign * 32) for side, sign in (("left", 1), ("right", -1))},
    **{f"{side}_ear": (10, 15, sign * 75) for side, sign in (("left", 1), ("right", -1))},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of set folders")
    parser.add_argument("--clips", type=int, default=200, help="at most so many of a set")
    options = parser.parse_args()
    clips = [
        clip
        for index in sorted(options.data.glob("*/index.csv"))
        for clip in thinned(read_mocap(index.parent), options.clips)
    ]
    print_segments([clip for clip in clips if clip.split == "train" and clip.set_name in ("cmu", "hdm05")])
    others = [clip for clip in clips if clip.split != "train"]
    for frames, noise in itertools.product((1, 10, 50, 250), (0.0, 1.0)):
        print_rates(views(others, frames, noise), f"{frames} frames, {'noisy' if noise else 'exact'} 2D")
    for lost in (1, 2):
        print_rates(without(views(others, 50, 1.0), lost), f"50 frames, noisy 2D, {lost} joints never seen")


def thinned(clips: list[MocapClip], count: int) -> list[MocapClip]:
    return clips[:: -(-len(clips) // count)]


def views(clips: list[MocapClip], frames: int, noise: float) -> list[dict[str, np.ndarray]]:
    """For every clip and camera, the same 2D motion in each skeleton's order."""
    generator, numbers = torch.Generator().manual_seed(0), np.random.default_rng(0)
    seen = []
    for clip in (clip for clip in clips for _ in range(2)):
        count = min(frames, len(clip.joints_mm))
        start = numbers.integers(len(clip.joints_mm) - count + 1)
        joints = clip.joints_mm[start : start + count].astype(np.float64)
        ordered = np.concatenate([joints, *(in_order_of(skeleton, joints) for skeleton in SKELETONS)], 1)
        filmed = film(torch.from_numpy(ordered)[None], generator)[0]  # its root is the first joint: the pelvis
        pixels = FOCAL_PX * filmed[..., :2] / filmed[..., 2:] + CENTER_PX
        parts = pixels.split([H36M_17.num_joints, *(skeleton.num_joints for skeleton in SKELETONS)], 1)[1:]
        view = {}
        for skeleton, part in zip(SKELETONS, parts, strict=True):
            found, confidence = add_detector_noise(part, clip.fps, generator, level=noise, skeleton=skeleton)
            view[skeleton.name] = torch.where(confidence[..., None] > 0, found, torch.nan).numpy()
        seen.append(view)
    return seen


def in_order_of(skeleton, joints_mm: np.ndarray) -> np.ndarray:
    """Mocap's joints in another skeleton's order, with a face where it has one."""
    at = {name: joints_mm[:, i] for i, name in enumerate(H36M_17.joints)}
    up = unit(at["head"] - at["thorax"])
    across = at["left_shoulder"] - at["right_shoulder"]
    left = unit(across - (across * up).sum(-1, keepdims=True) * up)
    forward = np.cross(left, up)
    for name, (ahead, above, aside) in FACE_MM.items():
        at[name] = (at["neck"] + at["head"]) / 2 + ahead * forward + above * up + aside * left
    names = RENAMED.get(skeleton, {})
    return np.stack([at[names.get(joint, joint)] for joint in skeleton.joints], 1)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-6)


def without(seen: list[dict[str, np.ndarray]], count: int) -> list[dict[str, np.ndarray]]:
    """The same views with so many joints, drawn for each view, never seen."""
    numbers = np.random.default_rng(0)
    for view, skeleton in itertools.product(seen, SKELETONS):
        view[skeleton.name][:, numbers.choice(skeleton.num_joints, count, replace=False)] = np.nan
    return seen


def print_segments(clips: list[MocapClip]) -> None:
    seen = views([clip for clip in clips for _ in range(3)], 1, 0.5)
    lengths = np.concatenate([segment_lengths(view[s.name], s) for view in seen for s in SKELETONS])
    print(f"segment over spread, {len(seen)} views of training clips: mean, standard deviation (in the code)")
    for segment, mean, deviation in zip(SEGMENTS, np.nanmean(lengths, 0), np.nanstd(lengths, 0), strict=True):
        print(f"  {' - '.join(segment):32s} {mean:.2f} {deviation:.2f}   {SEGMENTS[segment]}")


def print_rates(seen: list[dict[str, np.ndarray]], title: str) -> None:
    scores = np.array(
        [[[implausibility(v[true.name], told) for told in SKELETONS] for true in SKELETONS] for v in seen]
    )
    rivals = np.stack([np.delete(scores, i, 2).min(2) for i in range(len(SKELETONS))], 2)  # view, true, told
    refused, margin = np.vectorize(is_refused)(scores, rivals), scores - rivals
    print(f"\n{title}: {len(seen)} views")
    for i, true in enumerate(SKELETONS):
        print(f"  {true.name:16s} right: {refused[:, i, i].sum()} refused, largest margin {margin[:, i, i].max():.2f}")
        for j in {*range(len(SKELETONS))} - {i}:
            found, middle = refused[:, i, j].mean(), np.median(margin[:, i, j])
            print(f"    told to be {SKELETONS[j].name:16s} {found:7.2%} refused, median margin {middle:.1f}")
    upright = np.array([share_upside_down(view[H36M_17.name], H36M_17) for view in seen])
    turned = np.array([share_upside_down(-view[H36M_17.name], H36M_17) for view in seen])
    warned, found = (upright > MOSTLY_UPSIDE_DOWN).sum(), (turned > MOSTLY_UPSIDE_DOWN).mean()
    print(f"  called upside down: {warned} as they are, {found:.1%} with y upwards")


if __name__ == "__main__":
    main()

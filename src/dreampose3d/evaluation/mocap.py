"""The mocap protocol: recorded motion, four virtual cameras a clip, a lifter in, a table out (docs/evaluation.md)."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import Any, Literal, assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from dreampose3d import __version__
from dreampose3d.camera import Camera
from dreampose3d.data.cameras import look_at
from dreampose3d.data.mocap import MocapClip, read_mocap
from dreampose3d.data.noise import add_detector_noise
from dreampose3d.evaluation.counting import AGGREGATIONS, Predict, Tally, assembled, lifted
from dreampose3d.evaluation.tables import Report, Table, to_csv, to_markdown
from dreampose3d.metrics import acceleration_error, mpjpe, mpjve, n_mpjpe, p_mpjpe
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import H36M_17

Input = Literal["gt", "noisy"]

METRICS = {
    "mpjpe_mm": "MPJPE, mm",
    "p_mpjpe_mm": "P-MPJPE, mm",
    "n_mpjpe_mm": "N-MPJPE, mm",
    "limb_mpjpe_mm": "limb MPJPE, mm",
    "limb_p_mpjpe_mm": "limb P-MPJPE, mm",
    "mpjve_mm_per_s": "MPJVE, mm/s",
    "acceleration_error_m_per_s2": "acceleration error, m/s^2",
}
"""Every measure, in the order of the tables, with its name for people."""

AZIMUTHS_DEGREES = (45.0, 135.0, 225.0, 315.0)
_AZIMUTH_JITTER_DEGREES = 20.0
_HEIGHT_MM = (500.0, 2500.0)
_DISTANCE_MM = (3000.0, 6000.0)
_LEAST_DEPTH_MM = 1500.0
_ROLL_DEGREES = 2.0
_FOV_DEGREES = 50.0
_SIZE_PX = (1000, 1000)

_LIMBS = sorted(H36M_17.left + H36M_17.right)  # hips, knees, ankles, shoulders, elbows, wrists: 1-6 and 11-16


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated and how; written beside every result."""

    data: str
    """The set folder, or the parent of set folders together with `set`."""
    split: str
    set: str | None = None
    input: Input = "gt"
    """Exact 2D, or 2D with the detector-like noise of `data.noise`."""
    hypotheses: int = 1
    """H."""
    steps: int = 1
    """K."""
    eta: float = 0.0
    flip: bool | Literal["over"] = True
    """With the mirrored input, inside every step; "over": over two samplings."""
    seed: int = 0
    weights: str = ""
    weights_sha256: str = ""
    threads: int = field(default_factory=torch.get_num_threads)
    version: str = __version__

    def __post_init__(self) -> None:
        for name in ("hypotheses", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class FilmedClip:
    """A clip as one of the four cameras sees it."""

    sequence: PoseSequence
    """All that the lifter gets: 2D, confidence, frame rate and intrinsics. No action, no pose of the camera."""
    joints_mm: Float[Tensor, "N J 3"]
    """The truth in the camera frame, float64."""
    rays: Float[Tensor, "N J 2"]
    """The 2D of `sequence` as points of the plane z = 1, for J-Agg."""
    confidence: Float[Tensor, "N J"]


def evaluate_mocap(
    predict: Predict,
    config: EvaluationConfig,
    count_windows: Callable[[PoseSequence], int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Lift every clip of a split, seen by four cameras, and compare with the truth.

    Clips are lifted whole, so no frame is counted twice and no padding at all; every mean is over frames of all
    cameras (velocity: pairs of frames, acceleration: threes), and 0 where a clip set has none.

    Args:
        predict: The lifter; called once at H, K and, unless these are 1, once more at H = 1, K = 1.
        config: What to evaluate.
        count_windows: How many windows the lifter cuts a sequence into; one per sequence if not given.
        progress: Told (frames done, frames in all) after each camera of each clip.

    Returns:
        `overall`: aggregation -> metric -> number; `actions`: the same per action; `counts`; `config`. Ready for JSON.

    Raises:
        FileNotFoundError: If the folder or a file of it is missing.
        ValueError: If the set or the split is unknown, a clip is empty, or the lifter returns another shape.
    """
    clips = read_mocap(Path(config.data), config.set, config.split)
    frames_in_all = len(AZIMUTHS_DEGREES) * sum(len(clip.joints_mm) for clip in clips)
    tallies = {action: Tally(list(METRICS)) for action in sorted({clip.action for clip in clips})}
    windows = frames = 0
    for clip in clips:
        for filmed in film_clip(clip, config.input):
            poses = _assemble(predict, filmed, config)
            tallies[clip.action].add(_errors(poses, _root_relative(filmed.joints_mm), clip.fps))
            windows += 1 if count_windows is None else count_windows(filmed.sequence)
            frames += len(clip.joints_mm)
            if progress is not None:
                progress(frames, frames_in_all)
    overall = sum(tallies.values(), start=Tally(list(METRICS)))
    return {
        "overall": overall.means(),
        "actions": {action: tally.means() for action, tally in tallies.items()},
        "counts": {
            "clips": len(clips),
            "cameras": len(AZIMUTHS_DEGREES),
            "windows": windows,
            **_counted(overall),
            "actions": {action: _counted(tally) for action, tally in tallies.items()},
        },
        "config": asdict(replace(config, set=clips[0].set_name)),
    }


def film_clip(clip: MocapClip, input: Input) -> Iterator[FilmedClip]:
    """See a clip with the protocol's four static cameras, each seeded by a hash of trial and camera index.

    Joints outside the image stay. With noisy input the noise continues the random numbers of its camera.

    Raises:
        ValueError: If the clip has no frames.
    """
    if not len(clip.joints_mm):
        raise ValueError(
            f"{clip.set_name}, {clip.trial}: expected at least 1 frame, got 0; drop its row from the index"
        )
    world = torch.from_numpy(clip.joints_mm).double()
    for index in range(len(AZIMUTHS_DEGREES)):
        name = f"{clip.trial}/{index}"
        generator = torch.Generator().manual_seed(stable_seed(name))
        camera = static_camera(world, index, generator)
        joints = camera.to_camera(world)
        exact = camera.project(joints)
        match input:
            case "gt":
                keypoints, confidence = exact, torch.ones_like(joints[..., 0])
            case "noisy":
                keypoints, confidence = add_detector_noise(exact, clip.fps, generator)
            case _:
                assert_never(input)
        lens = Camera.from_fov(_SIZE_PX, _FOV_DEGREES)
        sequence = PoseSequence(
            name=name,
            fps=clip.fps,
            keypoints_px=keypoints.float().numpy(),
            confidence=confidence.float().numpy(),
            camera=lens,
        )
        yield FilmedClip(sequence, joints, lens.rays(keypoints), confidence)


def static_camera(joints_mm: Float[Tensor, "N J 3"], index: int, generator: torch.Generator) -> Camera:
    """One of the four cameras: aimed at the clip's mean root, with 50 degrees over 1000 x 1000 pixels.

    Args:
        joints_mm: The whole clip in the world, mm, z up, float64.
        index: Which azimuth: 45, 135, 225 or 315 degrees, each +-20.
        generator: Draws azimuth, height above z = 0, horizontal distance from the mean root, and roll, in this order.
    """
    azimuth, height, distance = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    roll = _ROLL_DEGREES * torch.randn(1, generator=generator, dtype=torch.float64)[0]
    angle = math.radians(AZIMUTHS_DEGREES[index] + _AZIMUTH_JITTER_DEGREES * (2 * azimuth - 1))
    outward = joints_mm.new_tensor((math.cos(angle), math.sin(angle), 0))
    target = joints_mm[:, H36M_17.root].mean(0)
    rise = _between(_HEIGHT_MM, height) - float(target[2])
    reach = _far_enough(_between(_DISTANCE_MM, distance), joints_mm - target, outward, rise)
    position = target + reach * outward + target.new_tensor((0, 0, rise))
    rotation = look_at(position, target, torch.deg2rad(roll)).tolist()
    lens = Camera.from_fov(_SIZE_PX, _FOV_DEGREES)
    return replace(lens, rotation=tuple(map(tuple, rotation)), position_mm=tuple(position.tolist()))


def stable_seed(text: str) -> int:
    """63 bits that depend on the text alone, on every machine (SHA-256)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def format_table(result: Mapping[str, Any]) -> str:
    """A result as Markdown: all frames, a row per aggregation; then a table per metric, a row per action and in all.

    The limb metrics stand in the first table only; JSON has them per action, too.
    """
    return to_markdown(report(result))


def report(result: Mapping[str, Any]) -> Report:
    """A result as tables (see `format_table`)."""
    config, counts = result["config"], result["counts"]
    flip = {True: "on", False: "off"}.get(config["flip"], config["flip"])
    conditions = (
        f"{config['set']} {config['split']}, {config['input']} 2D, weights {config['weights']}, "
        f"H={config['hypotheses']} K={config['steps']} eta={config['eta']:g} flip={flip} "
        f"seed={config['seed']}: {counts['clips']} clips x {counts['cameras']} cameras, {counts['windows']} windows, "
        f"{counts['frames']} frames"
    )
    rows = [[name, *starmap(_number, result["overall"][key].items())] for key, name in AGGREGATIONS.items()]
    tables = [Table(["all frames", *METRICS.values()], rows)]
    lines = [(action, counts["actions"][action], errors) for action, errors in result["actions"].items()]
    lines.append(("all", counts, result["overall"]))
    for metric in (name for name in METRICS if not name.startswith("limb")):
        rows = [
            [name, str(count["frames"]), *(_number(metric, errors[key][metric]) for key in AGGREGATIONS)]
            for name, count, errors in lines
        ]
        tables.append(Table([METRICS[metric], "frames", *AGGREGATIONS.values()], rows))
    return Report(conditions, tables)


def comma_separated(result: Mapping[str, Any]) -> str:
    """A result as CSV: a line for each action and aggregation, and for all of them together."""
    counts = result["counts"]
    frames = {action: count["frames"] for action, count in counts["actions"].items()} | {"all": counts["frames"]}
    return to_csv(result["actions"] | {"all": result["overall"]}, frames, {"protocol": "mocap", **result["config"]})


def _counted(tally: Tally) -> dict[str, int]:
    """How many poses, and pairs and threes of successive poses, the means are over."""
    count = dict(zip(METRICS, tally.counts.tolist(), strict=True))
    return {
        "frames": count["mpjpe_mm"],
        "velocities": count["mpjve_mm_per_s"],
        "accelerations": count["acceleration_error_m_per_s2"],
    }


def _errors(poses: Float[Tensor, "A N J 3"], true: Float[Tensor, "N J 3"], fps: float) -> dict[str, Tensor]:
    """Each metric for every aggregation and frame."""
    limbs, true_limbs = poses[..., _LIMBS, :], true[..., _LIMBS, :]
    return {
        "mpjpe_mm": mpjpe(poses, true),
        "p_mpjpe_mm": p_mpjpe(poses, true),
        "n_mpjpe_mm": n_mpjpe(poses, true),
        "limb_mpjpe_mm": mpjpe(limbs, true_limbs),
        "limb_p_mpjpe_mm": p_mpjpe(limbs, true_limbs),
        "mpjve_mm_per_s": mpjve(poses, true, fps),
        "acceleration_error_m_per_s2": acceleration_error(poses, true, fps),
    }


def _assemble(predict: Predict, filmed: FilmedClip, config: EvaluationConfig) -> Float[Tensor, "A N J 3"]:
    """Lift a filmed clip and make one motion of the hypotheses in every way of `AGGREGATIONS`."""
    many, single = lifted(predict, filmed.sequence, config.hypotheses, config.steps, filmed.joints_mm.shape)
    return assembled(many, single, filmed.joints_mm, H36M_17, filmed.rays, filmed.confidence, filmed.sequence.times)


def _root_relative(joints: Float[Tensor, "N J 3"]) -> Float[Tensor, "N J 3"]:
    return joints - joints[:, H36M_17.root, None]


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _far_enough(distance: float, offsets: Float[Tensor, "N J 3"], outward: Float[Tensor, " 3"], rise: float) -> float:
    """The larger of a horizontal distance and what keeps every joint 1.5 m in front of the camera, mm.

    A camera at c = distance * outward + rise * z from its target sees a joint at offset p in the depth |c| - p.c/|c|,
    which is enough for certain where the distance is 1.5 m more than the farthest offset; bisection finds the rest.

    Args:
        distance: The one that was drawn, mm.
        offsets: All joints of the clip relative to the target, mm.
        outward: Horizontal unit vector from the target to the camera.
        rise: Height of the camera above the target, mm; negative below.
    """
    along, up = (offsets @ outward).flatten(), offsets[..., 2].flatten()

    def clear(d: float) -> bool:
        reach = math.hypot(d, rise)
        return bool(reach - (along * d + up * rise).max() / reach >= _LEAST_DEPTH_MM)

    near, far = distance, _LEAST_DEPTH_MM + float(torch.linalg.vector_norm(offsets, dim=-1).max())
    if clear(near):
        return near
    while far - near > 1e-3:
        middle = (near + far) / 2
        near, far = (near, middle) if clear(middle) else (middle, far)
    return far


def _number(metric: str, value: float) -> str:
    return f"{value:.2f}" if metric == "acceleration_error_m_per_s2" else f"{value:.1f}"

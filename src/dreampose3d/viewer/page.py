"""A lifted motion as one HTML file that opens from disk, offline, and shows it in 3D beside its 2D input.

The file holds everything: styles, our scripts, three.js and the data. Its content security policy forbids every
request and every script but those two, which it names by hash. The numbers are rounded to a stated step, taken as
differences from frame to frame and deflated (`pack`), so that ten thousand frames need about one megabyte.
"""

import base64
import hashlib
import html
import json
import re
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from dreampose3d.files import atomic_write
from dreampose3d.sequence import LiftedMotion
from dreampose3d.skeleton import Skeleton
from dreampose3d.viewer.mp4 import frames_of, mp4_writer

_SCRIPTS = ("data.js", "body.js", "stage.js", "picture.js", "timeline.js", "graph.js", "player.js")
_VIDEO_SIDE_PX = 480  # of the longer side
_SHOWN_INTENTS = 3
_BONE_RADIUS_MM = {
    "hip": 58, "knee": 62, "ankle": 46, "spine": 76, "thorax": 80, "neck": 46, "head": 46,
    "shoulder": 50, "elbow": 43, "wrist": 35,
}  # fmt: skip
"""Thickness of the bone that ends in a joint, to look like a body; joints not named get `_OTHER_RADIUS_MM`."""
_OTHER_RADIUS_MM = 40
_HEAD_RADIUS_MM = 95


@dataclass(frozen=True)
class Signal:
    """One number over time, for the graph."""

    name: str
    unit: str
    values: Float[ndarray, " N"]


@dataclass(frozen=True)
class Event:
    """A moment with a name, marked on the timeline."""

    name: str
    time_s: float


@dataclass(frozen=True)
class Shown:
    """A motion on the page, with what is drawn beside it."""

    motion: LiftedMotion
    label: str = ""
    """What the choice of persons calls it."""
    signals: Sequence[Signal] = ()
    events: Sequence[Event] = ()
    graph: str = ""
    """The signal that the graph shows at first; none if empty."""


def write_page(
    shown: LiftedMotion | Shown | Sequence[LiftedMotion | Shown], path: Path, video: Path | None = None
) -> None:
    """Write the page.

    Args:
        shown: What to show: one motion, or several on the clock and in the camera of the first: people of one clip, or
            results to compare.
        path: The HTML file; written whole or not at all.
        video: The clip that it was lifted from: goes into the page re-encoded, at most 480 px a side, under the 2D
            input. Left out, and the page says so, where PyAV (extra `video`) is not installed.

    Raises:
        ValueError: If there is nothing to show, a signal is not as long as its motion, or the video cannot be read.
        OSError: If the page cannot be written.
    """
    everyone = [_shown(one) for one in (shown if isinstance(shown, Sequence) else [shown])]
    if not everyone:
        raise ValueError("expected at least one motion to show, got none")
    clip = None if video is None else _small_video(everyone[0].motion, video)
    left_out = video is not None and clip is None
    note = 'video left out: it needs pip install "dreampose3d[video]"' if left_out else ""
    first, *others = map(_data, everyone)
    page = _page(first | {"others": others, "video": clip, "note": note})
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def pack(values: Float[ndarray, "N *rest"], kind: str, finest: float) -> dict[str, Any]:
    """An array as text for the page: rounded to a step, then differences along time, deflated, in base64.

    Differences wrap around, so cumulative sums in the same integer type give the rounded values back exactly.

    Args:
        values: One row per frame; NaN is kept as the type's smallest number.
        kind: `int16` or `int32`, little-endian.
        finest: The step where the values allow it; larger values get the smallest step that holds them.

    Returns:
        `kind`, `step`, `shape` and `data`: value = integer * step.
    """
    limits = np.iinfo(kind)
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    step = max(finest, largest / limits.max)
    codes = np.where(np.isfinite(values), np.round(np.nan_to_num(values) / step), limits.min).astype(kind)
    changes = np.diff(codes, axis=0, prepend=np.zeros_like(codes[:1]))
    data = zlib.compress(changes.astype(np.dtype(kind).newbyteorder("<")).tobytes(), 6)
    return {"kind": kind, "step": step, "shape": list(values.shape), "data": base64.b64encode(data).decode()}


def unpack(packed: Mapping[str, Any]) -> Float[ndarray, "N *rest"]:
    """What the page's own script reads from `pack`'s text: float64, NaN where missing."""
    kind = np.dtype(packed["kind"])
    raw = zlib.decompress(base64.b64decode(packed["data"]))
    changes = np.frombuffer(raw, kind.newbyteorder("<")).reshape(packed["shape"])
    codes = np.cumsum(changes, axis=0, dtype=kind)
    return np.where(codes == np.iinfo(kind).min, np.nan, codes * packed["step"])


def read_page(path: Path) -> dict[str, Any]:
    """The data that a page carries, arrays still packed.

    Raises:
        ValueError: If the file is not a page written by `write_page`.
    """
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    if not found:
        raise ValueError(f"{path}: expected a page written by dreampose3d, found none of its data")
    data: dict[str, Any] = json.loads(found[1])
    return data


def _page(data: Mapping[str, Any]) -> str:
    """The template with its parts filled in, in one pass, so that no part is read as a template itself."""
    assets = files("dreampose3d.viewer") / "assets"
    app = "\n".join((assets / name).read_text("utf-8") for name in _SCRIPTS)
    parts = {
        "name": html.escape(data["name"]),
        "style": (assets / "page.css").read_text("utf-8"),
        "three": (assets / "three.bundle.js").read_text("utf-8"),
        "app": f'(() => {{\n"use strict";\n{app}}})();\n',
        "data": json.dumps(data, ensure_ascii=False, default=str).replace("<", "\\u003c"),
    }
    parts["hashes"] = " ".join(f"'sha256-{_sha256(parts[script])}'" for script in ("three", "app"))
    parts["style_hash"] = f"'sha256-{_sha256(parts['style'])}'"
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], (assets / "page.html").read_text("utf-8"))


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(one: LiftedMotion | Shown) -> Shown:
    return one if isinstance(one, Shown) else Shown(one)


def _data(one: Shown) -> dict[str, Any]:
    """Everything that the page shows of one motion, as JSON: camera frame, mm and px as in `LiftedMotion`."""
    motion = one.motion
    for signal in one.signals:
        if len(signal.values) != len(motion):
            raise ValueError(
                f"{signal.name}: expected a value for each of {len(motion)} frames, got {len(signal.values)}"
            )
    shown = _intents_shown(motion)
    camera = motion.camera
    hypotheses = motion.hypotheses_mm
    return {
        "name": motion.name,
        "label": one.label,
        "signals": [
            {"name": signal.name, "unit": signal.unit, "values": pack(signal.values, "int16", 0.01)}
            for signal in one.signals
        ],
        "events": [asdict(event) for event in one.events],
        "graph": one.graph,
        "fps": motion.fps,
        "facts": _facts(motion),
        "ground": f"grid 1 m, through the lowest foot, level with the {'world' if camera.posed else 'camera'}",
        "meta": motion.meta,
        "skeleton": _skeleton(motion.skeleton),
        "camera": {
            "size_px": camera.size_px,
            "focal_px": camera.focal_px,
            "center_px": camera.center_px,
            "up": list(camera.up),
        },
        "intents": [motion.intent_names[i] for i in shown],
        "time_s": pack(motion.time_s, "int32", 1e-4),
        "root_mm": pack(motion.root_mm, "int32", 0.1),
        "root_relative_mm": pack(motion.root_relative_mm, "int16", 0.1),
        "spread_mm": pack(motion.spread_mm, "int16", 0.1),
        "keypoints_px": pack(motion.keypoints_px, "int16", 0.1),
        "confidence": pack(motion.confidence, "int16", 0.01),
        "intent_probability": pack(motion.intent_probability[:, shown], "int16", 1e-3),
        "hypotheses_mm": None if hypotheses is None else pack(hypotheses.swapaxes(0, 1), "int16", 1.0),
    }


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    """Joints, tree, sides, and how thick to draw each bone (under its lower joint) and the ball at each joint."""
    sides = {joint: side for side in ("left", "right") for joint in getattr(skeleton, side)}
    kinds = [name.removeprefix("left_").removeprefix("right_") for name in skeleton.joints]
    bones = [_BONE_RADIUS_MM.get(kind, _OTHER_RADIUS_MM) for kind in kinds]
    balls = [
        1.1 * max(bones[j], *(bones[child] for child, parent in skeleton.bones if parent == j), 0)
        for j in range(len(bones))
    ]
    return {
        "joints": skeleton.joints,
        "parents": skeleton.parents,
        "sides": [sides.get(joint, "") for joint in range(skeleton.num_joints)],
        "bone_mm": bones,
        "ball_mm": [_HEAD_RADIUS_MM if kind == "head" else ball for kind, ball in zip(kinds, balls, strict=True)],
    }


def _intents_shown(motion: LiftedMotion) -> list[int]:
    """The intents that are among the likeliest of some frame, likeliest over the clip first."""
    best = np.argsort(-motion.intent_probability, axis=1)[:, :_SHOWN_INTENTS]
    seen = np.unique(best)
    return [int(i) for i in seen[np.argsort(-motion.intent_probability[:, seen].mean(0), kind="stable")]]


def _facts(motion: LiftedMotion) -> str:
    """How the motion came about, in one honest line; what its provenance does not say is left out."""
    options, camera = motion.meta.get("options", {}), motion.camera
    facts = [f"model {motion.meta['weights']}"] if "weights" in motion.meta else []
    if options:
        facts += [
            f"H = {options['hypotheses']}",
            f"K = {options['steps']}",
            f"flip {'on' if options['flip'] else 'off'}",
        ]
        facts += [options["aggregate"]]
    facts += [
        f"camera {'assumed' if camera.assumed else 'given'}: {camera.fov_degrees:.0f}° field of view",
        "millimetres",
    ]
    return " · ".join(facts)


def _small_video(motion: LiftedMotion, video: Path) -> dict[str, Any] | None:
    """The part of the clip that the motion covers, small, as base64; None without PyAV."""
    if find_spec("av") is None:
        return None
    frames = (
        (time_s, picture) for time_s, frame, picture in frames_of(motion.time_s, motion.fps, video) if frame is not None
    )
    first = next(frames, None)
    if first is None:
        raise ValueError(f"{video}: none of its frames is shown at a time of {motion.name}; is it another clip?")
    height, width = first[1].shape[:2]
    scale = min(1.0, _VIDEO_SIDE_PX / max(width, height))
    size_px = (round(width * scale), round(height * scale))
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.mp4"
        with mp4_writer(small, size_px, motion.fps, quality=28, keyframe_every=15) as write:
            for time_s, picture in chain([first], frames):
                write(time_s, picture)
        data = base64.b64encode(small.read_bytes()).decode()
    return {"start_s": first[0], "data": data}

"""TRC with 2D in pixels, as Sports2D writes it (`*_px_person00.trc`), one person a file."""

import numpy as np

from dreampose3d.lifting.readers.raw import KeypointFile, RawKeypoints

NAME = "Sports2D or Pose2Sim TRC in pixels"
_METRES_BELOW = 20.0
"""Where every coordinate is smaller, they are no pixels: both of Sports2D's files say `m` [ours]."""


def recognises(file: KeypointFile) -> bool:
    """Whether it is text that begins as TRC does."""
    return file.text.startswith("PathFileType")


def read(file: KeypointFile) -> RawKeypoints:
    """The markers by name; a marker that is blank, or at (0, 0), is missing."""
    lines = [line.rstrip("\r").split("\t") for line in file.text.split("\n")]
    if len(lines) < 6:
        raise ValueError("it ends before the first frame; write it again")
    told = dict(zip(lines[1], lines[2], strict=False))
    markers = [name.strip() for name in lines[3][2:] if name.strip()]
    width = 2 + 3 * len(markers)
    rows = [line + [""] * (width - len(line)) for line in lines[5:] if line[0].strip()]
    if not rows or any(cell.strip() for row in rows for cell in row[width:]):
        raise ValueError(f"expected a frame number, a time and x, y, z of {len(markers)} markers in each row")
    try:
        values = np.array([[float(cell.strip() or "nan") for cell in row[:width]] for row in rows])
        rate, stated = (float(told.get(name) or "nan") for name in ("DataRate", "NumFrames"))
    except ValueError as error:
        raise ValueError(f"expected numbers below the header and for rate and frames in it: {error}") from None
    if len(rows) < stated:
        raise ValueError(f"it is cut off: the header counts {stated:g} frames, got {len(rows)}; write it again")
    points = values[:, 2:].reshape(len(values), len(markers), 3)
    _require_pixels(points)
    points[(points[..., :2] == 0).all(-1)] = np.nan
    return RawKeypoints(
        points[..., :2],
        fps=rate if np.isfinite(rate) else None,
        time_s=values[:, 1],
        joints=markers,
    )


def _require_pixels(points: np.ndarray) -> None:
    known = points[np.isfinite(points[..., :2]).all(-1)]
    if not known.size:
        raise ValueError("no marker is there in any frame")
    if np.abs(np.nan_to_num(known[:, 2])).max() > 0 or np.abs(known[:, :2]).max() < _METRES_BELOW:
        raise ValueError(
            "expected 2D in pixels (z 0), got 3D or metres; of Sports2D's files take the one with _px_ in its name"
        )

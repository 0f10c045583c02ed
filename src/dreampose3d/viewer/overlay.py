"""The clip with what was made of it drawn in: the 2D input, the 3D skeleton seen by the camera, the intent."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from dreampose3d.files import atomic_write
from dreampose3d.lifting.video import video_info
from dreampose3d.sequence import LiftedMotion
from dreampose3d.viewer.mp4 import frame_at, frames_of, mp4_writer

Picture = UInt8[ndarray, "height width 3"]
Colour = tuple[int, int, int]

_INPUT: Colour = (255, 255, 255)
_SIDES: dict[str, Colour] = {"left": (64, 160, 232), "right": (240, 124, 48), "": (190, 198, 208)}
"""Okabe and Ito's blue and vermilion, lighter: they must stand out from a video."""
_BACKGROUND: Colour = (24, 28, 36)
_SEEN, _IMAGINED = 0.85, 0.25  # opacity of the 3D, in frames with any 2D of the person and in gaps
_REACH_PX = 20_000.0  # points farther out are not drawn: they are no part of any picture, and overflow the drawing


def write_overlay(shown: LiftedMotion | Sequence[LiftedMotion], path: Path, video: Path | None = None) -> None:
    """Write an mp4 of the clip, or of a dark background, with the lift drawn in; same rate, times and sound, even size.

    The 2D input is a thin white line, as opaque as it is certain; the reprojected 3D skeleton is thick, blue on the
    person's left and orange on the right, and pale where nothing was seen of them; the likeliest intent stands at the
    bottom. A frame that the motion does not cover stays as it is.

    Args:
        shown: What to draw: one motion, or everyone in the clip; the captions' intent is the first one's.
        path: The mp4; written whole or not at all.
        video: The clip that it was lifted from.

    Raises:
        ValueError: If the video cannot be read, or the extra `video` is not installed.
        OSError: If the mp4 cannot be written.
    """
    everyone = list(shown) if isinstance(shown, Sequence) else [shown]
    if not everyone:
        raise ValueError("expected at least one motion to draw, got none")
    first = everyone[0]
    size_px = first.camera.size_px if video is None else video_info(video).size_px
    artists = [_Artist(motion, size_px) for motion in everyone]
    frames = _empty(first) if video is None else frames_of(first.time_s, first.fps, video)
    with atomic_write(path) as temporary, mp4_writer(temporary, size_px, first.fps, quality=20, sound=video) as write:
        for time_s, _, picture in frames:
            write(time_s, _drawn(artists, picture, time_s))


def _drawn(artists: Sequence["_Artist"], picture: Picture, time_s: float) -> Picture:
    """Everyone who is there at this time, in one picture; the first one's intent last, over all."""
    picture = np.ascontiguousarray(picture).copy()
    for artist in reversed(artists):
        frame = frame_at(artist.motion.time_s, artist.motion.fps, time_s)
        if frame is not None:
            artist.draw(picture, frame, captioned=artist is artists[0])
    return picture


def _empty(motion: LiftedMotion) -> Iterator[tuple[float, int | None, Picture]]:
    """One dark picture of the camera's size for each frame."""
    width, height = motion.camera.size_px
    for frame, time_s in enumerate(motion.time_s):
        yield float(time_s), frame, np.full((height, width, 3), _BACKGROUND, np.uint8)


class _Artist:
    """Draws a motion's frames into pictures of one size, with lines that fit that size."""

    def __init__(self, motion: LiftedMotion, size_px: tuple[int, int]) -> None:
        self.cv2 = _opencv()
        self.motion = motion
        self.scale = np.divide(size_px, motion.camera.size_px)  # the camera's pixels -> the picture's
        self.unit = max(1.0, min(size_px) / 360)  # px; a thin line
        skeleton = motion.skeleton
        self.sides = {j: side for side in ("left", "right") for j in getattr(skeleton, side)}

    def draw(self, picture: Picture, frame: int, captioned: bool = True) -> None:
        """Draw this frame of the motion into the picture."""
        joints = self.motion.camera.project(torch.from_numpy(self.motion.joints_mm[frame])).numpy() * self.scale
        keypoints = self.motion.keypoints_px[frame] * self.scale
        confidence = self.motion.confidence[frame]
        opacity = _SEEN if confidence.any() else _IMAGINED
        for joint, parent in self.motion.skeleton.bones:
            colour = _SIDES[self.sides.get(joint, "")]
            self._line(picture, joints[joint], joints[parent], colour, 4 * self.unit, opacity)
        for joint, parent in self.motion.skeleton.bones:
            sure = float(min(confidence[joint], confidence[parent]))
            self._line(picture, keypoints[joint], keypoints[parent], _INPUT, 1.2 * self.unit, sure)
        if self.motion.intent_names and captioned:
            name, probability = self.motion.top_intents(frame, 1)[0]
            self._caption(picture, f"{name}  {probability:.0%}")

    def _line(
        self,
        picture: Picture,
        start: Float[ndarray, "2"],
        end: Float[ndarray, "2"],
        colour: Colour,
        width_px: float,
        opacity: float,
    ) -> None:
        """A round-ended line, blended in; nothing where an end is missing (NaN) or far outside."""
        ends = np.stack((start, end))
        if not (np.abs(ends) < _REACH_PX).all():  # NaN compares false
            return
        low = np.maximum(np.floor(ends.min(0) - width_px).astype(int), 0)
        high = np.maximum(np.ceil(ends.max(0) + width_px).astype(int) + 1, 0)
        patch = picture[low[1] : high[1], low[0] : high[0]]
        if not patch.size:
            return
        drawn = patch.copy()
        a, b = (tuple(int(c) for c in np.round((point - low) * 16)) for point in ends)  # 1/16 px: `shift=4`
        self.cv2.line(drawn, a, b, colour, max(1, round(width_px)), self.cv2.LINE_AA, shift=4)
        patch[:] = self.cv2.addWeighted(drawn, opacity, patch, 1 - opacity, 0)

    def _caption(self, picture: Picture, text: str) -> None:
        """Text on a darkened plate in the bottom left corner."""
        cv2, font = self.cv2, self.cv2.FONT_HERSHEY_DUPLEX
        size, weight, margin = 0.45 * self.unit, max(1, round(0.8 * self.unit)), round(7 * self.unit)
        (width, height), drop = cv2.getTextSize(text, font, size, weight)
        bottom = picture.shape[0] - margin
        plate = picture[max(0, bottom - height - drop - 2 * margin) : bottom, margin : 3 * margin + width]
        plate[:] = (plate * 0.35).astype(np.uint8)
        at = (2 * margin, bottom - margin - drop // 2)
        cv2.putText(picture, text, at, font, size, (255, 255, 255), weight, cv2.LINE_AA)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError:
        raise ValueError('drawing on video needs an extra: pip install "dreampose3d[video]"') from None
    return cv2

"""RTMPose through `rtmlib` (extra `rtmpose`), for users with a network connection: it downloads its own weights."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from dreampose3d.lifting.detection import Detection
from dreampose3d.skeleton import COCO_17, Skeleton

FindPeople = Callable[[UInt8[ndarray, "height width 3"]], tuple[Float[ndarray, "P K 2"], Float[ndarray, "P K"]]]
"""An image (blue, green, red) -> the keypoints of P people in pixels, and their scores."""

_PERSON = 0.3
"""The mean score above which keypoints are taken for a person; the network scores an empty picture below it."""


class RTMPose:
    """One person's 17 COCO joints in one frame after another (a `Detector`).

    Of several people it takes the largest, and then whoever is nearest to where that one was.
    """

    skeleton: Skeleton = COCO_17
    name: str = "rtmpose"

    def __init__(self, find_people: FindPeople) -> None:
        self._find_people = find_people
        self._last_px: Float[ndarray, "K 2"] | None = None

    @classmethod
    def load(cls) -> "RTMPose":
        """RTMPose with the weights that rtmlib fetches.

        Raises:
            ValueError: If the extra is missing, or the weights cannot be had.
        """
        try:
            from rtmlib import Body
        except ImportError:
            raise ValueError('RTMPose needs an extra: pip install "dreampose3d[rtmpose]"') from None
        try:
            return cls(Body(mode="balanced", backend="onnxruntime", device="cpu"))
        except OSError as error:
            raise ValueError(
                f"rtmlib could not get the weights of RTMPose ({error}); connect to the internet once, or use blazepose"
            ) from error

    def reset(self) -> None:
        """Forget the frames seen: another clip begins."""
        self._last_px = None

    def detect(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> Detection | None:
        """The person followed, or None if nobody is seen in this frame."""
        people = self.detect_people(frame_rgb)
        if not people:
            return None
        keypoints, confidence = min(people, key=lambda person: self._strangeness(person[0]))
        self._last_px = keypoints
        return keypoints, confidence

    def detect_people(self, frame_rgb: UInt8[ndarray, "height width 3"]) -> list[Detection]:
        """The people in the next frame, in no particular order."""
        keypoints, scores = self._find_people(np.ascontiguousarray(frame_rgb[..., ::-1]))
        certain = np.clip(scores, 0, 1).astype(np.float32)
        found = [p for p in range(len(keypoints)) if scores[p].mean() > _PERSON]
        return [(keypoints[p].astype(np.float32), certain[p]) for p in found]

    def _strangeness(self, keypoints_px: Float[ndarray, "K 2"]) -> float:
        """How little this looks like the person followed: the distance in pixels, or at first the smallness."""
        if self._last_px is None:
            return -float(np.ptp(keypoints_px, axis=0).prod())
        return float(np.linalg.norm(keypoints_px - self._last_px, axis=-1).mean())

"""VideoPose3D's custom 2D npz (`data_2d_custom_*.npz`): pickled dictionaries, read without running the pickle."""

from collections.abc import Mapping
from typing import Any

from dreampose3d.data.unpickle import array_names, read_npz
from dreampose3d.lifting.readers.raw import ZIP, KeypointFile, RawKeypoints

NAME = "VideoPose3D npz"
_SKELETONS = {"coco": "coco_17", "h36m": "h36m_17"}


def recognises(file: KeypointFile) -> bool:
    """Whether it is an npz with `positions_2d`."""
    return file.magic.startswith(ZIP) and "positions_2d" in array_names(file.path)


def read(file: KeypointFile) -> RawKeypoints:
    """The one clip of the file; its size and joints are in the metadata, its rate is not."""
    positions = read_npz(file.path, "positions_2d")
    if not isinstance(positions, Mapping) or not all(isinstance(actions, Mapping) for actions in positions.values()):
        raise ValueError("expected positions_2d[video][action] as a list of arrays (N, K, 2), a camera each")
    clips = {
        (video, action, camera): keypoints
        for video, actions in positions.items()
        for action, cameras in actions.items()
        for camera, keypoints in enumerate(cameras)
    }
    if len(clips) != 1:
        names = ", ".join("/".join(map(str, clip)) for clip in list(clips)[:6])
        raise ValueError(
            f"expected one clip, got {len(clips)} ({names}{', ...' * (len(clips) > 6)}); save the one wanted as npz: "
            "keypoints_px=positions_2d[video][action][camera]"
        )
    ((video, _, _), keypoints), *_ = clips.items()
    metadata = read_npz(file.path, "metadata") if "metadata" in array_names(file.path) else {}
    return RawKeypoints(keypoints, **_told(metadata, video))


def _told(metadata: Any, video: str) -> dict[str, Any]:
    if not isinstance(metadata, Mapping):
        return {}
    filmed = (metadata.get("video_metadata") or {}).get(video) or {}
    size = (filmed["w"], filmed["h"]) if {"w", "h"} <= filmed.keys() else None
    return {"skeleton": _SKELETONS.get(str(metadata.get("layout_name"))), "size": size, "fps": filmed.get("fps")}

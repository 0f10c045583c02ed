"""DreamPose3D (arXiv:2511.09502): one video or 2D keypoints in, a metric 3D motion out."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Camera": "camera",
    "LiftedMotion": "sequence",
    "Lifter": "lifting.lifter",
    "PoseSequence": "sequence",
    "Skeleton": "skeleton",
    "load_motion": "export.tables",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import dreampose3d` costs nothing."""
    if name in _PUBLIC:
        return getattr(import_module(f"dreampose3d.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'dreampose3d' has no attribute {name!r}")

"""How a run is told apart from others: its configuration as plain values, and the versions it depends on."""

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import dreampose3d
from dreampose3d.training.config import RunConfig


def plain(config: RunConfig) -> dict[str, Any]:
    """A configuration as it is written to JSON."""
    return json.loads(json.dumps(asdict(config), default=str))  # type: ignore[no-any-return]


def differences(ours: dict[str, Any], theirs: dict[str, Any], free: set[str]) -> list[str]:
    """The fields by which two runs are not the same one; folders may have been moved since a run began."""
    return [key for key in ours if key not in free and _moved(theirs[key]) != _moved(ours[key])]


def _moved(value: Any) -> Any:
    """Paths by their last name."""
    if isinstance(value, list):
        return [_moved(item) for item in value]
    return Path(value).name if isinstance(value, str) else value


def versions() -> dict[str, str]:
    """What a result depends on beside its configuration."""
    return {"dreampose3d": dreampose3d.__version__, "torch": torch.__version__, "python": platform.python_version()}

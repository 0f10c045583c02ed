"""How a run is told apart from others: its configuration as plain values, and the versions it depends on."""

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import dreampose3d
from dreampose3d.training.config import RunConfig


def plain(config: RunConfig) -> dict[str, Any]:
    """A configuration as it is written to JSON."""
    return json.loads(json.dumps(asdict(config), default=str))  # type: ignore[no-any-return]


def completed(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Options as an older version wrote them: those that came later, at any depth, had their default."""
    inner = {key: completed(values[key], default) for key, default in defaults.items()
             if isinstance(default, dict) and isinstance(values.get(key), dict)}  # fmt: skip
    return defaults | values | inner


def differences(ours: dict[str, Any], theirs: dict[str, Any], free: set[str]) -> list[str]:
    """The fields by which two runs are not the same one; folders may have been moved since a run began."""
    return [key for key in ours if key not in free and _moved(theirs[key]) != _moved(ours[key])]


def _moved(value: Any) -> Any:
    """Paths by their last name."""
    if isinstance(value, list):
        return [_moved(item) for item in value]
    return Path(value).name if isinstance(value, str) else value


def hardware(processes: int) -> dict[str, Any]:
    """What a run's speed depends on."""
    names: list[str] = []
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found: dict[str, Any] = {
        "cpu": (names or [platform.processor() or platform.machine()])[0],
        "cores": os.cpu_count(),
        "processes": processes,
    }
    if torch.cuda.is_available():
        found |= {"gpu": torch.cuda.get_device_name(), "gpu_gb": round(torch.cuda.mem_get_info()[1] / 1e9)}
    return found


def versions() -> dict[str, str]:
    """What a result depends on beside its configuration."""
    return {"dreampose3d": dreampose3d.__version__, "torch": torch.__version__, "python": platform.python_version()}

"""Weights files: safetensors in half precision with the configuration inside, so that no pickle is ever loaded."""

import hashlib
import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dreampose3d.files import atomic_write
from dreampose3d.model.dreampose import DreamPose3D, DreamPose3DConfig, build

_KEY = "dreampose3d-weights-2"
"""The one entry of the metadata, a JSON text: several have no fixed order, and equal weights shall be equal files."""


@dataclass(frozen=True)
class Weights:
    """A model with what is known about it."""

    model: DreamPose3D
    name: str
    sha256: str
    card: dict[str, Any] = field(default_factory=dict)
    """Training data, steps, seed, versions, and `spread`: the table of the calibrated uncertainty."""


def save_weights(model: DreamPose3D, path: Path, card: dict[str, Any]) -> str:
    """Write a model in half precision and return the file's SHA-256.

    The frozen tower's layers travel along, its word table does not: continuous prompts never look words up.
    """
    tensors = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    metadata = {_KEY: json.dumps({"config": model.config.to_dict(), "card": card})}
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata)
    return file_sha256(path)


def load_weights(weights: str | Path, device: torch.device | str = "cpu") -> Weights:
    """Load the weights that ship, by name, or any weights file, by path.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If the file is not ours, is damaged, or is not the file that shipped (SHA-256).
    """
    path, expected = _locate(weights)
    sha256 = file_sha256(path)
    if expected is not None and sha256 != expected:
        raise ValueError(
            f"{path} is damaged: its SHA-256 is {sha256[:12]}..., not {expected[:12]}...; install dreampose3d again"
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a weights file that can be read ({error}); it may be damaged") from None
    if _KEY not in metadata:
        raise ValueError(f"{path} is a safetensors file, but not weights of dreampose3d ({_KEY})")
    try:
        told = json.loads(metadata[_KEY])
        model = build(DreamPose3DConfig.from_dict(told["config"]))
        model.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:  # RuntimeError: names or shapes of the tensors
        raise ValueError(f"{path} does not fit its own configuration: {error}") from None
    return Weights(model.to(device).eval(), str(weights), sha256, told["card"])


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shipped() -> dict[str, str]:
    """Names and SHA-256 of the weights inside the package."""
    return json.loads((_home() / "weights.json").read_text())  # type: ignore[no-any-return]


def _home() -> Path:
    return Path(str(files("dreampose3d") / "weights"))


def _locate(weights: str | Path) -> tuple[Path, str | None]:
    if str(weights) in shipped():
        path, expected = _home() / f"{weights}.safetensors", shipped()[str(weights)]
    else:
        path, expected = Path(weights), None
    if not path.is_file():
        raise FileNotFoundError(f"no weights {str(weights)!r}: expected a file, or one of {', '.join(shipped())}")
    return path, expected

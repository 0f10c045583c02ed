"""`dreampose3d train`."""

import argparse
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import tyro

from dreampose3d.commands.console import say

if TYPE_CHECKING:
    from dreampose3d.training.config import RunConfig

Preset = Literal["mocap", "mocap-release", "mocap-wild", "paper-h36m-cpn", "paper-h36m-gt", "paper-3dhp", "paper-mlb"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


def train(*arguments: str) -> None:
    """Train on motion capture or as the paper did, or go on with a run (--preset).

    The other options are the fields of the preset's configuration, which needs torch: so they are parsed in here.
    Ctrl-C stops at a checkpoint, from which the same command goes on.
    """
    from dreampose3d.training.engine import is_first
    from dreampose3d.training.trainer import train as run

    weights = run(parsed(arguments), report=say)
    if is_first():
        print(weights)


def parsed(arguments: Sequence[str]) -> "RunConfig":
    """The configuration that the options of `train` describe."""
    preset, rest = _preset(arguments)
    from dreampose3d.training.recipes import RECIPES

    recipe = RECIPES[preset]
    text = f"{inspect.getdoc(recipe)}\n\nPresets (--preset NAME, mocap unless given): {', '.join(PRESETS)}."
    default = recipe()
    return tyro.cli(
        type(default), default=default, prog=f"dreampose3d train --preset {preset}", description=text, args=rest
    )


def _preset(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The preset, and what else was said."""
    parser = argparse.ArgumentParser(prog="dreampose3d train", add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", choices=PRESETS, default="mocap")
    found, rest = parser.parse_known_args(arguments)
    return found.preset, rest

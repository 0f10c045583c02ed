"""`dreampose3d train`."""

import tyro

from dreampose3d.commands.console import say


def train(*arguments: str) -> None:
    """Train on motion capture, or go on with a run.

    Its options are the fields of TrainConfig, which needs torch: so they are parsed in here. Ctrl-C stops at a
    checkpoint, from which the same command goes on.
    """
    from dreampose3d.training.config import TrainConfig
    from dreampose3d.training.trainer import train as run

    print(run(tyro.cli(TrainConfig, prog="dreampose3d train", args=arguments), report=say))

"""What each ingredient of the training data is worth, measured with the first guess alone: an eighth of the cost.

python benchmarks/data_ingredients.py --data MOCAP/cmu --unseen MOCAP/hdm05 MOCAP/bandai --out runs/ingredients

`dreampose3d ablate --table data` does the same with the whole model. Stopped with Ctrl-C, it goes on where it was.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from dreampose3d.commands.console import say
from dreampose3d.training.ablation import ablate, format_ablation
from dreampose3d.training.config import Phase
from dreampose3d.training.recipes import mocap_wild


@dataclass(frozen=True)
class Ingredients:
    """Train the first guess with all ingredients, and without each."""

    data: Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]")]
    """Canonical set folders: their split `train` is trained on, `val` is watched."""
    unseen: Annotated[tuple[Path, ...], arg(metavar="[DIR ...]")] = ()
    """Set folders whose split `test` is measured, as a noisy detector sees it."""
    out: Path = Path("runs/ingredients")
    steps: int = 900
    seeds: tuple[int, ...] = (0,)
    threads: int = 1


def run(options: Ingredients) -> None:
    """Print the table."""
    config = replace(
        mocap_wild(), data=options.data, out=options.out, threads=options.threads, steps=options.steps,
        learning_rate=2e-3, prompt="none", num_poses=1, own_guess=0.0,
        phases=(Phase(0.5, 27, 64, denoise=0.0), Phase(0.5, 81, 24, denoise=0.0)),
    )  # fmt: skip
    result = ablate("data", config, options.seeds, say, options.unseen)
    print("" if result is None else format_ablation(result), end="")


if __name__ == "__main__":
    run(tyro.cli(Ingredients, description=__doc__))

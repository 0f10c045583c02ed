"""Each part of the method left out, at equal steps, data and seed: the error on the val split.

python benchmarks/ablation.py --data MOCAP/cmu MOCAP/hdm05 --steps 200 --seeds 0
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from dreampose3d.training.config import TrainConfig
from dreampose3d.training.trainer import train

VARIANTS = {
    "full": {},
    "without APL (no prompt)": {"prompt": "none"},
    "without SRE (no affinity)": {"affinity": False},
    "without HPD (n = 1)": {"num_poses": 1},
}


@dataclass(frozen=True)
class Ablation:
    """What is compared and for how long."""

    data: tuple[Path, ...]
    """Canonical set folders."""
    out: Path = Path("runs/ablation")
    """One run folder a row is kept here; a run that is complete is not repeated."""
    steps: int = 200
    seeds: tuple[int, ...] = (0,)
    threads: int = 2


def main(ablation: Ablation) -> None:
    print(f"| {ablation.steps} steps, exact 2D, H=1 K=1, no flip, val split | seed | MPJPE, mm | P-MPJPE, mm |")
    print("|---|--:|--:|--:|")
    for name, change in VARIANTS.items():
        for seed in ablation.seeds:
            out = ablation.out / f"{name.split(' (')[0].replace(' ', '-')}-{seed}"
            config = TrainConfig(
                data=ablation.data, out=out, steps=ablation.steps, seed=seed, threads=ablation.threads,
                validate_every=ablation.steps, save_every=ablation.steps,
            )  # fmt: skip
            train(replace(config, **change), report=lambda _: None, calibrate=False)
            with (out / "log.csv").open(newline="") as file:
                *_, last = csv.DictReader(file)
            print(
                f"| {name} | {seed} | {float(last['val_mpjpe_mm']):.1f} | {float(last['val_p_mpjpe_mm']):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(tyro.cli(Ablation))

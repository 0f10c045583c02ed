"""How well identities last: IDF1 on synthetic crossings of two to four walkers, with occlusions, misses and ghosts.

python -m benchmarks.identities
"""

import time

import numpy as np
import tyro
from tests.crossings import crossing, idf1

from dreampose3d.lifting.people import identities


def main(clips: int = 20, walkers: tuple[int, ...] = (2, 3, 4), fps: tuple[float, ...] = (12.5, 30.0, 60.0)) -> None:
    """Print a table: the mean IDF1, the worst, and the clips in which somebody's identity was lost.

    Args:
        clips: Of each kind, 8 s long.
        walkers: How many people cross.
        fps: Frame rates.
    """
    print("| walkers | fps | IDF1 mean | worst | below 0.98 |\n|--:|--:|--:|--:|--:|")
    everything, frames, busy = [], 0, 0.0
    for count in walkers:
        for rate in fps:
            scores = []
            for seed in range(clips):
                seen, true = crossing(seed, count, rate)
                start = time.perf_counter()
                told = identities(seen)
                busy, frames = busy + time.perf_counter() - start, frames + len(told)
                scores.append(idf1(true, told))
            lost = sum(score < 0.98 for score in scores)
            print(f"| {count} | {rate:g} | {np.mean(scores):.4f} | {min(scores):.4f} | {lost} of {clips} |")
            everything += scores
    print(f"\nall: {np.mean(everything):.4f}; {frames / busy:.0f} frames/s on one thread")


if __name__ == "__main__":
    tyro.cli(main)

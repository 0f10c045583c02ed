"""A run that is bounded by time: what a budget such as 25m means, and how many steps it has room for.

The steps of one phase cost alike. A few of each are tried before the run; while it lasts its own replace them, and
where the machine turns out faster or slower the number of steps is fitted anew, so that the schedule, which is a
function of step / steps, ends with the budget.
"""

import math
import re
from bisect import bisect_right
from dataclasses import replace
from functools import cache

from dreampose3d.model.dreampose import DreamPose3DConfig
from dreampose3d.model.info import count_macs
from dreampose3d.training.config import Phase, RunConfig

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_STEPS = 10**8


def seconds_of(budget: str) -> float:
    """What `90s`, `25m`, `2h` or `1h30m` is in seconds.

    Raises:
        ValueError: If it is nothing of the kind.
    """
    parts = re.findall(r"([\d.]+)([smhd])", budget)
    try:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    except ValueError:
        seconds = 0.0
    if "".join(number + unit for number, unit in parts) != budget.replace(" ", "") or not seconds > 0:
        raise ValueError(f"expected a time such as 90s, 25m, 2h or 1h30m, got {budget!r}")
    return seconds


class Pace:
    """What the steps of each phase cost, seconds; and each step's share of what is done between steps."""

    def __init__(self, costs: dict[Phase, float], between: float = 0.0) -> None:
        self.costs, self.between = dict(costs), between

    def took(self, phase: Phase, seconds: float) -> None:
        """Learn from a step: a mean over about the last ten."""
        self.costs[phase] = self.costs.get(phase, seconds) + (seconds - self.costs.get(phase, seconds)) / 10

    def cost(self, phase: Phase) -> float:
        """Seconds of a step of this phase in the mean."""
        return sum(share * self._cost(kind) for share, kind in phase.kinds)

    def _cost(self, kind: Phase) -> float:
        """What is unknown is taken to cost what the known ones do: those that train the same parts, if there are."""
        alike = [cost for known, cost in self.costs.items() if known.denoise == kind.denoise]
        known = alike or list(self.costs.values())
        return self.costs.get(kind, sum(known) / len(known))

    def speed(self, model: DreamPose3DConfig, phase: Phase) -> dict[str, float]:
        """Frames, and 10^9 multiply-accumulates, that are trained on in a second of a phase's steps."""
        cost = self.cost(phase)
        return {"frames_per_s": phase.batch * phase.frames / cost, "gmacs_per_s": step_macs(model, phase) / cost / 1e9}

    def remaining(self, config: RunConfig, step: int) -> float:
        """Seconds from a step to the last one."""
        end, seconds = 0.0, 0.0
        for phase in config.phases:
            begin, end = end, end + phase.share
            steps = max(0.0, end * config.steps - max(step, begin * config.steps))
            seconds += steps * (self.cost(phase) + self.between)
        return seconds

    def fitted(self, config: RunConfig, step: int, seconds: float) -> int:
        """The number of steps with which a run at a step ends in that time; one more at least."""
        longest = range(step + 1, _MOST_STEPS)
        room = bisect_right(longest, seconds, key=lambda steps: self.remaining(replace(config, steps=steps), step))
        return step + max(1, room)


@cache
def step_macs(model: DreamPose3DConfig, phase: Phase) -> float:
    """Multiply-accumulates of a step: three times forward's, of which some parts' fall to a share of the steps."""
    guess, prompt, denoiser, decoder = count_macs(replace(model, frames=phase.frames))
    denoise = phase.denoise if model.guess else 1.0
    return 3 * phase.batch * (guess + denoise * (phase.prompt * prompt + denoiser + decoder))


def clock(seconds: float) -> str:
    """A duration for people."""
    minutes = math.ceil(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"

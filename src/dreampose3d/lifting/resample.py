"""Other frame rates than the weights know: 2D to a rate that they do, 3D back to the clip's own times."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

FAST, SLOW = 50.0, 25.0
"""Frames per second at which input is lifted that is faster or slower than the weights know."""


class Chunk(NamedTuple):
    """Frames that no later window touches any more."""

    start: int
    hypotheses_mm: Float[Tensor, "H N J 3"]
    intent: Float[Tensor, "N V"]


class Resampling:
    """From a clip's own times to an even grid and back; nothing at all where the clip's rate is known."""

    def __init__(self, own: Float[Tensor, " N"], times: Float[Tensor, " M"] | None) -> None:
        self.own = own
        self.even = times is not None
        self.times = own if times is None else times

    @classmethod
    def of(cls, time_s: Float[Tensor, " N"], rates: tuple[float, float]) -> "Resampling":
        """Resample if the median rate of a clip lies outside `rates`, frames per second."""
        if len(time_s) < 2:
            return cls(time_s, None)
        rate = 1 / float(time_s.diff().median())
        if rates[0] <= rate <= rates[1]:
            return cls(time_s, None)
        step = 1 / (FAST if rate > rates[1] else SLOW)
        count = int(torch.ceil((time_s[-1] - time_s[0]) / step - 1e-6)) + 1
        return cls(time_s, time_s[0] + step * torch.arange(count, dtype=time_s.dtype))

    def forth(
        self, rays: Float[Tensor, "N J 2"], confidence: Float[Tensor, "N J"]
    ) -> tuple[Float[Tensor, "M J 2"], Float[Tensor, "M J"]]:
        """2D at the grid's times: linear between two frames that see the joint, else the nearer one that does."""
        if not self.even:
            return rays, confidence
        high = torch.searchsorted(self.own, self.times).clamp(1, len(self.own) - 1)
        low = high - 1
        part = ((self.times - self.own[low]) / (self.own[high] - self.own[low])).clamp(0, 1)[:, None].to(rays)
        sees_low, sees_high = confidence[low] > 0, confidence[high] > 0
        part = torch.where(sees_low & sees_high, part, (sees_high & ((part > 0.5) | ~sees_low)).to(rays))
        points = rays.nan_to_num()
        mixed = points[low].lerp(points[high], part[..., None])
        certain = confidence[low].lerp(confidence[high], part)
        late = (self.times - self.own[low]) > (self.own[high] - self.times)
        certain = torch.where(torch.where(late[:, None], sees_high, sees_low), certain, 0)
        return torch.where((certain > 0)[..., None], mixed, torch.nan), certain

    def back(self) -> Callable[..., Iterator[Chunk]]:
        """A function that turns finished chunks of the grid into finished chunks of the clip."""
        if not self.even:
            return _unchanged
        return _Back(self.own, self.times)


def _unchanged(chunk: Chunk, *, last: bool) -> Iterator[Chunk]:
    if chunk.hypotheses_mm.shape[1]:
        yield chunk


class _Back:
    """Cubic interpolation (Catmull-Rom) on a stream: holds the few grid frames that the next chunk needs."""

    def __init__(self, own: Float[Tensor, " N"], grid: Float[Tensor, " M"]) -> None:
        self.place = (own - grid[0]) / (grid[1] - grid[0] if len(grid) > 1 else 1.0)
        self.given = 0
        self.held: Chunk | None = None

    def __call__(self, chunk: Chunk, *, last: bool) -> Iterator[Chunk]:
        if self.held is not None:
            chunk = Chunk(
                self.held.start,
                torch.cat((self.held.hypotheses_mm, chunk.hypotheses_mm), 1),
                torch.cat((self.held.intent, chunk.intent)),
            )
        end = chunk.start + len(chunk.intent)
        ready = len(self.place) if last else int(torch.searchsorted(self.place, float(end - 3)))
        if ready > self.given:
            place = self.place[self.given : ready] - chunk.start
            poses = _catmull_rom(chunk.hypotheses_mm.transpose(0, 1), place).transpose(0, 1)
            nearest = place.round().long().clamp(0, len(chunk.intent) - 1)
            yield Chunk(self.given, poses, chunk.intent[nearest])
            self.given = ready
        keep = 6
        self.held = Chunk(max(chunk.start, end - keep), chunk.hypotheses_mm[:, -keep:], chunk.intent[-keep:])


def _catmull_rom(values: Float[Tensor, "M *rest"], place: Float[Tensor, " N"]) -> Float[Tensor, "N *rest"]:
    """Values at fractional places; the ends are repeated."""
    base = place.floor().long().clamp(0, len(values) - 1)
    x = (place - base).to(values).view(-1, *[1] * (values.ndim - 1))

    def at(offset: int) -> Tensor:
        index: Int[Tensor, " N"] = (base + offset).clamp(0, len(values) - 1)
        return values[index]

    before, here, there, after = at(-1), at(0), at(1), at(2)
    slope, bend = (there - before) / 2, (after - here) / 2
    return (
        (2 * x**3 - 3 * x**2 + 1) * here
        + (x**3 - 2 * x**2 + x) * slope
        + (3 * x**2 - 2 * x**3) * there
        + (x**3 - x**2) * bend
    )

"""Who is who: the people seen in each frame, in no order, become one motion a person.

The whole clip is there before the first question is asked, so nothing is decided in passing. Each frame's people are
first linked to those of the frame before, as long as that is beyond doubt: where two poses could as well be swapped,
both links are cut. The pieces are then joined end to beginning, over gaps of any length at once: a piece is expected to
go on as it went before the gap, the next one to have come as it goes on after it, and both must agree. Every assignment
is the best one over all people (the Hungarian algorithm), and nothing is drawn at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from dreampose3d.camera import Camera
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import Skeleton

Choice = int | Literal["largest", "all"]
"""Whom to take: a place in the order of prominence, from 0; the first in it; or everyone."""

# Lengths are in body sizes: the RMS distance of a person's joints from their middle, about 0.45 m. All [ours].
_POSE_SPREAD = 0.2  # of a joint about where the movement of the whole body puts it, from detection alone ...
_LIMB_SPEED = 2.0  # ... and from the limbs' own movement, a second
_ANY_START = 15.0  # of the velocity of someone seen in one frame only, a second
_ALIKE = 0.5  # the least likeness of two poses that are linked
_JOINTS = 4  # that two poses must share to count in full
_DOUBT = 0.15  # a link is beyond doubt if any other costs so much more likeness
_GAP_S = 4.0  # the longest disappearance that is bridged
_TREND_S = 0.4  # of a piece's end, from which its velocity is taken
_TREND_FRAMES = 4  # and the fewest frames that show one
_BODY_S = 1.0  # of a piece's end, from which the body's layout is taken
_WHOLE = 0.8  # share of the most joints shown from which a frame counts for that
_PLACE_SPREAD = 0.25  # of a body's middle about its path
_SPEED_SPREAD = 0.7  # of its velocity on the other side of a gap, a second
_ANY_SPEED = 4.0  # the same for pieces too short to show a velocity
_TURN = 2.0  # of the change of velocity, a second of the gap
_SIZE_SPREAD = 0.25  # of the logarithm of the body size
_TOO_FAR = 15.0  # cost at which pieces are not joined
_BRIEF_S = 0.5  # who is seen for less than this, and for less than a quarter of the clip, is nobody ...
_SCRAP = 0.25  # ... and so is a moment of fewer seconds, and of a smaller share of the gap that parts it from the rest

_Piece = Int[ndarray, "_ 2"]
"""One person for a while: frame and place of each sighting, in order."""


@dataclass(frozen=True)
class Sightings:
    """Everyone seen in each frame of a clip; the order of the people within a frame means nothing."""

    name: str
    fps: float
    skeleton: Skeleton
    keypoints_px: Float[ndarray, "N P K 2"]
    """NaN where a joint, or a P-th person, is missing."""
    confidence: Float[ndarray, "N P K"]
    """0 where missing."""
    time_s: Float[ndarray, " N"] | None = None
    camera: Camera | None = None

    def __post_init__(self) -> None:
        frames, people = self.confidence.shape[:2]
        if people > max(20, frames):
            raise ValueError(
                f"{self.name}: expected the frames first, then the people in each (N, P, K, 2); got {frames} frames "
                f"with {people} people: swap these two axes"
            )


def follow(sightings: Sightings) -> list[PoseSequence]:
    """Follow everyone through a clip, past crossings and short disappearances.

    Returns:
        One motion a person, from the first frame that shows them to the last, NaN in between where they are not seen;
        the most prominent first.
    """
    return motions(sightings, identities(sightings))


def identities(sightings: Sightings) -> Int[ndarray, "N P"]:
    """Who each of the sightings is.

    Returns:
        A number for each person, the same in all frames; -1 for nobody: empty places, and who is seen too briefly.
    """
    seen = _Seen.of(sightings.keypoints_px, sightings.fps)
    pieces = _joined(_linked(seen), seen)
    person = np.full(seen.size.shape, -1)
    brief = min(_BRIEF_S * seen.fps, len(person) / 4)
    for number, piece in enumerate(piece for piece in pieces if len(piece) >= brief):
        person[tuple(piece.T)] = number
    return person


def motions(
    sightings: Sightings, person: Int[ndarray, "N P"], names: Sequence[str] = (), whole: bool = False
) -> list[PoseSequence]:
    """The motion of each person, the most prominent first.

    Args:
        sightings: Everyone.
        person: Who they are, from 0; -1 for nobody.
        names: What to call each of them (`subject`).
        whole: Keep all frames, not those only from the first that shows the person to the last.
    """
    times = np.arange(len(person)) / sightings.fps if sightings.time_s is None else sightings.time_s
    there = np.isfinite(sightings.keypoints_px).all(-1).any(-1)
    people = []
    for number in range(int(person.max(initial=-1)) + 1):
        frames, places = np.nonzero((person == number) & there)
        if not len(frames):
            continue
        shown = slice(None) if whole else slice(frames[0], frames[-1] + 1)
        keypoints = np.full_like(sightings.keypoints_px[shown, 0], np.nan)
        confidence = np.zeros_like(sightings.confidence[shown, 0])
        keypoints[frames - (shown.start or 0)] = sightings.keypoints_px[frames, places]
        confidence[frames - (shown.start or 0)] = sightings.confidence[frames, places]
        motion = PoseSequence(
            sightings.name,
            sightings.fps,
            sightings.skeleton,
            keypoints_px=keypoints,
            confidence=confidence,
            time_s=times[shown],
            camera=sightings.camera,
            subject=names[number] if names else "",
        )
        people.append(motion)
    return sorted(people, key=prominence, reverse=True)


def prominence(person: PoseSequence) -> float:
    """How much of a clip a person fills: the size of the body, summed over the time seen, pixels x seconds."""
    assert person.keypoints_px is not None
    seen = _Seen.of(person.keypoints_px[:, None], person.fps)
    return float(np.nansum(seen.size) / seen.fps)


def choose_person(people: Sequence[PoseSequence], which: Choice = "largest") -> list[PoseSequence]:
    """Take one person, or everyone.

    Args:
        people: The most prominent first, as `follow` gives them.
        which: `"largest"`, `"all"`, or a place in that order, from 0.

    Raises:
        ValueError: If there is nobody of that number.
    """
    if which == "all":
        return list(people)
    number = 0 if which == "largest" else which
    if not 0 <= number < len(people):
        numbers = f"0 to {len(people) - 1}" if len(people) > 1 else "0 only"
        raise ValueError(
            f"there is no person {number}; the clip shows {len(people)}, numbered {numbers}, largest first"
        )
    return [people[number]]


class _Seen(NamedTuple):
    """What the tracker asks of the sightings."""

    keypoints_px: Float[ndarray, "N P K 2"]
    middle_px: Float[ndarray, "N P 2"]
    """Of the joints seen; NaN for nobody."""
    size: Float[ndarray, "N P"]
    """The RMS distance of the joints from their middle, pixels; NaN for nobody."""
    fps: float

    @classmethod
    def of(cls, keypoints_px: Float[ndarray, "N P K 2"], fps: float) -> "_Seen":
        keypoints = keypoints_px.astype(np.float64)
        middle = _mean(keypoints, 2)
        away = _mean((keypoints - middle[:, :, None]) ** 2, 2).sum(-1)
        return cls(keypoints, middle, np.sqrt(away).clip(1), fps)


class _Ends(NamedTuple):
    """One end of a piece, or of each of T pieces: where the person is, and how they move on, in the clip's time."""

    frame: Int[ndarray, "*T"]
    middle_px: Float[ndarray, "*T 2"]
    velocity: Float[ndarray, "*T 2"]
    """Pixels a second."""
    speed_spread: Float[ndarray, "*T"]
    """How far the velocity may be off, body sizes a second."""
    size: Float[ndarray, "*T"]

    @classmethod
    def stacked(cls, ends: Sequence["_Ends"]) -> "_Ends":
        return cls(*(np.stack(values) for values in zip(*ends, strict=True)))


def _linked(seen: _Seen) -> list[_Piece]:
    """Pieces in which each frame follows from the one before beyond doubt."""
    growing: list[list[tuple[int, int]]] = []
    done: list[list[tuple[int, int]]] = []
    for frame, someone in enumerate(np.isfinite(seen.size)):
        places = np.flatnonzero(someone)
        rows = [_likeness(piece, frame, places, seen) for piece in growing]
        links = _sure_links(np.reshape(rows, (len(growing), len(places))))
        done += [piece for number, piece in enumerate(growing) if number not in links]
        growing = [[*growing[number], (frame, int(places[place]))] for number, place in links.items()]
        growing += [[(frame, int(places[place]))] for place in set(range(len(places))) - set(links.values())]
    return [np.array(piece) for piece in sorted(done + growing)]


def _likeness(
    piece: list[tuple[int, int]], frame: int, places: Int[ndarray, " M"], seen: _Seen
) -> Float[ndarray, " M"]:
    """How like each of a frame's poses is to a piece's last one, moved on: 1 the same, 0 nothing alike.

    The mean over joints of a Gaussian of their distance in body sizes, as in COCO's object keypoint similarity, but as
    wide for each joint. A piece of one frame has no velocity yet: it may move at any, slower ones being likelier.
    """
    earlier, last = piece[max(-5, -len(piece))], piece[-1]
    off = seen.keypoints_px[frame, places] - seen.keypoints_px[last]  # M K 2
    size = seen.size[last]
    if len(piece) > 1:
        moved = _mean(seen.keypoints_px[last] - seen.keypoints_px[earlier], 0) / (last[0] - earlier[0])  # a frame
        likely = np.ones(len(places))
    else:
        moved = _mean(off, 1)[:, None]
        likely = np.exp(-(moved[:, 0] ** 2).sum(-1) / (_ANY_START / seen.fps * size) ** 2 / 2)
    square = ((off - moved) ** 2).sum(-1) / (size * np.hypot(_POSE_SPREAD, _LIMB_SPEED / seen.fps)) ** 2
    shared = np.isfinite(square)
    near = np.exp(-np.where(shared, square, np.inf) / 2).sum(-1)
    alike: Float[ndarray, " M"] = np.nan_to_num(likely) * near / shared.sum(-1).clip(_JOINTS)
    return alike


def _sure_links(alike: Float[ndarray, "R C"]) -> dict[int, int]:
    """The best assignment of rows to columns, as far as it is beyond doubt."""
    rows, columns = linear_sum_assignment(-alike)
    good = alike[rows, columns] > _ALIKE
    rows, columns = rows[good], columns[good]
    own = alike[rows, columns]
    swapped = alike[np.ix_(rows, columns)]
    rivals = swapped + swapped.T > own[:, None] + own - _DOUBT
    np.fill_diagonal(rivals, False)
    free_rows, free_columns = np.delete(alike, rows, 0)[:, columns], np.delete(alike, columns, 1)[rows]
    doubtful = rivals.any(1) | (free_rows + _DOUBT > own).any(0) | (own < free_columns.T + _DOUBT).any(0)
    return dict(zip(rows[~doubtful].tolist(), columns[~doubtful].tolist(), strict=True))


def _joined(pieces: list[_Piece], seen: _Seen) -> list[_Piece]:
    """Join pieces across gaps, by the assignment of ends to beginnings that costs least."""
    if not pieces:
        return []
    ends, beginnings = ([_end(piece[::step], seen) for piece in pieces] for step in (-1, 1))
    cost = _join_costs(_Ends.stacked(ends), _Ends.stacked(beginnings), seen.fps)
    following = {a: b for a, b in zip(*linear_sum_assignment(cost), strict=True) if cost[a, b] < _TOO_FAR}
    joined = []
    for first in sorted(set(range(len(pieces))) - set(following.values())):
        chain = [first]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        joined += _without_scraps(np.concatenate([pieces[number] for number in chain]), seen.fps)
    return joined


def _without_scraps(piece: _Piece, fps: float) -> list[_Piece]:
    """A chain, cut where a long gap parts a moment from the rest: who left is not seen again for two frames only."""
    gaps = np.diff(piece[:, 0]) - 1
    cuts = np.arange(1, len(piece))  # sightings before each gap
    scrap = np.minimum(_SCRAP * gaps, _SCRAP * fps)
    before = cuts[cuts < scrap].max(initial=0)
    after = cuts[len(piece) - cuts < scrap].min(initial=len(piece))
    return [part for part in np.split(piece, sorted({before, after})) if len(part)]


def _join_costs(end: _Ends, start: _Ends, fps: float) -> Float[ndarray, "T T"]:
    """What it costs to take a beginning (column) for the continuation of an end (row).

    Twice the negative logarithm of Gaussian densities, without constants: how far the person is from where either side
    expects them (the mean of both; the expectation widens with the gap), how much the velocity and the size change.
    """
    gap = start.frame - end.frame[:, None]
    passed = gap / fps
    size = np.sqrt(end.size[:, None] * start.size)
    onwards = end.middle_px[:, None] + end.velocity[:, None] * passed[..., None] - start.middle_px
    back = start.middle_px - start.velocity * passed[..., None] - end.middle_px[:, None]
    turn = end.velocity[:, None] - start.velocity
    turn_spread = np.sqrt(end.speed_spread[:, None] ** 2 + start.speed_spread**2 + (_TURN * passed) ** 2)
    cost = (np.log(end.size[:, None] / start.size) / _SIZE_SPREAD) ** 2
    cost += (turn**2).sum(-1) / (size * turn_spread) ** 2
    for off_px, speed_spread in ((onwards, end.speed_spread[:, None]), (back, start.speed_spread)):
        spread = np.hypot(_PLACE_SPREAD, speed_spread * passed)
        cost += (off_px**2).sum(-1) / (size * spread) ** 2 / 2 + 2 * np.log(spread / _PLACE_SPREAD)
    return np.where((gap >= 1) & (passed <= _GAP_S), cost.clip(max=_TOO_FAR), _TOO_FAR)


def _end(piece: _Piece, seen: _Seen) -> _Ends:
    """The first end of a piece: a line through the sightings next to it, if there are enough."""
    passed = (piece[:, 0] - piece[0, 0]) / seen.fps
    middles, size = _body(piece[np.abs(passed) <= _BODY_S], seen)
    near = np.abs(passed[: len(middles)]) <= _TREND_S
    if near.sum() < _TREND_FRAMES:
        return _Ends(np.asarray(piece[0, 0]), middles[0], np.zeros(2), np.array(_ANY_SPEED), size)
    velocity, middle = np.polyfit(passed[: len(middles)][near], middles[near], 1)
    return _Ends(np.asarray(piece[0, 0]), middle, velocity, np.array(_SPEED_SPREAD), size)


def _body(piece: _Piece, seen: _Seen) -> tuple[Float[ndarray, "n 2"], Float[ndarray, ""]]:
    """Where a person's middle is in some frames, and the body size, told from the frames that show most joints.

    Who goes behind another is seen in part at last, and the middle of a part is not the person's.
    """
    keypoints, middles, sizes = (values[tuple(piece.T)] for values in seen[:3])
    shown = np.isfinite(keypoints).all(-1).sum(1)
    whole = shown >= _WHOLE * shown.max()
    layout = _mean(keypoints[whole] - middles[whole, None], 0)
    moved = _mean(keypoints - layout, 1)
    return np.where(np.isfinite(moved), moved, middles), np.asarray(np.median(sizes[whole]))


def _mean(points: Float[ndarray, "*axes 2"], axis: int) -> Float[ndarray, "*fewer 2"]:
    """The mean of the points that are known; NaN where none is."""
    known = np.isfinite(points).all(-1, keepdims=True)
    count = known.sum(axis)
    mean: Float[ndarray, "*fewer 2"] = np.where(known, points, 0).sum(axis) / np.where(count > 0, count, np.nan)
    return mean

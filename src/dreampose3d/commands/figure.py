"""`dreampose3d figure`: each figure is a subcommand with the options of its own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

from dreampose3d.commands.console import CHOSEN, Progress, given

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dreampose3d.figures.clip import Track
    from dreampose3d.lifting.lifter import Lifter
    from dreampose3d.sequence import LiftedMotion, PoseSequence

Clip = Annotated[Positional[Path], arg(metavar="CLIP")]
Weights = Annotated[str, arg(metavar="small|PATH")]
Width = Literal["column", "full"]
Input = Literal["gt", "noisy"]
Span = Annotated[tuple[float, float] | None, arg(metavar="FROM TO", help_behavior_hint="(default: the whole clip)")]

_INPUTS: dict[Input, str] = {"gt": "exact 2D", "noisy": "noisy 2D"}


class _Drawn(NamedTuple):
    """A figure, and where it comes from in words, which its file keeps."""

    figure: "Figure"
    origin: str


@dataclass(frozen=True, kw_only=True)
class _Drawing(ABC):
    """What every figure asks for."""

    out: Annotated[Path, arg(metavar="FILE")]
    """The figure: .png (300 dpi), .svg or .pdf (text as text)."""
    width: Width = "full"
    """3.3 or 7 inches."""

    @abstractmethod
    def draw(self) -> _Drawn:
        """Read what is to be drawn, lift it where it has to be, draw it."""


@dataclass(frozen=True, kw_only=True)
class _OfClip(_Drawing):
    """A figure of a clip, which may have to be seen and lifted first."""

    set_name: Annotated[str | None, arg(name="set", metavar="NAME", help_behavior_hint="")] = None
    """Which set, if a motion-capture folder holds several."""
    trial: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """Which clip of a motion-capture folder."""
    camera: Annotated[int, arg(metavar="0..3")] = 0
    """Which of the evaluation's virtual cameras sees it."""
    hypotheses: Annotated[int | None, arg(metavar="H", help_behavior_hint=CHOSEN)] = None
    """How many times to lift; the mean is the result."""
    steps: Annotated[int | None, arg(metavar="K", help_behavior_hint=CHOSEN)] = None
    """Denoising steps of each."""

    def _read(self, path: Path, input: Input) -> "PoseSequence | LiftedMotion":
        from dreampose3d.figures.clip import read_clip

        return read_clip(path, self.set_name, self.trial, self.camera, input)

    def _lifted(self, clip: "PoseSequence | LiftedMotion", weights: str) -> "LiftedMotion":
        from dreampose3d.lifting.lifter import LiftOptions
        from dreampose3d.sequence import LiftedMotion

        if isinstance(clip, LiftedMotion):
            return clip
        options = LiftOptions(**given(hypotheses=self.hypotheses, steps=self.steps))
        with Progress(f"lifting {clip.name}") as progress:
            return _lifter(weights).lift(clip, options, progress)


@dataclass(frozen=True, kw_only=True)
class Trajectory(_OfClip):
    """Coordinates of a few joints over time: several results against the truth.

    A clip that is no result yet is lifted with each of the weights. Recorded motion brings its truth along.
    """

    clips: Annotated[Positional[tuple[Path, ...]], arg(metavar="CLIP [CLIP ...]", help_behavior_hint="(required)")]
    """One clip: a motion-capture folder (with --trial), results (.pose3d.npz), keypoint files, a video."""
    joints: Annotated[tuple[str, ...], arg(metavar="JOINT ...")] = ("left_wrist", "right_ankle")
    """Which joints."""
    input: Annotated[tuple[Input, ...], arg(metavar="gt|noisy ...")] = ("gt",)
    """For recorded motion: exact 2D, 2D with a detector's errors, or both."""
    weights: Annotated[tuple[str, ...], arg(metavar="small|PATH ...")] = ("small",)
    """The weights that ship, by name, or weights files."""
    truth: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """An npz file with the measured joints_mm (N, J, 3) in the camera's frame, and time_s or fps."""
    labels: Annotated[tuple[str, ...], arg(metavar="TEXT ...", help_behavior_hint="(default: what differs)")] = ()
    """What the legend calls the results, in order."""
    position: Literal["root-relative", "camera"] = "root-relative"
    """Relative to the pelvis, or where a joint is in the camera's frame."""
    quantity: Literal["position", "velocity"] = "position"
    """mm, or mm/s."""
    span: Span = None
    """Which part of the clip, s."""

    def draw(self) -> _Drawn:
        """Lift what is to be lifted, gather the tracks, draw."""
        from dreampose3d.figures.clip import lifted_track, read_truth
        from dreampose3d.figures.trajectory import trajectory_figure

        truth = None if self.truth is None else read_truth(self.truth)
        results: dict[str, LiftedMotion] = {}
        for path in self.clips:
            recorded = self._add_results(path, results)
            truth = truth or recorded
        names = self.labels or tuple(results)
        if len(names) != len(results):
            raise ValueError(f"expected {len(results)} labels ({', '.join(results)}), got {len(names)}")
        tracks = [self._part(lifted_track(motion, name)) for name, motion in zip(names, results.values(), strict=True)]
        real = None if truth is None else self._part(truth)
        figure = trajectory_figure(tracks, real, self.joints, self.quantity, self.width)
        return _Drawn(figure, "; ".join(map(_origin, results.values())))

    def _add_results(self, path: Path, results: dict[str, "LiftedMotion"]) -> "Track | None":
        """Every result that a clip gives, under a name that tells them apart; and the truth, if it has one."""
        from dreampose3d.figures.clip import true_track
        from dreampose3d.sequence import PoseSequence

        truth = None
        for input in self.input if path.is_dir() else self.input[:1]:
            clip = self._read(path, input)
            truth = true_track(clip) if isinstance(clip, PoseSequence) else None
            for weights in self.weights if isinstance(clip, PoseSequence) else self.weights[:1]:
                told = [clip.name] if len(self.clips) > 1 else []
                told += [Path(weights).stem] if len(self.weights) > 1 else []
                told += [_INPUTS[input]] if path.is_dir() and len(self.input) > 1 else []
                name = ", ".join(told) or "lifted"
                results[name if name not in results else f"{name} ({path})"] = self._lifted(clip, weights)
        return truth

    def _part(self, track: "Track") -> "Track":
        part = track.between(self.span)
        return part.relative_to_root() if self.position == "root-relative" else part


@dataclass(frozen=True, kw_only=True)
class Attention(_OfClip):
    """What attends to what: joints to joints, frames to frames, or joints to the prompt's 77 tokens."""

    clip: Clip
    """A motion-capture folder (with --trial), a result (.pose3d.npz), a keypoint file or a video."""
    width: Width = "column"
    """3.3 or 7 inches."""
    map: Literal["spatial", "temporal", "prompt"] = "spatial"
    """Which attention."""
    layer: int = 1
    """Which pair of blocks; the first one holds the SRE and the prompt."""
    heads: Literal["mean", "each"] = "mean"
    """The mean over heads, or a panel each."""
    joint: Annotated[str | None, arg(metavar="JOINT", help_behavior_hint="(default: the mean over joints)")] = None
    """For temporal: whose frames."""
    at: Annotated[float | None, arg(metavar="S", help_behavior_hint="(default: the clip's middle)")] = None
    """A time of the clip, s; the window around it is lifted."""
    input: Input = "gt"
    """For recorded motion: exact 2D, or 2D with a detector's errors."""
    weights: Weights = "small"
    """The weights that ship, by name, or a weights file."""

    def draw(self) -> _Drawn:
        """Lift one window and watch."""
        from dreampose3d.figures.attention import attention_figure, read_attention
        from dreampose3d.figures.clip import keypoints_of
        from dreampose3d.sequence import LiftedMotion

        clip = self._read(self.clip, self.input)
        sequence = keypoints_of(clip) if isinstance(clip, LiftedMotion) else clip
        lifter = _lifter(self.weights)
        maps = read_attention(lifter, sequence, self.at, self.layer, **given(steps=self.steps))
        figure = attention_figure(maps, self.map, self.joint, self.width, each_head=self.heads == "each")
        return _Drawn(figure, f"{sequence.name}: {_weights(lifter)}, {self.map}, layer {self.layer}")


@dataclass(frozen=True, kw_only=True)
class Affinity(_Drawing):
    """The joint affinity of the weights: kinematic prior, what was learned, and their symmetrised sum."""

    weights: Weights = "small"
    """The weights that ship, by name, or a weights file."""

    def draw(self) -> _Drawn:
        """Read the weights, draw."""
        from dreampose3d.figures.affinity import affinity_figure

        lifter = _lifter(self.weights)
        figure = affinity_figure(lifter.model.denoiser.encode_joints.affinity, lifter.skeleton, self.width)
        return _Drawn(figure, _weights(lifter))


@dataclass(frozen=True, kw_only=True)
class Qualitative(_OfClip):
    """Skeletons of a few frames: the 2D input, the 3D result from two sides, and the truth where it is known."""

    clip: Clip
    """A motion-capture folder (with --trial), a result (.pose3d.npz), a keypoint file or a video."""
    times: Annotated[tuple[float, ...], arg(metavar="S ...", help_behavior_hint="(default: spread evenly)")] = ()
    """Which times of the clip, s."""
    frames: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 6, or 3 in a column)")] = None
    """How many, where no times are given."""
    spread: bool = True
    """Draw the 68 % spread of each joint as a disc."""
    video: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """The video that a result comes from, to be shown behind the 2D."""
    input: Input = "gt"
    """For recorded motion: exact 2D, or 2D with a detector's errors."""
    weights: Weights = "small"
    """The weights that ship, by name, or a weights file."""

    def draw(self) -> _Drawn:
        """Lift the clip, pick the frames, draw."""
        from dreampose3d.figures.clip import true_track
        from dreampose3d.figures.qualitative import evenly, nearest, pictures_of, qualitative_figure
        from dreampose3d.sequence import PoseSequence

        clip = self._read(self.clip, self.input)
        truth = true_track(clip) if isinstance(clip, PoseSequence) else None
        motion = self._lifted(clip, self.weights)
        count = self.frames or (6 if self.width == "full" else 3)
        frames = nearest(motion, self.times) if self.times else evenly(motion, count)
        pictures = pictures_of(motion, frames, self.video) if self.video else {}
        figure = qualitative_figure(motion, frames, truth, pictures, self.width, spread=self.spread)
        return _Drawn(figure, _origin(motion))


@dataclass(frozen=True, kw_only=True)
class Prompts(_OfClip):
    """What the prompt makes of the motion: the probabilities of the likeliest intents over time."""

    clip: Clip
    """A motion-capture folder (with --trial), a result (.pose3d.npz), a keypoint file or a video."""
    width: Width = "column"
    """3.3 or 7 inches."""
    top: int = 5
    """How many intents."""
    kind: Literal["lines", "stacked"] = "lines"
    """A line each, or areas on top of each other."""
    span: Span = None
    """Which part of the clip, s."""
    input: Input = "gt"
    """For recorded motion: exact 2D, or 2D with a detector's errors."""
    weights: Weights = "small"
    """The weights that ship, by name, or a weights file."""

    def draw(self) -> _Drawn:
        """Lift the clip, draw its intents."""
        from dreampose3d.figures.prompts import prompts_figure
        from dreampose3d.sequence import PoseSequence

        clip = self._read(self.clip, self.input)
        recorded = clip.action if isinstance(clip, PoseSequence) else ""
        motion = self._lifted(clip, self.weights)
        figure = prompts_figure(motion, self.top, self.kind, self.span, recorded, self.width)
        return _Drawn(figure, _origin(motion))


Figures = (
    Annotated[Trajectory, subcommand("trajectory")]
    | Annotated[Attention, subcommand("attention")]
    | Annotated[Affinity, subcommand("affinity")]
    | Annotated[Qualitative, subcommand("qualitative")]
    | Annotated[Prompts, subcommand("prompts")]
)


def figure(what: OmitArgPrefixes[OmitSubcommandPrefixes[Annotated[Figures, arg(name="")]]]) -> None:
    """Draw the paper's figures from any weights and any clip.

    Args:
        what: Which figure (`dreampose3d figure FIGURE --help` tells its options).
    """
    from dreampose3d import __version__
    from dreampose3d.figures.style import check_figure_path, save_figure
    from dreampose3d.files import check_folder_writable

    check_figure_path(what.out)
    check_folder_writable(what.out.parent)
    drawn = what.draw()
    save_figure(drawn.figure, what.out, f"dreampose3d {__version__}; {drawn.origin}")
    print(what.out)


def _lifter(weights: str) -> "Lifter":
    from dreampose3d.lifting.lifter import Lifter

    return Lifter.load(weights)


def _weights(lifter: "Lifter") -> str:
    return f"weights {Path(lifter.weights.name).name} {lifter.weights.sha256[:12]}"


def _origin(motion: "LiftedMotion") -> str:
    """Clip, weights and options of a result, as far as it tells."""
    meta = motion.meta
    if "options" not in meta:
        return motion.name
    options = meta["options"]
    how = f"{options['aggregate']}, H={options['hypotheses']}, K={options['steps']}"
    return f"{motion.name}: weights {meta['weights']} {meta['weights_sha256'][:12]}, {how}"

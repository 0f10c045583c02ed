"""2D keypoints to 3D motion: windows, hypotheses, blending, aggregation.

keypoints -> rays -> overlapping windows -> (view, prompt) once a window -> DDIM for each hypothesis -> camera frame
-> blended over the overlaps, hypothesis by hypothesis -> aggregated -> fitted to the 2D -> root -> LiftedMotion
"""

import hashlib
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import dreampose3d
from dreampose3d.camera import Camera, normalise_screen
from dreampose3d.data.windows import MILLIMETRES
from dreampose3d.diffusion import Denoise, cosine_alpha_bar, ddim_sample
from dreampose3d.hypotheses import j_agg, l_agg, p_agg
from dreampose3d.lifting.fitting import fit_to_2d
from dreampose3d.lifting.resample import Chunk, Resampling
from dreampose3d.lifting.spread import doubt_of_2d, forgotten, spread_mm, variance_of
from dreampose3d.model.prompt import Prompt
from dreampose3d.model.weights import Weights, load_weights
from dreampose3d.sequence import LiftedMotion, PoseSequence
from dreampose3d.skeleton import skeleton_named
from dreampose3d.trajectory import estimate_root, reprojection_residual
from dreampose3d.view import MISSING_BELOW, View, mirror_poses, normalise_view

Progress = Callable[[float], None]

_NOISE_BLOCK = 64
"""Frames of noise drawn from one seed."""
_WINDOWS_AT_ONCE = 4
_RATES = (18.0, 62.0)
"""Frame rates that the weights know; faster input is lifted at 50 frames/s, slower at 25."""


@dataclass(frozen=True)
class LiftOptions:
    """How to lift; every field is also a command-line option, and is written into every result."""

    hypotheses: int = 3
    """H: how many samples are drawn."""
    steps: int = 1
    """K: denoising steps of each. More change little here: the first already leaves almost no noise (RESULTS.md)."""
    eta: float = 0.0
    """Noise added between the steps: 0 is DDIM, 1 is D3DP's."""
    span: float = 0.2
    """Share of the noise schedule, from its noisy end, over which the steps are spread; 1 is D3DP's grid. A window's
    poses show through little noise, errors included, so steps at little noise only repeat the first guess [ours]."""
    flip: bool = True
    """Average with the mirrored window."""
    flip_mode: Literal["inside", "over"] = "inside"
    """Where: inside every step (D3DP's), or over two samplings of their own, which start from mirrored noise [ours]."""
    aggregate: Literal["p-agg", "l-agg", "j-agg"] = "p-agg"
    """p-agg: the mean. l-agg: weighted by how well each reprojects. j-agg: per joint the one that reprojects best."""
    fit: bool = True
    """Fit what was aggregated to the 2D and to bones of constant length, by how good the clip's 2D is [ours]."""
    save_hypotheses: bool = False
    seed: int = 0
    window: int | None = None
    """Frames of a window; the weights' own N where not given."""
    overlap: int | None = None
    """Frames that neighbouring windows share; a third of the window where not given."""
    clamp: float | None = None
    """Clip x_t and x_0 to +- this many metres (D3DP: 1.1); where not given, as the weights were trained."""

    def __post_init__(self) -> None:
        for name, value in (("hypotheses", self.hypotheses), ("steps", self.steps), ("window", self.window)):
            if value is not None and value < 1:
                raise ValueError(f"expected at least 1 for {name}, got {value}")
        if not 0 <= self.eta <= 1:
            raise ValueError(f"expected eta between 0 and 1, got {self.eta}")
        if not 0 < self.span <= 1:
            raise ValueError(f"expected a span in (0, 1], got {self.span}")
        if self.overlap is not None and self.overlap < 0:
            raise ValueError(f"expected an overlap of at least 0 frames, got {self.overlap}")


class Lifter:
    """Weights, ready to lift."""

    def __init__(self, weights: Weights, device: torch.device | str = "cpu") -> None:
        self.weights = weights
        self.model = weights.model.to(device).eval()
        self.config = self.model.config
        self.device = torch.device(device)
        self.skeleton = skeleton_named(self.config.skeleton)
        self.mirror = torch.from_numpy(self.skeleton.mirror).to(self.device)
        self.alpha_bar = cosine_alpha_bar(self.config.diffusion_steps)

    @classmethod
    def load(cls, weights: str | Path = "small", device: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> "Lifter":
        """Load weights by name (those that ship) or path.

        Raises:
            FileNotFoundError: If there are no such weights.
            ValueError: If they are damaged, or the device is not there.
        """
        chosen = _device(device)
        return cls(load_weights(weights, chosen), chosen)

    def lift(
        self, sequence: PoseSequence, options: LiftOptions | None = None, progress: Progress | None = None
    ) -> LiftedMotion:
        """Lift one person's 2D keypoints.

        Args:
            sequence: 2D keypoints in any known skeleton, with the camera that saw them.
            options: How.
            progress: Told the finished share now and then.

        Returns:
            The motion in the camera's frame, mm.

        Raises:
            ValueError: If there is no 2D, no camera, or not one joint to be seen.
        """
        options = options or LiftOptions()
        flat = self._prepared(sequence)
        camera = _camera(flat)
        rays = camera.rays(torch.from_numpy(np.asarray(flat.keypoints_px, np.float32)))
        confidence = torch.from_numpy(np.asarray(flat.confidence, np.float32))
        count, joints = confidence.shape
        poses = torch.empty(count, joints, 3)
        variance = torch.empty(count, joints)
        intent = torch.empty(count, len(self.config.labels))
        kept = torch.empty(options.hypotheses, count, joints, 3) if options.save_hypotheses else None
        for chunk in self.chunks(flat, options):
            part = slice(chunk.start, chunk.start + chunk.hypotheses_mm.shape[1])
            match options.aggregate:
                case "p-agg":
                    poses[part] = p_agg(chunk.hypotheses_mm)
                case "l-agg":
                    poses[part] = l_agg(chunk.hypotheses_mm, rays[part], confidence[part])
                case "j-agg":
                    poses[part] = j_agg(chunk.hypotheses_mm, rays[part], confidence[part])
            variance[part] = variance_of(chunk.hypotheses_mm)
            intent[part] = chunk.intent
            if kept is not None:
                kept[:, part] = chunk.hypotheses_mm
            if progress is not None:
                progress(part.stop / count)
        root = estimate_root(poses, rays, confidence)
        residual = reprojection_residual(poses, root, rays, confidence)  # what the network says of its 2D
        evidence = None
        if options.fit:
            poses, evidence = fit_to_2d(poses, rays, confidence, sequence.times, self.skeleton)
            root = estimate_root(poses, rays, confidence)
        reach = (poses - poses[:, self.skeleton.root, None]).norm(dim=-1)
        lost = confidence < MISSING_BELOW
        times = torch.from_numpy(sequence.times)
        doubt, imagined = doubt_of_2d(residual, ~lost.all(1), times), forgotten(~lost, times).to(reach)
        spread = spread_mm(self.weights.card.get("spread", {}), variance, doubt, lost, reach, imagined)
        return LiftedMotion(
            name=sequence.name,
            fps=sequence.fps,
            time_s=sequence.times,
            root_relative_mm=poses.numpy(),
            root_mm=root.numpy(),
            spread_mm=spread.numpy(),
            keypoints_px=np.asarray(flat.keypoints_px, np.float32),
            confidence=confidence.numpy(),
            intent_names=self.config.labels,
            intent_probability=intent.numpy(),
            camera=camera,
            hypotheses_mm=None if kept is None else kept.numpy(),
            skeleton=self.skeleton,
            meta=self._meta(sequence, camera, options)
            | (
                {}
                if evidence is None
                else {"keypoint_noise_mm": evidence.noise_mm, "keypoint_miss_mm": evidence.miss_mm}
            ),
        )

    def hypotheses(self, sequence: PoseSequence, options: LiftOptions | None = None) -> Float[Tensor, "H N J 3"]:
        """All hypotheses of a whole clip: root-relative, camera frame, mm; before any aggregation."""
        chunks = self.chunks(self._prepared(sequence), options or LiftOptions())
        return torch.cat([chunk.hypotheses_mm for chunk in chunks], 1)

    def clamp(self, options: LiftOptions) -> float | None:
        """To how many metres x_t and x_0 are clipped."""
        if options.clamp is not None:
            return options.clamp
        return self.weights.card.get("config", {}).get("clamp")  # type: ignore[no-any-return]

    def count_windows(self, sequence: PoseSequence, options: LiftOptions | None = None) -> int:
        """How many windows a clip is cut into."""
        options = options or LiftOptions()
        frames = len(Resampling.of(torch.from_numpy(np.asarray(sequence.times, np.float64)), _RATES).times)
        return len(_spans(frames, options.window or self.config.frames, options.overlap))

    def chunks(self, sequence: PoseSequence, options: LiftOptions) -> Iterator[Chunk]:
        """Lift window by window; yield frames, in order, as soon as no later window can change them.

        Memory does not grow with the clip. Hypothesis h of a window is blended with h of the next one, which has
        drawn the same noise for the frames that they share.
        """
        points, confidence = self._points(sequence, _camera(sequence))
        known = 0.0 if _camera(sequence).assumed else 1.0
        resampling = Resampling.of(torch.from_numpy(np.asarray(sequence.times, np.float64)), _RATES)
        points, confidence = resampling.forth(points, confidence)
        spans = _spans(len(points), options.window or self.config.frames, options.overlap)
        blend = _Blend(options.hypotheses, self.skeleton.num_joints, len(self.config.labels))
        back = resampling.back()
        for first in range(0, len(spans), _WINDOWS_AT_ONCE):
            some = spans[first : first + _WINDOWS_AT_ONCE]
            poses, intent = self._windows(points, confidence, resampling.times, known, some, options)
            for window, span in enumerate(some):
                blend.add(span, poses[:, window], intent[window])
            following = spans[first + _WINDOWS_AT_ONCE : first + _WINDOWS_AT_ONCE + 1]
            done = following[0][0] if following else len(points)
            yield from back(blend.take(done), last=not following)

    @torch.inference_mode()
    def _windows(
        self,
        points: Float[Tensor, "N J 2"],
        confidence: Float[Tensor, "N J"],
        time_s: Float[Tensor, " N"],
        known: float,
        spans: list[tuple[int, int]],
        options: LiftOptions,
    ) -> tuple[Float[Tensor, "H B n J 3"], Float[Tensor, "B V"]]:
        """Sample every hypothesis of a few windows of equal length; camera frame, mm."""
        observed = torch.stack([points[a:b] for a, b in spans]).to(self.device)
        certain = torch.stack([confidence[a:b] for a, b in spans]).to(self.device)
        seconds = torch.stack([time_s[a:b] - (time_s[a] + time_s[b - 1]) / 2 for a, b in spans])
        seconds = seconds.float().to(self.device)
        valid = _seen(observed, certain).any(-1)
        valid = valid | ~valid.any(-1, keepdim=True)  # with no frame seen, attend to all of them rather than to none
        view = self._view(observed, certain, known, valid)
        denoisers, intent = self._conditioned(view, seconds, valid, options)
        poses = []
        for h in range(
            options.hypotheses
        ):  # one at a time: batching them is slower on a CPU and takes H times the room

            def noise(step: int, h: int = h) -> Tensor:
                drawn = [noise_field(options.seed, h, step, a, b - a, self.skeleton.num_joints) for a, b in spans]
                return torch.stack(drawn).to(self.device)

            samples = []
            for denoise in denoisers:
                *_, x_0 = ddim_sample(
                    denoise,
                    self.alpha_bar,
                    noise(0),
                    options.steps,
                    eta=options.eta,
                    span=options.span,
                    clamp=self.clamp(options),
                    noise=lambda k, noise=noise: noise(k + 1),  # type: ignore[misc]
                )
                samples.append(x_0)
            poses.append((torch.stack(samples).mean(0) @ view.rotation[:, None] * MILLIMETRES).cpu())
        return torch.stack(poses), intent.cpu()

    def _view(
        self,
        points: Float[Tensor, "B n J 2"],
        confidence: Float[Tensor, "B n J"],
        known: float,
        valid: Bool[Tensor, "B n"],
    ) -> View:
        if self.config.camera == "any":
            known_of_each = torch.full_like(points[:, 0, 0, 0], known)
            return normalise_view(points, confidence, known_of_each, valid, self.skeleton.root)
        upright = torch.eye(3, device=points.device).expand(len(points), 3, 3)
        return View(points.nan_to_num(), points.new_zeros(len(points), 2), upright)

    def _conditioned(
        self, view: View, time_s: Float[Tensor, "B n"], valid: Bool[Tensor, "B n"], options: LiftOptions
    ) -> tuple[list[Denoise], Float[Tensor, "B V"]]:
        """The denoisers of these windows, whose samples are averaged, their prompts read once; and their intent."""
        sides = [view.observed]
        if options.flip:
            sides.append(mirror_poses(view.observed, self.mirror))
        prompts = [self.model.read_intent(side, time_s, valid) for side in sides]
        guesses = [self.model.guess(side, time_s, valid, view.condition) for side in sides]

        def look(mirrored: int, x_t: Tensor, t: int) -> Tensor:
            """x_0 as seen directly or in the mirror, always on the side of the direct look."""
            shown = mirror_poses(x_t, self.mirror) if mirrored else x_t
            when = torch.full((len(x_t),), t, device=x_t.device)
            given = (sides[mirrored], when, prompts[mirrored], time_s, valid, view.condition, guesses[mirrored])
            x_0 = self.model(shown, *given)
            return mirror_poses(x_0, self.mirror) if mirrored else x_0

        def look_both_ways(x_t: Tensor, t: int) -> Tensor:
            return (look(0, x_t, t) + look(1, x_t, t)) / 2

        looks: list[Denoise] = [partial(look, mirrored) for mirrored in range(len(sides))]
        if options.flip and options.flip_mode == "inside":
            looks = [look_both_ways]
        return looks, self._intent(prompts, len(view.observed))

    def _intent(self, prompts: list[Prompt | None], batch: int) -> Float[Tensor, "B V"]:
        read = self.model.prompt
        probabilities = [
            read.intent_logits(prompt.text_feature).softmax(-1)
            for prompt in prompts
            if prompt is not None and read is not None and self.config.labels
        ]
        if not probabilities:
            return torch.zeros(batch, len(self.config.labels))
        return torch.stack(probabilities).mean(0)

    def _prepared(self, sequence: PoseSequence) -> PoseSequence:
        """The sequence in the weights' own joints, checked."""
        if sequence.keypoints_px is None:
            raise ValueError(f"{sequence.name}: lifting needs 2D keypoints, and this sequence has none")
        if len(sequence) == 0:
            raise ValueError(f"{sequence.name}: there are no frames to lift")
        if np.any(np.diff(sequence.times) <= 0):
            raise ValueError(f"{sequence.name}: expected presentation times that grow from frame to frame")
        keypoints, confidence = sequence.skeleton.to(
            self.skeleton, np.asarray(sequence.keypoints_px, np.float32), sequence.confidence
        )
        seen = np.isfinite(keypoints).all(-1) & (confidence >= MISSING_BELOW)
        if not seen.any():
            raise ValueError(f"{sequence.name}: not one joint of not one frame can be seen; there is nothing to lift")
        confidence = np.where(seen, confidence, 0).astype(np.float32)
        return replace(
            sequence,
            skeleton=self.skeleton,
            keypoints_px=np.where(seen[..., None], keypoints, np.nan),
            confidence=confidence,
            joints_mm=None,
        )

    def _points(self, sequence: PoseSequence, camera: Camera) -> tuple[Float[Tensor, "N J 2"], Float[Tensor, "N J"]]:
        """The 2D that the network knows, and its confidence: rays, or the benchmarks' own input."""
        keypoints = torch.from_numpy(np.asarray(sequence.keypoints_px, np.float32))
        confidence = torch.from_numpy(np.asarray(sequence.confidence, np.float32))
        screen = self.config.camera == "screen"
        return normalise_screen(keypoints, camera.size_px) if screen else camera.rays(keypoints), confidence

    def _meta(self, sequence: PoseSequence, camera: Camera, options: LiftOptions) -> dict[str, Any]:
        return {
            "units": {"length": "mm", "time": "s", "keypoints": "px from the top left corner"},
            "frame": "camera: x right, y down, z forward; root_relative + root = joints",
            "skeleton": self.skeleton.name,
            "input_skeleton": sequence.skeleton.name,
            "mapping": sequence.skeleton.mapping_note,
            "camera": asdict(camera) | {"fov_degrees": camera.fov_degrees},
            "weights": Path(self.weights.name).name,
            "weights_sha256": self.weights.sha256,
            "options": asdict(options)
            | {
                "window": options.window or self.config.frames,
                "overlap": _overlap(self.config.frames, options),
                "clamp": self.clamp(options),
            },
            "root": "estimated by reprojection; metric size is that of the training population",
            "spread": "68 % of root-relative joint errors lie below it (validation clips)",
            "spread_size_share": max(self.weights.card.get("spread", {}).get("size_share", [0.0])),
            "device": str(self.device),
            "versions": {
                "dreampose3d": dreampose3d.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
        }


def noise_field(
    seed: int, hypothesis: int, step: int, start: int, count: int, num_joints: int
) -> Float[Tensor, "n J 3"]:
    """Standard normal noise that depends on (seed, hypothesis, step, absolute frame) alone.

    Drawn in blocks of 64 frames, each from a CPU generator seeded with a hash: the same on every device, for every
    batch size and every order of windows.
    """
    first, last = start // _NOISE_BLOCK, (start + count - 1) // _NOISE_BLOCK
    blocks = []
    for block in range(first, last + 1):
        digest = hashlib.sha256(f"{seed},{hypothesis},{step},{block}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        blocks.append(torch.randn(_NOISE_BLOCK, num_joints, 3, generator=generator))
    return torch.cat(blocks)[start - first * _NOISE_BLOCK :][:count]


class _Blend:
    """Overlap-add of windows with raised-cosine weights, keeping only the frames that are not finished."""

    def __init__(self, hypotheses: int, joints: int, labels: int) -> None:
        self.start = 0
        self.poses = torch.zeros(hypotheses, 0, joints, 3)
        self.intent = torch.zeros(0, labels)
        self.weight = torch.zeros(0)

    def add(self, span: tuple[int, int], poses: Float[Tensor, "H n J 3"], intent: Float[Tensor, " V"]) -> None:
        """Add a window in; its weight rises from its first frame to its middle and falls again."""
        first, end = span[0] - self.start, span[1] - self.start
        if (more := end - len(self.weight)) > 0:
            self.poses = torch.nn.functional.pad(self.poses, (0, 0, 0, 0, 0, more))
            self.intent = torch.nn.functional.pad(self.intent, (0, 0, 0, more))
            self.weight = torch.nn.functional.pad(self.weight, (0, more))
        count = end - first
        weight = torch.sin(torch.pi * (torch.arange(count) + 0.5) / count).square() + 1e-4
        self.poses[:, first:end] += weight[:, None, None] * poses
        self.intent[first:end] += weight[:, None] * intent
        self.weight[first:end] += weight

    def take(self, until: int) -> Chunk:
        """The finished frames before `until`, weighted and removed."""
        count = until - self.start
        weight = self.weight[:count]
        chunk = Chunk(self.start, self.poses[:, :count] / weight[:, None, None], self.intent[:count] / weight[:, None])
        self.start = until
        self.poses, self.intent, self.weight = self.poses[:, count:], self.intent[count:], self.weight[count:]
        return chunk


def _overlap(frames: int, options: LiftOptions) -> int:
    window = options.window or frames
    return window // 3 if options.overlap is None else options.overlap


def _spans(count: int, window: int, overlap: int | None) -> list[tuple[int, int]]:
    """First and last + 1 frame of windows of equal length that cover the clip."""
    overlap = window // 3 if overlap is None else overlap
    if overlap >= window:
        raise ValueError(f"expected an overlap below the window's {window} frames, got {overlap}")
    if count <= window:
        return [(0, count)]
    hop = window - overlap
    starts = [*range(0, count - window, hop), count - window]
    return [(start, start + window) for start in starts]


def _seen(rays: Tensor, confidence: Tensor) -> Tensor:
    return torch.isfinite(rays).all(-1) & (confidence >= MISSING_BELOW)


def _camera(sequence: PoseSequence) -> Camera:
    if sequence.camera is None:
        raise ValueError(
            f"{sequence.name}: lifting needs a camera; where it is unknown, Camera.from_fov(size_px) assumes 55 degrees"
        )
    return sequence.camera


def _device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if not there[name]:
        raise ValueError(f"this machine has no {name} device; it has {', '.join(d for d in there if there[d])}")
    return torch.device(name)

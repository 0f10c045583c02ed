"""What attends to what: joints to joints, frames to frames, joints to the tokens of the prompt.

The model never keeps its attention weights. `watch_attention` hooks the attention modules and computes the weights
once more from the queries and keys that those modules make, so the model's code is neither changed nor slowed down
where nobody watches (a test proves that these weights times the values are what the model itself computed).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, NamedTuple, assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray
from torch import Tensor, nn

from dreampose3d.figures.matrix import label_joints, matrix_panels
from dreampose3d.figures.style import INK, SHARES, Width, paper_style
from dreampose3d.lifting.lifter import Lifter, LiftOptions
from dreampose3d.model.blocks import SelfAttention
from dreampose3d.model.denoiser import Denoiser, PromptCrossAttention
from dreampose3d.model.prompt import ACTION_TOKENS, SUBJECT_TOKENS
from dreampose3d.model.text import TEMPLATE
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import Skeleton

Map = Literal["spatial", "temporal", "prompt"]

_ROOM: dict[Map, dict[Width, tuple[tuple[float, float], float]]] = {
    "spatial": {"column": ((0.85, 0.9), 1.0), "full": ((0.85, 0.9), 1.0)},
    "temporal": {"column": ((0.45, 0.4), 1.0), "full": ((0.45, 0.4), 1.0)},
    "prompt": {"column": ((0.85, 0.7), 1.1), "full": ((0.85, 0.7), 0.32)},
}
"""Room for labels left and below, inches, and height over width of a panel."""


class AttentionMaps(NamedTuple):
    """One window's attention in one pair of blocks, at the last denoising step; each row sums to 1."""

    spatial: Float[ndarray, "N heads J J"]
    """Of each frame: row attends to column."""
    temporal: Float[ndarray, "J heads N N"]
    """Of each joint."""
    prompt: Float[ndarray, "N J heads L"] | None
    """Of each frame's joints to the prompt's tokens; the prompt enters in the first pair of blocks only."""
    time_s: Float[ndarray, " N"]
    """From the window's centre."""
    skeleton: Skeleton


def attention_weights(
    query: Float[Tensor, "*batch Q C"],
    key: Float[Tensor, "*batch L C"],
    num_heads: int,
    key_mask: Bool[Tensor, "*#batch L"] | None = None,
) -> Float[Tensor, "*batch heads Q L"]:
    """softmax(q k^T / sqrt(d)) of each head; masked keys (False) get nothing."""
    q, k = (x.unflatten(-1, (num_heads, -1)).transpose(-3, -2) for x in (query, key))
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if key_mask is not None:
        scores = scores.masked_fill(~key_mask[..., None, None, :], torch.finfo(scores.dtype).min)
    return torch.softmax(scores, -1)


@contextmanager
def watch_attention(root: nn.Module, names: tuple[str, ...] | None = None) -> Iterator[dict[str, Tensor]]:
    """Collect the weights of attention modules while a model runs: module name -> weights of its last call.

    Args:
        root: The model, or a part of it.
        names: Which modules, as in `root.named_modules()`; all attention modules if not given.

    Yields:
        A dictionary that fills up while the block runs: (*batch, heads, Q, L) of each module.
    """
    seen: dict[str, Tensor] = {}

    def watch(name: str, module: SelfAttention | PromptCrossAttention) -> Any:
        def keep(_: nn.Module, inputs: tuple[Any, ...], __: Tensor) -> None:
            if isinstance(module, SelfAttention):
                query, key, _value = module.qkv(inputs[0]).chunk(3, -1)
                mask = inputs[1] if len(inputs) > 1 else None
            else:
                query = module.query(module.norm(inputs[0])).flatten(1, 2)
                key, _value = module.key_value(inputs[1]).chunk(2, -1)
                mask = None
            seen[name] = attention_weights(query, key, module.num_heads, mask).detach()

        return module.register_forward_hook(keep)

    hooks = [
        watch(name, module)
        for name, module in root.named_modules()
        if isinstance(module, SelfAttention | PromptCrossAttention) and (names is None or name in names)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def read_attention(
    lifter: Lifter, sequence: PoseSequence, at_s: float | None = None, layer: int = 1, steps: int = 2
) -> AttentionMaps:
    """Lift one window of a clip, once and without its mirror image, and watch one pair of blocks.

    Args:
        lifter: The weights.
        sequence: 2D with its camera.
        at_s: A time of the clip, s; the window lies around it. The clip's middle if not given.
        layer: Which pair of blocks: 1, which holds the SRE, to the model's depth.
        steps: Denoising steps; the last one's attention is kept.

    Raises:
        ValueError: If there is no such pair of blocks or the clip cannot be lifted.
    """
    depth = lifter.config.depth
    if not 1 <= layer <= depth:
        raise ValueError(f"these weights have the block pairs 1 to {depth}, got layer {layer}")
    spatial, temporal = "encode_joints.attention", "temporal_first.attention"
    if layer > 1:
        spatial, temporal = (f"{kind}.{layer - 2}.attention" for kind in ("spatial", "temporal"))
    denoiser: Denoiser = lifter.model.denoiser
    called: list[tuple[Any, ...]] = []
    hook = denoiser.register_forward_pre_hook(lambda _, inputs: called.append(inputs))
    try:
        with watch_attention(denoiser, (spatial, temporal, "ask_prompt")) as seen:
            window = cut(sequence, at_s, lifter.config.frames)
            lifter.hypotheses(window, LiftOptions(hypotheses=1, steps=steps, flip=False))
    finally:
        hook.remove()
    time_s = called[-1][4]  # B N, as `Denoiser.forward` was given it
    middle = len(time_s) // 2  # slow clips are resampled and may then fill several windows
    prompt = None
    if layer == 1 and "ask_prompt" in seen:
        prompt = seen["ask_prompt"][middle].unflatten(1, (time_s.shape[1], -1)).permute(1, 2, 0, 3).cpu().numpy()
    return AttentionMaps(
        seen[spatial][middle].cpu().numpy(),
        seen[temporal][middle].cpu().numpy(),
        prompt,
        time_s[middle].cpu().numpy(),
        lifter.skeleton,
    )


def cut(sequence: PoseSequence, at_s: float | None, frames: int) -> PoseSequence:
    """At most so many frames around a time.

    Raises:
        ValueError: If the clip has no frame at that time.
    """
    times = np.asarray(sequence.times, np.float64)
    if at_s is not None and not times[0] <= at_s <= times[-1]:
        raise ValueError(f"{sequence.name} runs from {times[0]:g} to {times[-1]:g} s; it has nothing at {at_s:g} s")
    centre = len(times) // 2 if at_s is None else int(np.abs(times - at_s).argmin())
    start = max(0, min(centre - frames // 2, len(times) - frames))
    part = slice(start, start + frames)
    return replace(
        sequence,
        time_s=times[part],
        joints_mm=_part(sequence.joints_mm, part),
        keypoints_px=_part(sequence.keypoints_px, part),
        confidence=_part(sequence.confidence, part),
        valid=_part(sequence.valid, part),
    )


def _part(array: ndarray | None, part: slice) -> ndarray | None:
    return None if array is None else array[part]


@paper_style()
def attention_figure(
    maps: AttentionMaps,
    which: Map = "spatial",
    joint: str | None = None,
    width: Width = "full",
    *,
    each_head: bool = False,
) -> Figure:
    """Draw one kind of attention, as the mean over heads or head by head; each row sums to 100 %.

    Args:
        maps: From `read_attention`.
        which: spatial: joints to joints, mean over the window's frames. temporal: frames to frames, of one joint or
            the mean over joints. prompt: joints to the prompt's tokens, mean over frames.
        joint: For temporal: which joint.
        width: The figure's.
        each_head: A panel for each head.

    Raises:
        ValueError: If the skeleton lacks the joint, or these maps lack a prompt.
    """
    shares = 100 * _shares(maps, which, joint)  # heads Q L
    mean, titles = shares.mean(0, keepdims=True), [f"head {head + 1}" for head in range(len(shares))]
    shares, titles = (np.concatenate((shares, mean)), [*titles, "mean"]) if each_head else (mean, [""])
    columns = 1 if which == "prompt" else min(len(shares), 3 if width == "full" else 2)
    room, aspect = _ROOM[which][width]
    drawn = matrix_panels(width, titles, columns, room, aspect)
    least = float(shares.min()) if which == "prompt" else 0.0  # to the prompt, differences are small
    for place, (panel, share) in enumerate(zip(drawn.panels, shares, strict=True)):
        image = panel.imshow(share, cmap=SHARES, vmin=least, vmax=float(shares.max()), aspect="auto")
        _label(panel, maps, which, left=drawn.at_left(place), bottom=drawn.at_bottom(place))
        if which == "temporal":
            _in_seconds(panel, image, maps.time_s)
    drawn.colour_bar(image, f"attention (% of the row; even: {100 / shares.shape[-1]:.1f})")
    return drawn.figure


def token_groups() -> list[tuple[str, int, int]]:
    """(name, first, last + 1) of each kind of the prompt's tokens."""
    template = 1 + len(TEMPLATE.split())
    last = SUBJECT_TOKENS + ACTION_TOKENS - 1
    return [
        ("start", 0, 1),
        (f"“{TEMPLATE}”", 1, template),
        ("learned\ncontext", template, SUBJECT_TOKENS),
        ("generated\nfrom the motion", SUBJECT_TOKENS, last),
        ("end", last, last + 1),
    ]


def _shares(maps: AttentionMaps, which: Map, joint: str | None) -> Float[ndarray, "heads Q L"]:
    if which == "spatial":
        return maps.spatial.mean(0)  # type: ignore[no-any-return]
    if which == "temporal":
        return maps.temporal.mean(0) if joint is None else maps.temporal[maps.skeleton.index(joint)]  # type: ignore[no-any-return]
    if maps.prompt is None:
        raise ValueError("no attention to a prompt here: it enters in layer 1 only, and not in weights without prompts")
    return maps.prompt.mean(0).swapaxes(0, 1)  # type: ignore[no-any-return]


def _label(panel: Any, maps: AttentionMaps, which: Map, *, left: bool, bottom: bool) -> None:
    """Name rows and columns once, along the left and the bottom."""
    match which:
        case "spatial":
            label_joints(panel, maps.skeleton, columns=bottom, rows=left)
            names = ("attended joint", "attending joint")
        case "temporal":
            panel.tick_params(labelbottom=bottom, labelleft=left)
            names = ("attended time (s)", "attending time (s)")
        case "prompt":
            label_joints(panel, maps.skeleton, columns=False, rows=left)
            _label_tokens(panel, named=bottom)
            names = ("attended token of the prompt", "attending joint")
        case _:
            assert_never(which)
    panel.set(xlabel=names[0] if bottom else "", ylabel=names[1] if left else "")


def _in_seconds(panel: Any, image: Any, time_s: Float[ndarray, " N"]) -> None:
    """Turn a matrix of frames over so that time runs up and to the right, and give it seconds for axes."""
    half = (time_s[-1] - time_s[0]) / max(len(time_s) - 1, 1) / 2 or 0.5
    ends = (time_s[0] - half, time_s[-1] + half)
    image.set_extent((*ends, *ends[::-1]))
    panel.set(xlim=ends, ylim=ends)


def _label_tokens(panel: Any, *, named: bool) -> None:
    """Lines between the kinds of tokens, and below them their names; upright where a kind has few tokens."""
    for name, first, last in token_groups():
        panel.axvline(last - 0.5, color=INK, linewidth=0.4)
        few = last - first < 10
        panel.text(
            (first + last - 1) / 2,
            -0.03,
            name if named else "",
            transform=panel.get_xaxis_transform(),
            rotation=90 if few else 0,
            horizontalalignment="right" if first == 0 else "left" if few else "center",
            verticalalignment="top",
            fontsize=6,
        )
    panel.xaxis.labelpad = 36

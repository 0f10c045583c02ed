"""Many hypotheses to one pose: P-Agg, J-Agg and L-Agg, which a user can have, and the oracles, which he cannot.

Hypotheses come first (H), root-relative, in the camera frame. The functions whose names begin with `oracle_` read
the 3D truth: they bound what a choice among the hypotheses could reach and are never a result (docs/oracles.md).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dreampose3d.metrics import mpjpe
from dreampose3d.trajectory import estimate_root, fittable

UNCERTAIN = 0.3
"""J-Agg does not let a 2D joint below this confidence choose."""
DETECTORS_ERROR = 0.034
"""Standard deviation of a 2D joint, in shares of the person's size: jitter and drift of `data.noise`."""


def p_agg(hypotheses: Float[Tensor, "H *batch J 3"]) -> Float[Tensor, "*batch J 3"]:
    """The mean of the hypotheses.

    Args:
        hypotheses: Joints, mm.

    Returns:
        One pose for all hypotheses, mm.
    """
    return hypotheses.mean(0)


def j_agg(
    hypotheses: Float[Tensor, "H N J 3"], rays: Float[Tensor, "N J 2"], confidence: Float[Tensor, "N J"]
) -> Float[Tensor, "N J 3"]:
    """Per joint the hypothesis that reprojects nearest to the 2D, each placed by its own *estimated* root.

    Deployable: it needs the 2D and the intrinsics only. The joints are chosen one by one, so bones may change length
    and motion may jitter. If no frame's 2D can place a root, the hypotheses are averaged.

    Args:
        hypotheses: Root-relative joints in the camera frame, mm.
        rays: The 2D joints as points (x/z, y/z) of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; below 0.3 a joint takes the mean over the hypotheses.

    Returns:
        One root-relative pose per frame, mm.

    Source: Shan et al. 2023 (D3DP, JPMA), which adds the true root; the estimated one is ours.
    """
    if not fittable(rays, confidence).any():
        return p_agg(hypotheses)
    return j_agg_given_root(hypotheses, estimate_root(hypotheses, rays, confidence), rays, confidence)


def l_agg(
    hypotheses: Float[Tensor, "H N J 3"],
    rays: Float[Tensor, "N J 2"],
    confidence: Float[Tensor, "N J"],
    std: float = DETECTORS_ERROR,
) -> Float[Tensor, "N J 3"]:
    """Per joint the mean of the hypotheses, each weighted by how likely it makes the 2D: a soft J-Agg [ours].

    The 2D is taken as normal about a hypothesis's projection from its own estimated root, with a variance that is
    divided by the confidence. A large deviation `std` makes it P-Agg, a small one J-Agg.

    Args:
        hypotheses: Root-relative joints in the camera frame, mm.
        rays: The 2D joints as points (x/z, y/z) of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; at 0 a joint takes the mean over the hypotheses.
        std: Standard deviation of a certain 2D joint, in shares of the person's size in the image.

    Returns:
        One root-relative pose per frame, mm.
    """
    if not fittable(rays, confidence).any():
        return p_agg(hypotheses)
    distance = _misses(hypotheses, estimate_root(hypotheses, rays, confidence), rays)
    size = (rays - rays.nanmean(-2, keepdim=True)).square().sum(-1).nanmean(-1, keepdim=True).sqrt()  # N 1
    logits = -0.5 * confidence * (distance / (std * size)).square()
    logits = logits.nan_to_num(nan=0, neginf=-torch.inf)
    logits = torch.where(logits.isinf().all(0), 0, logits)
    return (logits.softmax(0)[..., None] * hypotheses).sum(0)


def j_agg_given_root(
    hypotheses: Float[Tensor, "H N J 3"],
    root_mm: Float[Tensor, "*roots N 3"],
    rays: Float[Tensor, "N J 2"],
    confidence: Float[Tensor, "N J"],
) -> Float[Tensor, "N J 3"]:
    """Per joint the hypothesis that reprojects nearest to the 2D from a root that is given (JPMA).

    With the *true* root this is an oracle, though a published one: D3DP and its relatives report it.

    Args:
        hypotheses: Root-relative joints in the camera frame, mm.
        root_mm: The root's path in the camera frame, mm: one for all hypotheses, or one for each.
        rays: The 2D joints as points (x/z, y/z) of the plane z = 1; NaN where missing.
        confidence: Certainty of each 2D joint in [0, 1]; below 0.3 a joint takes the mean over the hypotheses.

    Returns:
        One root-relative pose per frame, mm.

    Source: Shan et al. 2023 (D3DP, JPMA).
    """
    distance = _misses(hypotheses, root_mm, rays)
    nearest = distance.min(0)
    undecided = (confidence < UNCERTAIN) | nearest.values.isinf()
    return torch.where(undecided[..., None], p_agg(hypotheses), _choose(hypotheses, nearest.indices[..., None]))


def oracle_p_best(
    hypotheses: Float[Tensor, "H *batch J 3"], true: Float[Tensor, "*batch J 3"]
) -> Float[Tensor, "*batch J 3"]:
    """ORACLE. Per pose the hypothesis with the least MPJPE.

    Args:
        hypotheses: Root-relative joints, mm.
        true: The truth that no user has, mm.

    Returns:
        One of the hypotheses for each pose, whole, mm.
    """
    return _choose(hypotheses, mpjpe(hypotheses, true).argmin(0)[..., None, None])


def oracle_j_best(
    hypotheses: Float[Tensor, "H *batch J 3"], true: Float[Tensor, "*batch J 3"]
) -> Float[Tensor, "*batch J 3"]:
    """ORACLE. Per joint the hypothesis nearest to the truth: a pose assembled from all of them.

    Args:
        hypotheses: Root-relative joints, mm.
        true: The truth that no user has, mm.

    Returns:
        The joints nearest to the truth, mm.
    """
    distance: Tensor = torch.linalg.vector_norm(hypotheses - true, dim=-1)
    return _choose(hypotheses, distance.argmin(0)[..., None])


def _misses(
    hypotheses: Float[Tensor, "H N J 3"], root_mm: Float[Tensor, "*roots N 3"], rays: Float[Tensor, "N J 2"]
) -> Float[Tensor, "H N J"]:
    """How far from the 2D each joint projects; infinite where there is no 2D, or the joint is behind the camera."""
    joints = hypotheses + root_mm[..., None, :]
    depth = joints[..., 2:]
    distance = torch.linalg.vector_norm(joints[..., :2] / depth - rays, dim=-1)
    return torch.where(depth[..., 0] > 0, distance, torch.inf).nan_to_num(nan=torch.inf)


def _choose(hypotheses: Float[Tensor, "H *batch J 3"], index: Tensor) -> Float[Tensor, "*batch J 3"]:
    """Take hypothesis `index`, which holds one number per joint (*batch J 1) or per pose (*batch 1 1)."""
    return hypotheses.gather(0, index.expand(hypotheses.shape[1:])[None]).squeeze(0)

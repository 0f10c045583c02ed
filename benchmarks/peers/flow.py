r"""Flow matching in three steps (Lipman et al. 2023; FMPose3D, 2026), here of whole windows instead of single frames.

The mathematics. A pose travels on a straight line from noise, x_tau = (1 - tau) eps + tau x_0 with x_0 the pose and
tau from 0 to 1. The network says where the line ends, xhat; the velocity is then v = (xhat - x_tau) / (1 - tau), and
an L1 on xhat is an L1 on the velocity, weighted by 1 - tau. A step of Euler's method from tau to s gives

    x_s = x_tau + (s - tau) v = (1 - s) epshat + s xhat,    epshat = (x_tau - tau xhat) / (1 - tau).

With x_tau divided by r = sqrt(tau^2 + (1 - tau)^2) and alpha_bar = tau^2 / r^2 that is DDIM's step (eta 0) to the
letter. So the straight path *is* a schedule: what learns and samples under any schedule does flow matching under this.
"""

import torch
from benchmarks.peers.peer import Peer
from jaxtyping import Float
from torch import Tensor


def straight_alpha_bar(num_steps: int) -> Float[Tensor, " T"]:
    """alpha_bar of the straight path at tau = 1 - 1/T (t = 0) ... 0 (t = T - 1), float64."""
    tau = 1 - torch.arange(1, num_steps + 1, dtype=torch.float64) / num_steps
    return tau**2 / (tau**2 + (1 - tau) ** 2)


PEER = Peer("flow", "flow matching (FMPose3D-like)", alpha_bar=straight_alpha_bar, steps=3)

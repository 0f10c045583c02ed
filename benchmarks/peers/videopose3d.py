"""VideoPose3D (Pavllo et al. 2019): dilated temporal convolutions over whole 2D poses."""

from benchmarks.peers.peer import Deterministic, Peer
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dreampose3d.model.dreampose import DreamPose3D
from dreampose3d.model.guess import DilatedConvolutions
from dreampose3d.skeleton import Skeleton, skeleton_named


class TemporalConvolutions(nn.Module):
    """What our first guess took over from it, as a network of its own."""

    def __init__(self, skeleton: Skeleton, width: int, joint_width: int) -> None:
        super().__init__()
        self.joints = skeleton.num_joints
        self.convolutions = DilatedConvolutions(3 * skeleton.num_joints, width)
        self.shrink = nn.Linear(width, skeleton.num_joints * joint_width)

    def forward(
        self,
        x_t: Tensor,
        observed: Float[Tensor, "B N J D"],
        t: Int[Tensor, " B"],
        prompt: None,
        time_s: Float[Tensor, "B N"],
        valid: Bool[Tensor, "B N"],
        view: Float[Tensor, "B 2"],
    ) -> Float[Tensor, "B N J C"]:
        """A few features for each joint, from which the decoder reads the pose."""
        x = self.convolutions(observed, time_s, valid, view)
        return self.shrink(x).unflatten(-1, (self.joints, -1))  # type: ignore[no-any-return]


def videopose3d(model: DreamPose3D) -> Deterministic:
    """Of 512 channels where our tokens have 160: with the paper's 1024, Muon would cost more than the network."""
    width = model.config.width // 5
    return Deterministic(TemporalConvolutions(skeleton_named(model.config.skeleton), 16 * width, width), width)


PEER = Peer("videopose3d", "VideoPose3D", network=videopose3d)

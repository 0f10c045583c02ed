"""HPD, the Hallucinative Pose Decoder: from each frame's tokens, its own pose and its neighbours' (Eq. 6)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class HallucinativePoseDecoder(nn.Module):
    """LayerNorm + Linear C -> 3n for each token: poses f-(n-1)/2 ... f+(n-1)/2 out of the tokens of frame f.

    The neighbours exist only in training (`hallucinate`); `forward` computes the centre row alone, so that at
    inference the decoder costs what a plain head costs.
    """

    def __init__(self, width: int, num_poses: int, root: int = 0) -> None:
        super().__init__()
        if num_poses < 1 or num_poses % 2 == 0:
            raise ValueError(f"expected an odd number of hallucinated poses, got {num_poses}")
        self.num_poses = num_poses
        self.root = root
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3 * num_poses)

    @property
    def offsets(self) -> range:
        """Which frames are decoded, relative to the token's own."""
        reach = (self.num_poses - 1) // 2
        return range(-reach, reach + 1)

    def forward(self, tokens: Float[Tensor, "B N J C"]) -> Float[Tensor, "B N J 3"]:
        """The pose of every frame, in the network's unit, root at 0."""
        centre = slice(3 * (self.num_poses // 2), 3 * (self.num_poses // 2) + 3)
        joints = nn.functional.linear(self.norm(tokens), self.head.weight[centre], self.head.bias[centre])
        return joints - joints[:, :, self.root, None]

    def hallucinate(self, tokens: Float[Tensor, "B N J C"]) -> Float[Tensor, "B N M J 3"]:
        """All n poses of every frame, in the network's unit, roots at 0."""
        joints = self.head(self.norm(tokens)).unflatten(-1, (self.num_poses, 3)).transpose(2, 3)
        return joints - joints[..., self.root, None, :]  # type: ignore[no-any-return]

    @torch.no_grad()
    def start_hallucinating(self) -> None:
        """Copy the trained centre row to its neighbours: how the second training stage begins [ours]."""
        rows = self.head.weight.view(self.num_poses, 3, -1)
        biases = self.head.bias.view(self.num_poses, 3)
        rows.copy_(rows[self.num_poses // 2].clone().expand_as(rows))
        biases.copy_(biases[self.num_poses // 2].clone().expand_as(biases))

import pytest
import torch

from dreampose3d.model.hallucination import HallucinativePoseDecoder


@pytest.mark.parametrize("num_poses", [1, 3, 5])
def test_inference_decodes_the_centre_of_what_training_hallucinates(num_poses):
    decoder, tokens = HallucinativePoseDecoder(8, num_poses), torch.randn(2, 4, 17, 8)
    poses = decoder.hallucinate(tokens)
    assert poses.shape == (2, 4, num_poses, 17, 3)
    torch.testing.assert_close(decoder(tokens), poses[:, :, num_poses // 2], atol=1e-6, rtol=0)
    assert float(poses[..., 0, :].abs().max()) == 0, "the root of every pose"
    assert float(decoder(tokens)[..., 0, :].abs().max()) == 0


def test_the_root_may_be_any_joint():
    decoder, tokens = HallucinativePoseDecoder(8, 3, root=14), torch.randn(2, 4, 17, 8)
    assert float(decoder.hallucinate(tokens)[..., 14, :].abs().max()) == 0
    assert float(decoder(tokens)[..., 14, :].abs().max()) == 0
    assert float(decoder(tokens)[..., 0, :].abs().min()) > 0


def test_offsets_are_centred():
    assert [list(HallucinativePoseDecoder(4, n).offsets) for n in (1, 3, 5)] == [[0], [-1, 0, 1], [-2, -1, 0, 1, 2]]


def test_each_pose_has_its_own_rows():
    """Layer norm, then W x + b with rows 3m .. 3m + 2 for pose m; relative to the root."""
    decoder, tokens = HallucinativePoseDecoder(8, 3), torch.randn(1, 2, 17, 8)
    normed = torch.nn.functional.layer_norm(tokens, (8,), decoder.norm.weight, decoder.norm.bias)
    for m in range(3):
        rows = slice(3 * m, 3 * m + 3)
        joints = normed @ decoder.head.weight[rows].T + decoder.head.bias[rows]
        torch.testing.assert_close(decoder.hallucinate(tokens)[:, :, m], joints - joints[:, :, :1], atol=1e-6, rtol=0)


def test_the_first_stage_trains_the_centre_alone_and_the_switch_copies_it():
    decoder, tokens = HallucinativePoseDecoder(8, 3), torch.randn(2, 4, 17, 8)
    decoder(tokens).square().sum().backward()
    assert decoder.head.weight.grad.abs().amax(1).gt(0).tolist() == [False] * 3 + [True] * 3 + [False] * 3
    centre = decoder(tokens)
    decoder.start_hallucinating()
    poses = decoder.hallucinate(tokens)
    for m in range(3):
        torch.testing.assert_close(poses[:, :, m], centre, atol=1e-6, rtol=0)
    poses[:, :, 0].square().sum().backward()
    assert decoder.head.weight.grad.abs().amax(1).gt(0).tolist()[:3] == [True] * 3


@pytest.mark.parametrize("num_poses", [0, 2, -1])
def test_an_even_number_of_poses_has_no_centre(num_poses):
    with pytest.raises(ValueError, match=f"expected an odd number of hallucinated poses, got {num_poses}"):
        HallucinativePoseDecoder(8, num_poses)

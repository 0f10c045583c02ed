import math

import torch
from tests.oracles import slow_attention, slow_layer_norm, slow_linear

from dreampose3d.model.affinity import JointAffinity, SpatialRepresentationEncoder
from dreampose3d.model.blocks import Block
from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17

J = H36M_17.index


def encoder(**options):
    torch.manual_seed(0)
    options = {"affinity": True, "prompt": True} | options
    part = SpatialRepresentationEncoder(H36M_17, 8, 2, 2.0, **options).double()
    for parameter in part.parameters():
        parameter.data.normal_(std=0.4)
    return part


def test_affinity_is_symmetric_whatever_is_learned():
    for skeleton in (H36M_17, MPI_INF_3DHP_17):
        affinity = JointAffinity(skeleton)
        affinity.learned.data.normal_()
        A = affinity()
        assert A.shape == (skeleton.num_joints, skeleton.num_joints)
        assert torch.equal(A, A.T)


def test_local_affinity_is_the_tree_divided_by_degree_plus_one():
    local = JointAffinity(H36M_17).local
    assert torch.equal(local.diag(), torch.ones(len(local)))
    torch.testing.assert_close(local.sum(1), torch.full((len(local),), 2.0))
    degree = {"pelvis": 3, "right_knee": 2, "right_ankle": 1, "thorax": 4, "head": 1}
    for joint, parent in (("pelvis", "spine"), ("right_knee", "right_hip"), ("right_ankle", "right_knee"),
                          ("thorax", "neck"), ("head", "neck")):  # fmt: skip
        assert float(local[J(joint), J(parent)]) == torch.tensor(1 / degree[joint])
    assert float(local[J("pelvis"), J("thorax")]) == 0
    assert int((local != 0).sum()) == len(local) + 2 * len(H36M_17.bones)


def test_distant_joints_start_apart_and_can_be_learned():
    affinity = JointAffinity(H36M_17)
    torch.testing.assert_close(affinity()[J("left_wrist"), J("right_ankle")].detach(), torch.tensor(1e-6))
    affinity()[J("left_wrist"), J("right_ankle")].backward()
    learned = affinity.learned.grad
    assert float(learned[J("left_wrist"), J("right_ankle")]) == 0.5
    assert float(learned[J("right_ankle"), J("left_wrist")]) == 0.5


def test_sre_is_equations_4_and_5_joint_by_joint():
    """Z_S = MultiHead(LN C_t) + A C_t + W_e e, then Z_S + MLP(LN Z_S), in loops over numbers."""
    sre, tokens, pooled = encoder(), torch.randn(2, 3, 17, 8).double(), torch.randn(2, 8).double()
    one_sided = (sre.affinity.local + sre.affinity.learned).detach()
    out = sre(tokens, pooled)
    for b, f in ((0, 0), (1, 2)):
        C_t = tokens[b, f].tolist()
        normed = [slow_layer_norm(row, sre.norm_attention) for row in C_t]
        q, k, v = zip(*((row[:8], row[8:16], row[16:]) for row in (slow_linear(x, sre.attention.qkv) for x in normed)),
                      strict=True)  # fmt: skip
        told = slow_linear(pooled[b].tolist(), sre.from_prompt)
        for j in range(17):
            attended = slow_linear(slow_attention(q[j], k, v, num_heads=2), sre.attention.out)
            affine = [
                sum(float(one_sided[j, i] + one_sided[i, j]) / 2 * C_t[i][c] for i in range(17)) for c in range(8)
            ]
            z = [sum(parts) for parts in zip(attended, affine, told, strict=True)]
            hidden = slow_linear(slow_layer_norm(z, sre.norm_mlp), sre.mlp[0])
            hidden = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in hidden]
            expected = [x + y for x, y in zip(z, slow_linear(hidden, sre.mlp[2]), strict=True)]
            torch.testing.assert_close(out[b, f, j], torch.tensor(expected).double(), atol=1e-6, rtol=1e-6)


def test_without_affinity_and_prompt_it_is_a_plain_block():
    sre = encoder(affinity=False, prompt=False)
    block = Block(8, 2, 2.0).double()
    block.load_state_dict(sre.state_dict())
    tokens = torch.randn(1, 2, 17, 8).double()
    torch.testing.assert_close(sre(tokens, None), block(tokens), rtol=0, atol=0)
    torch.testing.assert_close(sre(tokens, torch.randn(1, 8).double()), block(tokens), rtol=0, atol=0)


def test_the_prompt_starts_silent():
    sre = SpatialRepresentationEncoder(H36M_17, 8, 2, 2.0, affinity=True, prompt=True)
    tokens = torch.randn(2, 3, 17, 8)
    torch.testing.assert_close(sre(tokens, torch.randn(2, 8)), sre(tokens, None), rtol=0, atol=0)
    sre.from_prompt.weight.data.normal_()
    assert not torch.allclose(sre(tokens, torch.randn(2, 8)), sre(tokens, None))


def test_frames_do_not_meet():
    sre, tokens = encoder(), torch.randn(1, 4, 17, 8).double()
    other = tokens.clone()
    other[:, 1] += 1
    changed = (sre(tokens, None) - sre(other, None)).abs().amax((0, 2, 3))
    assert (changed > 0).tolist() == [False, True, False, False]


def test_a_gated_affinity_begins_as_none_and_can_become_the_trees():
    plain, gated = JointAffinity(H36M_17), JointAffinity(H36M_17, gated=True)
    torch.testing.assert_close(gated().detach(), torch.eye(17), rtol=0, atol=2e-6)
    (gated() * plain.local).sum().backward()
    assert float(gated.gate.grad) > 0
    gated.gate.data.fill_(1)
    torch.testing.assert_close(gated(), plain())

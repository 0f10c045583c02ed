import math

import pytest
import torch

from dreampose3d.skeleton import H36M_17, MPI_INF_3DHP_17
from dreampose3d.training.loss import (
    action_loss,
    bone_loss,
    hallucination_loss,
    imagined_weights,
    total_loss,
    velocity_loss,
)


def poses(batch=2, frames=4, num_poses=3, seed=0, root=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, batch, frames, num_poses, 17, 3, generator=generator)
    pred, true = x - x[..., root, None, :]
    valid = torch.rand(batch, frames, num_poses, generator=generator) < 0.7
    return pred, true, valid


@pytest.mark.parametrize(("num_poses", "root"), [(1, 0), (3, 0), (5, 0), (3, 14)])
def test_hallucination_loss_is_equation_6(num_poses, root):
    """sum over k of 1 / (1 + |k|) times the mean |difference| over coordinates, valid frames and all but the root."""
    pred, true, valid = poses(num_poses=num_poses, root=root)
    expected = 0.0
    for m in range(num_poses):
        k, differences = m - num_poses // 2, []
        for b, f in zip(*torch.nonzero(valid[:, :, m], as_tuple=True), strict=True):
            for j in set(range(17)) - {root}:
                differences += [abs(float(pred[b, f, m, j, c] - true[b, f, m, j, c])) for c in range(3)]
        expected += sum(differences) / len(differences) / (1 + abs(k))
    loss = hallucination_loss(pred, true, valid, imagined_weights(num_poses), root)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_lambda_k():
    """An error of 1 m in every coordinate costs 1 + 2 (1/2) + 2 (1/3)."""
    true = torch.zeros(1, 2, 5, 17, 3)
    pred = torch.ones_like(true)
    valid = torch.ones(1, 2, 5, dtype=torch.bool)
    assert float(hallucination_loss(pred, true, valid, imagined_weights(5))) == pytest.approx(1 + 1 + 2 / 3)


def test_bone_loss_is_the_mean_difference_of_lengths():
    pred, true, valid = (x[:, :, 0] for x in poses())
    differences = []
    for b, f in zip(*torch.nonzero(valid, as_tuple=True), strict=True):
        for joint, parent in H36M_17.bones:
            ours, theirs = (math.dist(x[b, f, joint], x[b, f, parent]) for x in (pred, true))
            differences.append(abs(ours - theirs))
    expected = sum(differences) / len(differences)
    assert float(bone_loss(pred, true, valid, H36M_17)) == pytest.approx(expected, rel=1e-5)
    turned = true @ torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    assert float(bone_loss(turned, true, valid, H36M_17)) == pytest.approx(0, abs=1e-6)


def test_velocity_loss_is_the_mean_difference_of_steps():
    true = torch.randn(2, 5, 17, 3)
    moved = true + 3.0  # elsewhere, but moving alike
    everywhere = torch.ones(2, 5, dtype=torch.bool)
    assert float(velocity_loss(moved, true, everywhere)) == pytest.approx(0, abs=1e-6)
    faster = true.clone()
    faster[:, 2:, 4, 0] += 0.8  # one coordinate of one joint of 16, in one step of 4
    assert float(velocity_loss(faster, true, everywhere)) == pytest.approx(0.8 / (16 * 3 * 4))
    valid = everywhere.clone()
    valid[:, 2] = False  # the step lies between a frame that counts and one that does not
    assert float(velocity_loss(faster, true, valid)) == pytest.approx(0, abs=1e-6)
    assert float(velocity_loss(true[:, :1], true[:, :1], everywhere[:, :1])) == 0


def test_action_loss_is_the_cross_entropy_of_labelled_windows():
    logits, label = torch.randn(4, 3), torch.tensor([2, -1, 0, -1])
    expected = 0.0
    for b in (0, 2):
        row = logits[b].tolist()
        expected -= row[label[b]] - math.log(sum(math.exp(x) for x in row))
    assert float(action_loss(logits, label)) == pytest.approx(expected / 2, rel=1e-5)
    logits.requires_grad_()
    nothing = action_loss(logits, torch.full((4,), -1))
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert float(logits.grad.abs().max()) == 0


def test_what_is_masked_does_not_count():
    pred, true, valid = poses()
    losses = total_loss(pred, true, valid, None, torch.tensor([0, 1]), H36M_17, 0.01, 0.5)
    true[~valid] = 1e3
    again = total_loss(pred, true, valid, None, torch.tensor([0, 1]), H36M_17, 0.01, 0.5)
    for now, then in zip(again, losses, strict=True):
        torch.testing.assert_close(now, then)


def test_nothing_valid_costs_nothing():
    pred, true, valid = poses()
    losses = total_loss(
        pred, true, torch.zeros_like(valid), torch.randn(2, 3), torch.full((2,), -1), H36M_17, 0.01, 0.5
    )
    assert [float(x) for x in losses] == [0, 0, 0, 0, 0, 0]


def test_the_total_is_equation_7():
    """Bones of the centre pose alone; lambda_act and lambda_BL weigh."""
    pred, true, valid = poses()
    logits, label = torch.randn(2, 3), torch.tensor([1, -1])
    losses = total_loss(pred, true, valid, logits, label, H36M_17, 0.01, 0.5)
    assert losses.pose == hallucination_loss(pred, true, valid, imagined_weights(3))
    assert losses.bone == bone_loss(pred[:, :, 1], true[:, :, 1], valid[:, :, 1], H36M_17)
    assert losses.action == action_loss(logits, label)
    torch.testing.assert_close(losses.total, losses.pose + 0.01 * losses.action + 0.5 * losses.bone)
    without = total_loss(pred, true, valid, None, label, H36M_17, 0.01, 0.5)
    assert float(without.action) == 0
    no_pose = total_loss(pred, true, valid, logits, label, H36M_17, 0.01, 0.5, lambda_pose=0.0)
    torch.testing.assert_close(no_pose.total, 0.01 * losses.action + 0.5 * losses.bone)
    assert no_pose.pose == losses.pose
    steady = total_loss(pred, true, valid, logits, label, H36M_17, 0.01, 0.5, lambda_velocity=2.0)
    assert losses.velocity == velocity_loss(pred[:, :, 1], true[:, :, 1], valid[:, :, 1])
    torch.testing.assert_close(steady.total, losses.total + 2 * losses.velocity)


def test_the_total_knows_the_skeletons_root():
    """Nothing that a pelvis in the last third of the joints is off by may count, and all that joint 0 is."""
    pred, true, valid = poses(root=14)
    valid[:] = True
    base = total_loss(pred, true, valid, None, torch.tensor([0, 1]), MPI_INF_3DHP_17, 0.01, 0.0)
    for joint, counts in ((14, False), (0, True)):
        moved = pred.clone()
        moved[..., joint, :] += 10
        losses = total_loss(moved, true, valid, None, torch.tensor([0, 1]), MPI_INF_3DHP_17, 0.01, 0.0)
        assert (float(losses.pose) > float(base.pose) + 0.1) is counts

"""What training is shown: a sheet of stick figures, a row for each ingredient, and the checks that they are sound.

    python benchmarks/training_windows.py data/cmu                        # legal joints, bodies, depths, cost
    python benchmarks/training_windows.py data/cmu --sheet windows.png    # and the pictures

Look at the sheet after every change of the data engine: wrong data is learned without complaint.
"""

import time
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from tyro.conf import Positional

from dreampose3d.data.anatomy import illegal
from dreampose3d.data.augment import PoseAugmentation, as_recorded, augment_poses, trunk_frame
from dreampose3d.data.body import to_bones
from dreampose3d.data.cameras import film
from dreampose3d.data.mocap import read_mocap
from dreampose3d.data.windows import MILLIMETRES, MotionBank, make_batch
from dreampose3d.figures.style import QUIET, SIDES
from dreampose3d.skeleton import H36M_17
from dreampose3d.training.config import TrainConfig
from dreampose3d.training.recipes import mocap_wild

FPS, FRAMES, SHOWN = 40.0, 41, (0, 20, 40)
PLAIN = as_recorded()
CHANGED = PoseAugmentation(bone_scale=0, body_scale=0, hip_scale=0, lean=0, topple=0, mirror=0)
ROWS = {
    "recorded": PLAIN,
    "limbs exchanged": replace(PLAIN, exchange_arms=1, exchange_legs=1),
    "parts tilted": replace(PLAIN, tilt_limbs=1),
    "tilted twice as far,\ndrawn back": replace(PLAIN, tilt_limbs=1, tilt_degrees=36, legal=1),
    "leaning, lying": replace(PLAIN, lean=1, topple=0.3),
    "bones varied": replace(PLAIN, bone_scale=0.08, body_scale=0.04, hip_scale=0.15),
    "other people": replace(PLAIN, people=1, children=0.4),
    "invented": replace(PLAIN, invented=1),
}
COLUMNS = 8


def main(data: Positional[Path], sheet: Path | None = None, seed: int = 0) -> None:
    """Check, and draw.

    Args:
        data: A canonical set folder; its split train is used.
        sheet: Where to draw the pictures.
        seed: Of everything drawn.
    """
    torch.set_num_threads(1)
    bank = MotionBank([clip for clip in read_mocap(data) if clip.split == "train"], ())
    recipe = mocap_wild()
    print_legal(bank, seed)
    print_bodies(bank, recipe, seed)
    print_cost(bank, recipe, seed)
    if sheet is not None:
        draw(bank, recipe, sheet, seed)


def print_legal(bank: MotionBank, seed: int, windows: int = 600) -> None:
    """The share of frames with a joint more than 5 degrees outside of its range."""
    generator = torch.Generator().manual_seed(seed)
    world, _, _ = bank.windows(27, torch.full((windows,), FPS), generator)
    for name, config in {"recorded": PLAIN, "changed": CHANGED, "drawn back": replace(CHANGED, legal=1)}.items():
        made = augment_poses(world, torch.Generator().manual_seed(seed), config, FPS)
        wrong = illegal(to_bones(made, H36M_17))
        print(f"{name}: {100 * wrong.any(-1).float().mean():.2f} % of frames leave the ranges, by joint: ", end="")
        joints = {H36M_17.joints[j]: 100 * float(wrong[..., j].float().mean()) for j in range(H36M_17.num_joints)}
        print(", ".join(f"{joint} {share:.2f}" for joint, share in joints.items() if share) or "none", end="; ")
        print(f"mean acceleration {made.diff(dim=1, n=2).norm(dim=-1).mean() * FPS**2 / 1000:.1f} m/s2")


def print_bodies(bank: MotionBank, recipe: TrainConfig, seed: int, batches: int = 12) -> None:
    """Bone lengths, depths, and what is missing, of the recipe's windows."""
    generator = torch.Generator().manual_seed(seed)
    made = [make_batch(bank, 64, 27, 1, recipe.windows, generator) for _ in range(batches)]
    assert all(part.isfinite().all() for batch in made for part in batch)
    target = MILLIMETRES * torch.cat([batch.target[:, 0, 0] for batch in made])
    lengths = to_bones(target, H36M_17).norm(dim=-1)
    observed = torch.cat([batch.observed for batch in made])
    print(f"{len(target)} windows, all finite. 1, 50 and 99 %:")
    for name in ("left_hip", "left_knee", "left_ankle", "thorax", "head", "left_shoulder", "left_elbow", "left_wrist"):
        print(f"  {name}: {_spread(lengths[:, H36M_17.index(name)])} mm")
    size = torch.cat([batch.view[:, 0] for batch in made]).exp()
    print(f"  size in the image: {_spread(torch.rad2deg(size.atan()), 1)} degrees (RMS distance from the root)")
    print(f"  missing joints: {100 * (observed[..., 2] == 0).float().mean():.1f} %, padding counted")
    world, _, _ = bank.windows(2, torch.full((2000,), FPS), generator)
    seen = film(augment_poses(world, generator, recipe.windows.pose), generator, recipe.windows.cameras)
    print(f"  distance: {_spread(seen[:, 0, H36M_17.root].norm(dim=-1) / 1000, 1)} m")


def _spread(values: Float[Tensor, " B"], digits: int = 0) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values.quantile(values.new_tensor((0.01, 0.5, 0.99))).tolist())


def print_cost(bank: MotionBank, recipe: TrainConfig, seed: int) -> None:
    """CPU time of a batch, one thread, the median of 15; of the whole and without each ingredient of the poses."""
    phase = recipe.phases[0]

    def cost(windows: object) -> float:
        generator, times = torch.Generator().manual_seed(seed), []
        for _ in range(15):
            begun = time.process_time()
            make_batch(bank, phase.batch, phase.frames, 3, windows, generator)  # type: ignore[arg-type]
            times.append(time.process_time() - begun)
        return 1000 * sorted(times)[7]

    print(f"a batch of {phase.batch} windows of {phase.frames} frames: {cost(recipe.windows):.0f} ms; ", end="")
    less = replace(recipe.windows, pose=PLAIN)
    print(f"{cost(less):.0f} ms with poses as recorded")


def draw(bank: MotionBank, recipe: TrainConfig, sheet: Path, seed: int) -> None:
    """A row for each ingredient of the poses, on the same recordings; two of finished 2D windows."""
    generator = torch.Generator().manual_seed(seed)
    world, _, _ = bank.windows(FRAMES, torch.full((COLUMNS,), FPS), generator)
    figure = Figure(figsize=(1.3 * COLUMNS, 1.25 * (len(ROWS) + 2)))
    axes = figure.subplots(len(ROWS) + 2, COLUMNS)
    for (name, config), row in zip(ROWS.items(), axes, strict=False):
        row[0].set_ylabel(name, fontsize=8)
        made = augment_poses(world, torch.Generator().manual_seed(seed), config, FPS)
        for pose, axis in zip(made, row, strict=True):
            for number, frame in enumerate(SHOWN):
                _draw_pose(axis, _from_the_side(pose - pose[:, :1])[frame] + torch.tensor([900.0 * number, 0]))
    for row in axes[len(ROWS) :]:
        row[0].set_ylabel("finished: 2D input", fontsize=8)
        batch = make_batch(bank, COLUMNS, FRAMES, 1, replace(recipe.windows, short=0), generator)
        for observed, axis in zip(batch.observed, row, strict=True):
            for frame, strength in zip(SHOWN, (0.3, 1.0, 0.5), strict=True):
                _draw_pose(axis, observed[frame, :, :2] * torch.tensor([1, -1]), observed[frame, :, 2] > 0, strength)
    for axis in axes.flat:
        axis.set_aspect("equal", adjustable="datalim")
        axis.set(xticks=(), yticks=())
    figure.tight_layout(pad=0.3)
    figure.savefig(sheet, dpi=110)


def _from_the_side(pose: Float[Tensor, "N J 3"]) -> Float[Tensor, "N J 2"]:
    """Seen obliquely from the front, as the first frame faces, upright."""
    forward = trunk_frame(pose, "hip", H36M_17)[0, :2, 2]
    heading = torch.atan2(forward[1], forward[0]) + 0.6
    right = torch.stack((-heading.sin(), heading.cos(), torch.zeros(())))
    return torch.stack((pose @ right, pose[..., 2]), -1)


def _draw_pose(axis: object, points: Float[Tensor, "J 2"], seen: Tensor | None = None, strength: float = 1.0) -> None:
    for joint, parent in H36M_17.bones:
        if seen is None or (seen[joint] and seen[parent]):
            side = H36M_17.joints[joint].partition("_")[0]
            x, y = points[[parent, joint]].T.tolist()
            axis.plot(x, y, color=SIDES.get(side, QUIET), alpha=strength, lw=1.1)  # type: ignore[attr-defined]


if __name__ == "__main__":
    tyro.cli(main)

"""The recipes by name: the weights that ship, and the paper's four trainings. What a recipe sets, an option overrides.

What the paper states is in all of its recipes: N, batch 4, AdamW at 1e-5 with weight decay 1e-4, 100 epochs, n = 1
for the first quarter and then n = 3 weighted 1 / (1 + |k|), L_act and L_BL, each clip plain and mirrored, T = 1000
with a cosine schedule, and a sampler like D3DP's (eta 1, clamp 1.1: `evaluate --eta 1 --clamp 1.1 --span 1`).

Ours where it is silent, D3DP's where that is known: learning rate x 0.993 an epoch and noisy poses clipped at 1.1 m
(both D3DP); lambda_act 0.01, lambda_BL 0.5, a tenth of the windows at t = T - 1, gradients clipped to norm 1, no
decay of biases, gains and embeddings, padding masked instead of counted, and weights that are the last average (EMA
0.999) or, with `--hold-out SUBJECT`, the average that did best on that training subject. Peers choose theirs on the
test subjects.

Cost, an estimate: a window of 243 is 153 GMAC forward (`dreampose3d info`; 3.3 of them the prompt), a step about
three times that for each of 4 windows, so 3.7 TFLOP; a window of 81 is 51 GMAC, a step 1.2 TFLOP. Hours = steps x
TFLOP / (sustained TFLOP/s x 3600). Two CPU cores sustain about 0.1 TFLOP/s when idle (here, shared with other work, a
sixth of it was measured: 55 s for one window of 243); for one A6000 15 TFLOP/s are assumed, 40 % of its fp32 peak,
and not measured. The paper itself took about two days on three of them.
"""

from collections.abc import Callable
from pathlib import Path

from dreampose3d.data.augment import PoseAugmentation
from dreampose3d.data.cameras import wild_cameras
from dreampose3d.data.noise import DetectorNoise, blazepose_noise
from dreampose3d.data.windows import WindowConfig
from dreampose3d.training.config import BenchmarkConfig, Phase, RunConfig, TrainConfig


def mocap() -> TrainConfig:
    """Train on motion capture seen by virtual cameras, or go on with a run: how the weights that ship were made.

    Figures and time: RESULTS.md and MODEL_CARD.md.
    """
    return TrainConfig()


def mocap_release() -> TrainConfig:
    """Go on from trained weights to steadier ones: the second stage of their denoiser.

    Longer windows, a velocity loss, and noise with a bias that lasts, as a real detector's does. Figures and time:
    RESULTS.md and MODEL_CARD.md. Name the weights to begin with by --init.
    """
    return TrainConfig(
        out=Path("runs/release"),
        steps=4200,
        seed=1,
        single_pose=0.0,
        learning_rate=1e-3,
        lambda_velocity=5.0,
        phases=(Phase(0.25, 27, 32, prompt=0.5), Phase(0.75, 81, 12)),
        windows=WindowConfig(noise=DetectorNoise(jitter=0.012, drift=0.03, bias=0.027)),
    )


def mocap_wild() -> TrainConfig:
    """Go on towards people, cameras and detectors of all kinds: the last stages of the weights that ship.

    Bodies of men, women and children, legal limbs, some invented motion, cameras from selfies to tele lenses, and the
    errors and joints of real detectors (docs/data-engine.md). Name the weights to begin with by --init.
    """
    return TrainConfig(
        out=Path("runs/wild"),
        steps=4800,
        seed=2,
        single_pose=0.0,
        learning_rate=7e-4,
        lambda_velocity=5.0,
        own_guess=0.5,
        phases=(Phase(0.3, 27, 32, prompt=0.5, denoise=0.5), Phase(0.7, 81, 12, denoise=0.5)),
        windows=WindowConfig(
            conventions=(0.4, 0.4, 0.12, 0.08),
            exact=0.3,
            max_level=1.3,
            pose=PoseAugmentation(people=0.35, children=0.06, legal=1.0, invented=0.06),
            cameras=wild_cameras(),
            noise=blazepose_noise(),
        ),
    )


def paper_h36m_cpn() -> BenchmarkConfig:
    """Train on Human3.6M with CPN's 2D, as the paper's main table: S1, S5, S6, S7, S8, four cameras, N = 243.

    Published on S9 and S11, mean of 15 actions: MPJPE 29.5, P-MPJPE 23.4 mm, to be read as J-Best (an oracle) of H =
    20, K = 10. Relatives lie near 40 mm at H = 1, K = 1 and near 39.5 when hypotheses are averaged: expect that.

    About 6,700 clips, 3,350 steps an epoch, 335,000 in all, 1.2 million TFLOP. Estimated: 23 hours on one A6000, 5
    months on two idle CPU cores.
    """
    return BenchmarkConfig(keypoints="cpn_ft_h36m_dbb")


def paper_h36m_gt() -> BenchmarkConfig:
    """Train on Human3.6M with exact 2D: as paper-h36m-cpn but for its input.

    Published: MPJPE 15.9, P-MPJPE 12.2 mm, to be read as J-Best (an oracle) of H = 20, K = 10. Relatives lie at 19 to
    22 mm at H = 1, K = 1: expect that. Rows of the "2.5D protocol" (MotionBERT and its family) are not comparable.

    Cost as paper-h36m-cpn.
    """
    return BenchmarkConfig(keypoints="gt")


def paper_3dhp() -> BenchmarkConfig:
    """Train on MPI-INF-3DHP with exact 2D: eight subjects, eight cameras, N = 81, its own 17 joints (root: pelvis, 14).

    Published on TS1-TS6: PCK 99.1, AUC 84.5, MPJPE 18.9 mm; by the row beside it protocol A (univ_annot3),
    aggregation not stated. `--scale annot3` trains for protocol B, whose published numbers are others'.

    The training files have no activities, so L_act has nothing to learn from; intents are read zero-shot.

    A step an epoch for each 162 frames: a million frames (all cameras counted) are 6,200 steps an epoch, 620,000 in
    all, 0.76 million TFLOP. Estimated: 14 hours on one A6000, 3 months on two idle CPU cores.
    """
    return BenchmarkConfig(dataset="3dhp", scale="univ", frames=81, vocabulary="3dhp")


def paper_mlb() -> BenchmarkConfig:
    """Train on pitches: 2D and 3D at 30 frames/s, N = 243; a clip shorter than that is padded and masked.

    Published on MLBPitchDB, which is not public: MPJPE 21.8 mm with exact 2D, 53.5 mm with ViTPose's; aggregation not
    stated. Nobody else can have these numbers: use the recipe on captures of your own, in the format of
    docs/custom-data.md.

    The paper's set has 150 pitches of 200 frames: 75 steps an epoch, 7,500 in all, 28,000 TFLOP. Estimated: half an
    hour on one A6000, 3 days on two idle CPU cores.
    """
    return BenchmarkConfig(dataset="mlb", vocabulary="pitching", validate_every=500, save_every=250)


RECIPES: dict[str, Callable[[], RunConfig]] = {
    "mocap": mocap,
    "mocap-release": mocap_release,
    "mocap-wild": mocap_wild,
    "paper-h36m-cpn": paper_h36m_cpn,
    "paper-h36m-gt": paper_h36m_gt,
    "paper-3dhp": paper_3dhp,
    "paper-mlb": paper_mlb,
}

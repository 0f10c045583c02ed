"""Training on a benchmark's clips: whole epochs, held-out subjects that choose, exact resumption, CLIP."""

import csv
import os
import signal
import sys
from dataclasses import replace

import pytest
import torch
from tests.data.test_clips import sequence

from dreampose3d.commands.train import PRESETS
from dreampose3d.model.text import CLIPTower, Words
from dreampose3d.model.weights import load_weights
from dreampose3d.training import feed as feeding
from dreampose3d.training import start as starting
from dreampose3d.training import trainer as module
from dreampose3d.training.config import BenchmarkConfig, Phase, TrainConfig
from dreampose3d.training.feed import ClipFeed, read_benchmark
from dreampose3d.training.recipes import RECIPES
from dreampose3d.training.trainer import Run, train

PEOPLE = [
    sequence(20, seed=0, subject="S1"),
    sequence(13, seed=1, subject="S8", action="Sitting"),
    sequence(5, seed=2, subject="S1", action="Nothing"),
]
"""With N = 9: 3, 2 and 1 clips."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """The people above as the data set; no TensorBoard, no waiting for the disk."""
    monkeypatch.setattr(feeding, "read_benchmark", lambda _: iter(PEOPLE))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def config(tmp_path):
    """Two epochs of three batches, HPD's second stage from the third step on."""
    return BenchmarkConfig(
        data=(tmp_path,), out=tmp_path / "run", model="tiny", frames=9, epochs=2, device="cpu", threads=1,
        learning_rate=1e-3, single_pose=0.3, validate_every=2, save_every=100,
    )  # fmt: skip


def quiet(_):
    """Reports go nowhere."""


def rows(config):
    with (config.out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(config):
    return load_weights(config.out / "weights.safetensors")


def test_an_epoch_shows_every_clip_twice(config):
    feed = ClipFeed(config, ["Walking", "Sitting"])
    assert (feed.frames, feed.steps_per_epoch, feed.steps) == (38, 3, 6)
    phase, generator = config.phases[0], torch.Generator()
    epochs = [[feed.batch(phase, 3 * e + place, 3, generator) for place in range(3)] for e in range(2)]
    for batches in epochs:
        assert [len(batch.label) for batch in batches] == [4, 4, 4]
        sides = torch.cat([batch.observed for batch in batches])
        assert len({side.numpy().tobytes() for side in sides}) == 12, "six clips, plain and mirrored"
        assert sorted(torch.cat([batch.label for batch in batches]).tolist()) == 2 * [-1] + 6 * [0] + 4 * [1]
    assert not torch.equal(epochs[0][0].observed, epochs[1][0].observed), "in another order"
    again = feed.batch(phase, 4, 3, torch.Generator().manual_seed(9))
    assert torch.equal(again.observed, epochs[1][1].observed), "the order is of (seed, epoch) alone"


def test_the_last_batch_of_an_epoch_may_be_short(config):
    config = replace(config, batch=5)
    feed = ClipFeed(config, [])
    sizes = [len(feed.batch(config.phases[0], step, 1, torch.Generator()).label) for step in range(4)]
    assert sizes == [5, 5, 2, 5]


def test_held_out_subjects_are_watched_not_trained_on(config):
    everyone, without = ClipFeed(config, []), ClipFeed(replace(config, hold_out=("S8",)), [])
    assert (everyone.frames, without.frames) == (38, 25)
    assert not list(everyone.watched(torch.Generator()))
    (watched,) = without.watched(torch.Generator())
    assert watched.valid.sum() == 13
    assert watched.target.shape[2] == 1
    assert "the last average (EMA), of all training subjects; no test subject" in everyone.choice
    assert "best on S8, held out of training; no test subject is looked at" in without.choice
    with pytest.raises(ValueError, match="no training subject S9 to hold out; there are S1, S8"):
        ClipFeed(replace(config, hold_out=("S9", "S1")), [])


def test_a_run_takes_its_epochs_and_says_who_chooses(config):
    said = []
    train(config, said.append)
    assert "6 steps, 38 frames" in said[0]
    assert said[1] == "the weights are the last average (EMA), of all training subjects; no test subject is looked at"
    assert len(rows(config)) == 6
    assert {row["val_mpjpe_mm"] for row in rows(config)} == {""}
    card = weights(config).card
    assert card["data"] == ["h36m"]
    assert card["step"] == 6
    rates = [float(row["learning_rate"]) for row in rows(config)]
    assert rates == pytest.approx(2 * [1e-3] + 3 * [1e-3 * 0.993] + [1e-3 * 0.993**2])


def test_the_weights_are_those_that_the_held_out_subject_prefers(config, monkeypatch):
    """Errors of 5, 3 and 4 mm at steps 2, 4 and 6: the average of step 4, also after an interruption at step 5."""
    config = replace(config, hold_out=("S8",), epochs=3)
    errors, averages = {2: 5.0, 4: 3.0, 6: 4.0}, {}

    def validate(run, own=Run.validate):
        averages[run.step] = {name: value.clone() for name, value in run.ema.items()}
        monkeypatch.setattr(
            module, "measure", lambda *_: {"val_mpjpe_mm": errors[run.step], "val_p_mpjpe_mm": 1.0, "val_intent": 0.0}
        )
        return own(run)

    monkeypatch.setattr(Run, "validate", validate)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", stop_at(4, Run.train_step))
        train(config, quiet)
    said = []
    train(config, said.append)
    assert said[-1] == "the weights are the average of step 4: 3.0 mm on whom was held out"
    found = weights(config)
    assert found.card["step"] == 4
    for name, parameter in found.model.named_parameters():
        if name in averages[4]:
            torch.testing.assert_close(parameter.detach(), averages[4][name].half().float(), rtol=0, atol=0)


def stop_at(step, run_step):
    """As `Run.train_step`, but Ctrl-C is pressed in the middle of that step."""

    def train_step(self, phase=None):
        losses = run_step(self, phase)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return losses

    return train_step


@pytest.mark.parametrize("step", [1, 3])
def test_a_run_goes_on_in_mid_epoch_to_the_last_bit(config, monkeypatch, step):
    config = replace(config, hold_out=("S8",), epochs=3, at_pure_noise=0.5)
    whole = replace(config, out=config.out.with_name("whole"))
    train(whole, quiet)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", stop_at(step, Run.train_step))
        train(config, quiet)
    assert len(rows(config)) == step + 1
    train(config, quiet)
    assert rows(config) == rows(whole)
    once = weights(whole).model.state_dict()
    assert all(torch.equal(value, once[name]) for name, value in weights(config).model.state_dict().items())


def test_other_epochs_are_another_run(config):
    train(config, quiet)
    with pytest.raises(ValueError, match="holds another run, which differs in steps, epochs"):
        train(replace(config, epochs=3), quiet)


def test_the_model_is_the_benchmarks(config):
    ours = config.architecture()
    assert (ours.camera, ours.frames, ours.skeleton) == ("screen", 9, "h36m_17")
    assert replace(config, dataset="3dhp").architecture().skeleton == "mpi_inf_3dhp_17"
    assert "SittingDown" in ours.labels
    paper = BenchmarkConfig().architecture()
    assert (paper.width, paper.depth, paper.frames, paper.tower.kind, paper.shrink_noise) == (
        512,
        8,
        243,
        "clip",
        False,
    )


def test_the_papers_model_needs_a_clip(config, monkeypatch):
    with pytest.raises(ValueError, match="prompt to CLIP, whose weights you bring: --clip FOLDER"):
        train(replace(config, model="paper"), quiet)
    asked = []

    def from_pretrained(path_or_repo, revision):
        asked.append((path_or_repo, revision))
        tower = CLIPTower(24, 2, 3, 48, 16, "gelu")
        tower.words = Words(lambda text: [0, *(1 + len(word) for word in text.split()), 1], torch.randn(40, 24))
        return tower

    monkeypatch.setattr(starting.CLIPTower, "from_pretrained", from_pretrained)
    config = replace(config, clip="clips/tiny", clip_revision="0123", epochs=1)
    train(config, quiet)
    assert asked == [("clips/tiny", "0123")]
    found = weights(config).model
    assert found.config.tower.pooled_width == 16
    assert found.prompt.vocabulary.shape == (15, 16)
    assert found.prompt.vocabulary.std(0).min() > 1e-3, "features of the phrases"


def test_what_the_network_sees_is_clipped(config, monkeypatch):
    seen = []
    run = Run.start(replace(config, clamp=0.2), quiet)
    run.model.denoiser.register_forward_pre_hook(lambda _, inputs: seen.append(float(inputs[0].abs().max())))
    run.train_step()
    assert max(seen) <= 0.2


def test_falloff_supervises_neighbours_in_a_share_of_the_steps(config, monkeypatch):
    """Weights of 0 or 1, never 0 for the centre, and lambda_k in the mean."""
    drawn = []
    run = Run.start(replace(config, falloff=True, num_poses=5, single_pose=0.0), quiet)
    total = module.Losses(*6 * [torch.zeros((), requires_grad=True)])
    monkeypatch.setattr(module, "total_loss", lambda *given: drawn.append(given[-1]) or total)
    monkeypatch.setattr(run.model, "hallucinate", lambda *_: torch.zeros(1))
    batch = run.feed.batch(config.phases[0], 0, 5, torch.Generator())
    for seed in range(600):
        run.loss(batch, 0.0, torch.Generator().manual_seed(seed))
    weight = torch.stack(drawn)
    assert set(weight.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(weight.mean(0), torch.tensor([1 / 3, 1 / 2, 1, 1 / 2, 1 / 3]), atol=0.06, rtol=0)


def test_shared_denoisers_train(config):
    train(replace(config, imagine="denoisers", epochs=1), quiet)
    model = weights(config).model
    assert float(model.neighbours.detach()[[0, 2]].abs().max()) > 0
    assert float(model.neighbours.detach()[1].abs().max()) == 0, "the centre is told nothing"


def test_a_gpu_that_is_not_there_is_told(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no cuda device that torch can use; train with --device cpu"):
        train(replace(config, device="cuda"), quiet)
    assert Run.start(replace(config, device="auto"), quiet).device.type == "cpu"


def test_no_data_is_told(config):
    with pytest.raises(ValueError, match="nothing to train on: name the folder of the data set's files with --data"):
        list(read_benchmark(replace(config, data=())))
    with pytest.raises(ValueError, match="at least 1 epoch, 1 frame and 1 window in a batch, got 0, 9 and 4"):
        replace(config, epochs=0)


def test_the_recipes_are_the_papers():
    """What the paper states, and the default as it was."""
    assert tuple(RECIPES) == PRESETS
    assert RECIPES["mocap"]() == TrainConfig()
    papers = [name for name in PRESETS if name.startswith("paper")]
    for name in papers:
        config = RECIPES[name]()
        assert (config.batch, config.epochs, config.learning_rate, config.weight_decay) == (4, 100, 1e-5, 1e-4)
        assert (config.optimizer, config.num_poses, config.single_pose, config.model) == ("adamw", 3, 0.25, "paper")
        assert config.phases == (Phase(1.0, 81 if name == "paper-3dhp" else 243, 4),)
        assert config.hold_out == ()
    assert RECIPES["paper-h36m-cpn"]().keypoints == "cpn_ft_h36m_dbb"
    assert [RECIPES[name]().dataset for name in papers] == ["h36m", "h36m", "3dhp", "mlb"]
    quarter = replace(RECIPES["paper-h36m-gt"](), steps=335_000)
    assert quarter.rate_at(0) == 1e-5
    assert quarter.rate_at(3350 * 50) == pytest.approx(1e-5 * 0.993**50)

"""`dreampose3d lift` on files of other tools: what they do not say is asked for, and everyone gets files of his own."""

import numpy as np
import pytest
import torch
from tests.lifting.readers import laid_out as tool
from tests.lifting.readers.laid_out import BODY25, COCO, FRAMES

from dreampose3d.cli import main
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import save_weights
from dreampose3d.skeleton import COCO_17

FILES = {
    "openpose": lambda folder: tool.write_openpose(folder / "clip", BODY25),
    "sleap": lambda folder: tool.write_sleap(folder / "clip.analysis.h5", COCO, COCO_17.joints),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(build(tiny()), path, {})
    return path


@pytest.fixture
def lift(weights, tmp_path):
    """Run the command; its exit status, and the names of what it wrote."""

    def lift(path, *options):
        out = tmp_path / "out"
        told = [*["--hypotheses", "1", "--steps", "1", "--no-overlay"], "--weights", str(weights), "--out", str(out)]
        status = main(["lift", str(path), *told, *options])
        return status, sorted(file.name for file in out.glob("*"))

    return lift


@pytest.mark.parametrize("name", FILES)
def test_everyone_in_a_file_is_lifted(tmp_path, lift, name):
    path = FILES[name](tmp_path)
    status, written = lift(path, "--fps", "25", "--size", "1280x720", "--person", "all")
    stem = path.stem
    people = [f"{stem}_person{p:02d}.{kind}" for p in (0, 1) for kind in ("json", "pose3d.npz")]
    assert (status, written) == (0, sorted([f"{stem}.html", *people]))
    with np.load(tmp_path / "out" / f"{stem}_person01.pose3d.npz") as motion:
        assert motion["joints_mm"].shape[0] == FRAMES


def test_what_the_file_does_not_say_is_asked_for_and_nothing_is_written(tmp_path, lift, capsys):
    path = FILES["openpose"](tmp_path)
    for options, message in (
        (("--size", "1280x720"), "the file does not say its fps; give it with --fps F"),
        (("--fps", "25"), "the file does not say its size; give it with --size WxH"),
        (("--fps", "25", "--size", "1280x720"), "expected one person, got 2; choose with --person N, largest or all"),
        (("--fps", "25", "--size", "1280x720", "--person", "2"), "there is no person 2; the clip shows 2"),
    ):
        assert lift(path, *options) == (2, [])
        assert message in capsys.readouterr().err

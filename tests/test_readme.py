"""The documents say what works: their Python runs, their commands parse, their links lead somewhere."""

import functools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro

from dreampose3d.camera import Camera
from dreampose3d.cli import COMMANDS
from dreampose3d.commands.train import parsed
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import save_weights
from dreampose3d.skeleton import H36M_17

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(program):
    """The arguments of every line in the documents' shell blocks that runs a program."""
    found = []
    for document in DOCUMENTS:
        for line in "".join(blocks("bash", document.read_text())).replace("\\\n", "").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == [program]:
                found.append(pytest.param(words[1:], id=f"{document.name}: {line}"[:90]))
    return found


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """With untrained weights in place of those that ship: what runs is tested here, how well it lifts elsewhere."""
    save_weights(build(tiny()), tmp_path / "tiny.safetensors", {})
    joints = torch.from_numpy(np.random.default_rng(0).normal((0, 0, 4000), 300, (5, H36M_17.num_joints, 3)))
    pixels = Camera.from_focal((640, 480), 600).project(joints).numpy()
    np.savez(tmp_path / "walk.npz", keypoints_px=pixels, fps=25.0, size=(640, 480), skeleton="h36m_17")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("python", (ROOT / "README.md").read_text()))
    assert '"small"' in code
    exec(compile(code.replace('"small"', '"tiny.safetensors"'), "README.md", "exec"), {})
    assert f"(5, {H36M_17.num_joints}, 3)" in capsys.readouterr().out
    assert (tmp_path / "out" / "walk.html").is_file()


@pytest.mark.parametrize("words", commands("dreampose3d"))
def test_every_command_parses(words):
    name, *options = words
    if name == "train":
        parsed(options)
        return

    @functools.wraps(COMMANDS[name])  # the same options, but nothing happens
    def nothing(*_, **__):
        return None

    tyro.cli(nothing, args=options)


@pytest.mark.parametrize("words", commands("make"))
def test_every_make_target_is_there(words):
    targets = {word for word in words if "=" not in word}
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets <= set(phony[1].split())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document):
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if not link.startswith("http"):
            assert (document.parent / link).exists(), link


def test_the_documents_name_files_that_exist():
    text = "\n".join(path.read_text() for path in (ROOT / "README.md", ROOT / "docs" / "method.md"))
    for path in set(re.findall(r"`((?:model|data|training|lifting|export|viewer)/\w+\.\w+)`", text)):
        assert (ROOT / "src" / "dreampose3d" / path).exists(), path

import hashlib
import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from dreampose3d.model import weights as module
from dreampose3d.model.dreampose import build, tiny
from dreampose3d.model.weights import load_weights, save_weights, shipped

CARD = {"data": ["cmu"], "spread": {"scale": [1.5]}}


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = build(replace(tiny(), labels=("walking", "running"), phrases=("walking", "running fast")))
    model.prompt.vocabulary.normal_()
    return model


@pytest.fixture
def file(model, tmp_path):
    save_weights(model, tmp_path / "model.safetensors", CARD)
    return tmp_path / "model.safetensors"


def test_weights_come_back_in_half_precision(model, file):
    """Every weight and buffer as half precision rounds it; tower and vocabulary included, words left out."""
    found = load_weights(file)
    assert found.card == CARD
    assert found.model.config == model.config
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert save_weights(model, file, CARD) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not found.model.training
    ours, theirs = model.state_dict(), found.model.state_dict()
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert torch.equal(theirs[name], value.half().float()), name
    assert {"prompt.vocabulary", "prompt.tower.layers.0.qkv.weight"} < set(ours)
    assert set(load_file(file)) == set(ours)
    assert {value.dtype for value in load_file(file).values()} == {torch.float16}


def test_nothing_is_unpickled(file, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a pickle was loaded")

    for where, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(where, name, refuse)
    assert load_weights(file).name == str(file)


def test_a_pickle_is_no_weights_file(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt is not a weights file that can be read .* it may be damaged"):
        load_weights(tmp_path / "model.pt")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_truncated_file_is_told(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a weights file that can be read"):
        load_weights(file)


def test_foreign_safetensors_are_told(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors is a safetensors file, but not weights of dreampose3d"):
        load_weights(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda tensors, config: tensors.pop("denoiser.joint"), r"Missing key.*denoiser\.joint"),
        (lambda tensors, config: tensors.update(wings=torch.zeros(2)), r"Unexpected key.*wings"),
        (lambda tensors, config: tensors.update({"denoiser.joint": torch.zeros(2, 2)}), r"size mismatch.*joint"),
        (lambda tensors, config: config.update(wings=2), "a newer version may have written it"),
        (lambda tensors, config: config.update(width=15), "2 heads do not divide a width of 15"),
    ],
)
def test_a_file_that_contradicts_itself_is_told(file, model, spoil, match):
    tensors, config = load_file(file), model.config.to_dict()
    spoil(tensors, config)
    save_file(tensors, file, {"dreampose3d-weights-2": json.dumps({"config": config, "card": {}})})
    with pytest.raises(ValueError, match=f"(?s)does not fit its own configuration: .*{match}"):
        load_weights(file)


def test_equal_weights_are_equal_files(file, model, tmp_path):
    card = {key: key for key in "abcdefgh"}
    assert save_weights(model, tmp_path / "one", card) == save_weights(model, tmp_path / "two", card)


def test_shipped_weights_are_checked_by_their_hash(file, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_home", lambda: tmp_path)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "weights.json").write_text(json.dumps({"model": sha256}))
    assert load_weights("model").sha256 == sha256
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: its SHA-256 is .*install dreampose3d again"):
        load_weights("model")
    file.unlink()
    with pytest.raises(FileNotFoundError, match="no weights 'model': expected a file, or one of model"):
        load_weights("model")


def test_unknown_weights_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights 'huge': expected a file, or one of"):
        load_weights("huge")
    with pytest.raises(FileNotFoundError, match="no weights"):
        load_weights(tmp_path)


def test_the_weights_that_ship_are_there_and_whole():
    for name, sha256 in shipped().items():
        assert load_weights(name).sha256 == sha256

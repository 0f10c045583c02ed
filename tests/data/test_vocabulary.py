import json

import pytest

from dreampose3d.data.vocabulary import PACKAGED, Vocabulary, load_vocabulary


def test_the_packages_vocabulary():
    vocabulary = load_vocabulary()
    assert "walking" in vocabulary.training
    assert vocabulary.phrases["turning-navigating"] == "turning around while walking"


@pytest.mark.parametrize(("name", "labels"), [("mocap", 25), ("h36m", 15), ("3dhp", 7), ("pitching", 9)])
def test_every_packaged_vocabulary_can_tell_its_labels_apart(name, labels):
    assert set(PACKAGED) == {"mocap", "h36m", "3dhp", "pitching"}
    vocabulary = load_vocabulary(name)
    assert len(vocabulary.training) == labels
    assert vocabulary.training_phrases == [vocabulary.phrases[label] for label in vocabulary.training]
    assert "other" not in vocabulary.phrases
    assert len(set(vocabulary.phrases.values())) == len(vocabulary.phrases), "two labels of one phrase cannot be told"
    assert not [phrase for phrase in vocabulary.phrases.values() if phrase.startswith("a person") or not phrase.strip()]


def test_a_vocabulary_is_a_file(tmp_path):
    content = {"training": ["b", "a"], "phrases": {"a": "ambling", "b": "bowing", "c": "cycling"}}
    (tmp_path / "words.json").write_text(json.dumps(content))
    vocabulary = load_vocabulary(tmp_path / "words.json")
    assert vocabulary == Vocabulary(("b", "a"), content["phrases"])
    assert vocabulary.training_phrases == ["bowing", "ambling"]


def test_an_unknown_vocabulary_is_told_with_those_that_exist(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no vocabulary 'h3\.6m': expected a file, or one of mocap, h36m, 3dhp, pitc"
    ):
        load_vocabulary("h3.6m")


def test_labels_without_phrase_or_twice_are_refused():
    with pytest.raises(ValueError, match="no phrase for b, c; add them under 'phrases'"):
        Vocabulary(("a", "b", "c"), {"a": "ambling"})
    with pytest.raises(ValueError, match="the training labels of the vocabulary repeat"):
        Vocabulary(("a", "a"), {"a": "ambling"})


@pytest.mark.parametrize("content", [b"walking", b"\xff\xfe", b"{}", b"[1]", b'{"training": 3, "phrases": {}}'])
def test_a_file_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "words.json").write_bytes(content)
    with pytest.raises(ValueError, match=r'words\.json: expected \{"training": \[labels\], "phrases": \{label: phrase'):
        load_vocabulary(tmp_path / "words.json")

"""The action vocabulary as data: a phrase for every label, and which labels the training clips carry."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

PACKAGED = {
    "mocap": "vocabulary.json",
    "h36m": "vocabulary_h36m.json",
    "3dhp": "vocabulary_3dhp.json",
    "pitching": "vocabulary_pitching.json",
}
"""The package's own vocabularies: of the motion capture, of Human3.6M's 15 actions, of MPI-INF-3DHP's 7 activities,
of deliveries and pitches."""


@dataclass(frozen=True)
class Vocabulary:
    """Phrases that continue "a person ...", by label. Labels without a phrase (`other`) count as unlabelled."""

    training: tuple[str, ...]
    """The labels of the training clips, in the order of the intent logits."""
    phrases: dict[str, str]

    def __post_init__(self) -> None:
        if len(set(self.training)) != len(self.training):
            raise ValueError("the training labels of the vocabulary repeat")
        if missing := [label for label in self.training if label not in self.phrases]:
            raise ValueError(f"the vocabulary has no phrase for {', '.join(missing)}; add them under 'phrases'")

    @property
    def training_phrases(self) -> list[str]:
        """The phrases of the training labels, in their order."""
        return [self.phrases[label] for label in self.training]


def load_vocabulary(name: str | Path = "mocap") -> Vocabulary:
    """Read one of the package's vocabularies, by name, or any vocabulary file, by path.

    Raises:
        FileNotFoundError: If there is no such vocabulary.
        ValueError: If the file is not JSON of the form {"training": [label, ...], "phrases": {label: phrase, ...}}.
    """
    file = Path(name)
    if str(name) in PACKAGED:
        file = Path(str(resources.files("dreampose3d.data") / PACKAGED[str(name)]))
    if not file.is_file():
        raise FileNotFoundError(f"no vocabulary {str(name)!r}: expected a file, or one of {', '.join(PACKAGED)}")
    try:
        content = json.loads(file.read_text("utf-8"))
        return Vocabulary(tuple(content["training"]), dict(content["phrases"]))
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{file}: expected {{"training": [labels], "phrases": {{label: phrase}}}}') from error

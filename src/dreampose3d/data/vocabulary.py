"""The action vocabulary as data: a phrase for every label, and which labels the training clips carry."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path


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


def load_vocabulary(path: Path | None = None) -> Vocabulary:
    """Read a vocabulary file, the package's own if none is named.

    Raises:
        ValueError: If the file is not JSON of the form {"training": [label, ...], "phrases": {label: phrase, ...}}.
    """
    file = path or resources.files("dreampose3d.data") / "vocabulary.json"
    try:
        content = json.loads(file.read_text("utf-8"))
        return Vocabulary(tuple(content["training"]), dict(content["phrases"]))
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{file}: expected {{"training": [labels], "phrases": {{label: phrase}}}}') from error

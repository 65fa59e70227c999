"""AxBench's texts and labels: from the hub, from a local folder, or an embedded stand-in.

A benchmark is two tables in the published layout (Wu et al. 2025, arXiv 2501.17148), with the
columns `input`, `output`, `output_concept`, `concept_genre`, `category` and `concept_id`. The
training table holds positives of every concept and one shared pool of negatives
(`concept_id` −1), of which a concept takes those of its own genre. The test table holds positives,
negatives and hard negatives of every concept.

The embedded stand-in has the same layout, but *is not AxBench*: its concepts are labelled sets of
the probing suite of Kantamneni and Engels (2025, arXiv 2502.16681), one set each, plain texts
without a user's turn. Numbers on it compare methods with each other, never with published ones.

This module does not know models, activations or scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pandas as pd
from huggingface_hub import errors as hub_errors

from epkit.lm.corpus_readers import labelled_set
from epkit.lm.sources import get_source, hub_reachable

COLUMNS = ("input", "output", "output_concept", "concept_genre", "category", "concept_id")
HUB_SETS = ("concept500", "concept10", "conceptFD")
CATEGORIES = ("positive", "negative", "hard negative")

EMBEDDED_NAME = "labelled sets of the probing suite (not AxBench)"
EMBEDDED = {  # set of the suite: (the concept in words, the label of its positives)
    "159_code_Python": ("Python code", 1),
    "160_code_HTML": ("HTML code", 1),
    "96_spam_is": ("spam text messages", 1),
    "105_click_bait": ("clickbait headlines", "clickbait"),
    "139_news_class_Politics": ("political news", 1),
    "145_disease_class_digestive system diseases": ("diseases of the digestive system", 1),
    "110_aimade_humangpt3": ("text written by a language model", 1),
    "113_movie_sent": ("praise of a film", 1),
    "151_it_tick_HR Support": ("tickets for the personnel office", 1),
    "149_twt_emotion_happiness": ("happy short messages", 1),
    "85_mental-health": ("the words “mental health”", "bigram"),
    "74_magnetic-field": ("the words “magnetic field”", "bigram"),
}
PLAIN_PAIRS = "83_third-party"
EMBEDDED_SEED = 20260514  # the stand-in is one fixed set of texts
CHARACTERS = 200


@dataclass(frozen=True, eq=False)
class Benchmark:
    """The tables of a concept-detection benchmark, in the published columns.

    `published` says whether this is AxBench itself, so that its published numbers may stand beside.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    published: bool

    @property
    def rows(self) -> pd.DataFrame:
        """Training rows, then test rows: the order in which activations are taken."""
        columns = list(COLUMNS) + (["sae_id"] if "sae_id" in self.test else [])
        both = [table.reindex(columns=columns) for table in (self.train, self.test)]
        return pd.concat(both, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Concept:
    """One detection task, as positions in `Benchmark.rows` (int64 arrays).

    `train` and `test` come with labels (bool arrays, True for positives); `hard` holds the hard
    negatives, which AUROC leaves out. `sae_id` is the SAE latent the concept's name was taken
    from, −1 where there is none.
    """

    id: int
    name: str
    genre: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    hard: np.ndarray
    sae_id: int = -1


def load_benchmark(
    data: str | Path = "embedded",
    subset: str = "2b/l20",
    *,
    n_concepts: int | None = None,
    n_rows: int = 24,
) -> Benchmark:
    """The benchmark `data`, with one printed line that says what it is.

    data : "concept500", "concept10" or "conceptFD" (from the hub); "embedded" (labelled sets, not
        AxBench); "auto" (concept500 where the hub answers, else embedded); or a local folder with
        `train.parquet` and `test.parquet`, or in the published layout.
    subset : model and layer in the published layout, such as "2b/l20".
    n_concepts : keep the first so many concepts; all by default.
    n_rows : of the embedded stand-in alone: positives and negatives of each concept and split.

    Raises FileNotFoundError (no such folder, no tables in it), ValueError (columns or categories
    missing), RuntimeError (the hub does not give the tables).
    """
    if data == "auto":
        data = "concept500" if hub_reachable() else "embedded"
    if data == "embedded":
        tables = _embedded(n_rows, n_concepts)
        benchmark = Benchmark(EMBEDDED_NAME, *tables, published=False)
    elif data in HUB_SETS:
        tables = [_from_hub(str(data), subset, split) for split in ("train", "test")]
        benchmark = Benchmark(f"AxBench {data} {subset}", *tables, published=True)
    else:
        paths = _local_tables(Path(data).expanduser(), subset)
        tables = [pd.read_parquet(path) for path in paths]
        benchmark = Benchmark(f"AxBench {paths[2].name}", *tables[:2], published=True)
    _check(benchmark)
    if n_concepts is not None:
        benchmark = _first(benchmark, n_concepts)
    print(
        f"{benchmark.name}: {benchmark.test.concept_id.nunique()} concepts, "
        f"{len(benchmark.train):,} training and {len(benchmark.test):,} test rows"
    )
    return benchmark


def concepts_of(benchmark: Benchmark) -> list[Concept]:
    """The benchmark's tasks, in order of their id.

    Raises ValueError for a concept without training positives, without negatives of its genre, or
    without both classes in the test rows.
    """
    train, test = benchmark.train.reset_index(), benchmark.test.reset_index()
    offset = len(train)
    concepts = []
    for number in sorted(test.concept_id.unique()):
        positives = train[(train.concept_id == number) & (train.category == "positive")]
        own = test[test.concept_id == number]
        first = own[own.category == "positive"]
        if positives.empty or first.empty:
            raise ValueError(f"concept {number} has no positives in the training or test rows")
        genre = positives.concept_genre.iloc[0]
        pool = train[(train.category == "negative") & (train.concept_id.isin((-1, number)))]
        negatives = pool[pool.concept_genre == genre]
        rows = own[own.category.isin(("positive", "negative"))]
        if negatives.empty or rows.category.nunique() < 2:
            raise ValueError(f"concept {number} has no negatives of its genre {genre!r}")
        hard = own[own.category.str.startswith("hard negative")]
        train_rows = np.concatenate([positives.index, negatives.index]).astype(np.int64)
        concepts.append(Concept(
            id=int(number), name=str(first.output_concept.iloc[0]), genre=str(genre),
            train=train_rows, train_labels=np.arange(len(train_rows)) < len(positives),
            test=rows.index.to_numpy(np.int64) + offset,
            test_labels=(rows.category == "positive").to_numpy(),
            hard=hard.index.to_numpy(np.int64) + offset,
            sae_id=int(first.sae_id.iloc[0]) if "sae_id" in first else -1,
        ))  # fmt: skip
    return concepts


def row_texts(benchmark: Benchmark) -> list[str]:
    """The plain text of every row, user's turn and answer one after the other."""
    rows = benchmark.rows
    return [f"{a}\n{b}" if a else b for a, b in zip(rows.input, rows.output, strict=True)]


# ---- reading ------------------------------------------------------------------------------------


def _from_hub(data: str, subset: str, split: str) -> pd.DataFrame:
    repo, member = get_source(f"axbench-{data}").hub, f"{subset}/{split}/data.parquet"
    try:
        path = huggingface_hub.hf_hub_download(repo, member, repo_type="dataset")
    except (hub_errors.HfHubHTTPError, hub_errors.LocalEntryNotFoundError, OSError) as error:
        raise RuntimeError(
            f"{repo}/{member} cannot be downloaded ({type(error).__name__}): check the network and "
            "that the subset exists, or give a local folder or data='embedded'"
        ) from error
    return pd.read_parquet(path)


def _local_tables(folder: Path, subset: str) -> tuple[Path, Path, Path]:
    """Training table, test table and the folder they were found in."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is no folder, and none of: embedded, auto, {', '.join(HUB_SETS)}"
        )
    for root in (folder, folder / subset):
        for pattern in ("{}.parquet", "{}/data.parquet"):
            train, test = (root / pattern.format(split) for split in ("train", "test"))
            if train.is_file() and test.is_file():
                return train, test, root
    raise FileNotFoundError(
        f"{folder} holds no AxBench tables: expected train.parquet and test.parquet, or "
        f"train/data.parquet and test/data.parquet, there or in {subset}"
    )


def _first(benchmark: Benchmark, n: int) -> Benchmark:
    """The first n concepts, with the pool of negatives as it is."""
    ids = sorted(benchmark.test.concept_id.unique())
    if not 1 <= n <= len(ids):
        raise ValueError(f"n_concepts must lie in 1 … {len(ids)} for {benchmark.name}, not {n}")
    keep = [-1, *ids[:n]]
    train, test = (t[t.concept_id.isin(keep)] for t in (benchmark.train, benchmark.test))
    return replace(benchmark, train=train, test=test)


def _check(benchmark: Benchmark) -> None:
    for split, table in (("train", benchmark.train), ("test", benchmark.test)):
        missing = [c for c in COLUMNS if c not in table]
        if missing:
            raise ValueError(f"the {split} table of {benchmark.name} lacks {', '.join(missing)}")
        known = table.category.str.startswith(CATEGORIES)
        if not known.all():
            raise ValueError(
                f"the {split} table of {benchmark.name} has the unknown category "
                f"{table.category[~known].iloc[0]!r}; known are: {', '.join(CATEGORIES)}"
            )


# ---- the embedded stand-in ----------------------------------------------------------------------


def _embedded(n_rows: int, n_concepts: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test tables out of the labelled sets; a genre is one set's own.

    Only the sets of the first n_concepts are read.
    """
    parts: dict[str, list[dict]] = {"train": [], "test": []}
    wanted = [*EMBEDDED.items()][: None if n_concepts is None else max(1, n_concepts)]
    used: set[str] = set()  # two sets of code share licence texts
    for number, (name, (concept, positive)) in enumerate(wanted):
        for category, texts in _by_category(name, positive, number).items():
            fresh = [text for text in texts if text not in used]
            for split, chosen in _split(fresh, category, n_rows).items():
                used.update(chosen)
                number_here = -1 if (split, category) == ("train", "negative") else number
                parts[split] += [
                    dict(
                        zip(COLUMNS, ("", text, concept, name, category, number_here), strict=True)
                    )
                    for text in chosen
                ]
    return pd.DataFrame(parts["train"]), pd.DataFrame(parts["test"])


def _by_category(name: str, positive: int | str, seed: int) -> dict[str, list[str]]:
    """The texts of one concept in a seeded order; no text comes twice.

    The negatives of a set of word pairs hold one of the two words, or both apart: they are its
    hard negatives, and ordinary ones come from the set of a pair that is no concept here.
    """
    table = _texts(name, seed)
    categories = {"positive": table.text[table.target == positive].tolist()}
    others = table.text[table.target != positive].tolist()
    if positive != "bigram":
        return categories | {"negative": others}
    plain = _texts(PLAIN_PAIRS, seed)
    words = name.split("_")[1].replace("-", "|")
    plain = plain[~plain.text.str.contains(words, case=False) & ~plain.text.isin(set(table.text))]
    return categories | {"negative": plain.text.tolist(), "hard negative": others}


def _texts(name: str, seed: int) -> pd.DataFrame:
    """Distinct texts of a set, shortened, in a seeded order."""
    table = labelled_set(name).dropna(subset="prompt")
    table = table.assign(text=table.prompt.str.strip().map(_shorten))
    table = table[table.text != ""].drop_duplicates("text")
    return table.sample(frac=1, random_state=np.random.default_rng([EMBEDDED_SEED, seed]))


def _split(texts: list[str], category: str, n_rows: int) -> dict[str, list[str]]:
    if category == "hard negative":
        return {"test": texts[: n_rows // 2]}
    if not 2 <= n_rows <= len(texts) // 2:
        raise ValueError(f"n_rows must lie in 2 … {len(texts) // 2} for these sets, not {n_rows}")
    return {"train": texts[:n_rows], "test": texts[n_rows : 2 * n_rows]}


def _shorten(text: str) -> str:
    """The first `CHARACTERS` characters, without a word cut in two."""
    if len(text) <= CHARACTERS:
        return text
    cut = text[: CHARACTERS + 1]
    return (cut[: cut.rindex(" ")] if " " in cut else cut[:CHARACTERS]).strip()

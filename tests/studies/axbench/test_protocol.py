"""AxBench's data and protocol: a toy by hand, both layouts alike, a tiny Gemma-2 all the way."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SHARED
from tiny_models import tiny_gemma2, tiny_tokenizer

from epkit.studies.axbench import data as axbench_data
from epkit.studies.axbench import protocol as axbench
from epkit.studies.axbench.data import (
    COLUMNS,
    EMBEDDED,
    Benchmark,
    Concept,
    concepts_of,
    load_benchmark,
    row_texts,
)
from epkit.studies.axbench.probes import difference_of_means, direction_scores
from epkit.studies.axbench.protocol import (
    RowActivations,
    evaluate,
    hard_negative_accuracy,
    max_pool,
    round_scores,
    row_documents,
    suffix_length,
    take_activations,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))


def row(output, category, concept_id, genre="text", user="say it"):
    concept = f"concept {concept_id}"
    return dict(zip(COLUMNS, (user, output, concept, genre, category, concept_id), strict=True))


def small_benchmark(n=4):
    """Two concepts of two genres: rows with many x or y against rows of plain letters."""
    rng = np.random.default_rng(0)

    def text(letter):
        letters = rng.choice(list("abcde"), size=12)
        letters[rng.integers(0, 12, size=4 if letter else 0)] = letter or "a"
        return "".join(letters)

    train, test = [], []
    for genre in ("text", "code", "math"):
        train += [row(text(""), "negative", -1, genre) for _ in range(n)]
    for concept, (letter, genre) in enumerate((("x", "text"), ("y", "code"))):
        train += [row(text(letter), "positive", concept, genre) for _ in range(n)]
        test += [row(text(letter), "positive", concept, genre) for _ in range(n)]
        test += [row(text(""), "negative", concept, genre) for _ in range(n)]
    test += [row(text("x"), "hard negative", 1, "code")]
    return Benchmark("toy", pd.DataFrame(train), pd.DataFrame(test), published=False)


# ---- data ---------------------------------------------------------------------------------------


def test_a_concept_takes_the_negatives_of_its_genre():
    benchmark = small_benchmark()
    rows = benchmark.rows
    first, second = concepts_of(benchmark)
    assert rows.concept_genre[first.train].unique().tolist() == ["text"]
    assert rows.category[first.train[~first.train_labels]].unique().tolist() == ["negative"]
    assert rows.concept_id[second.train[second.train_labels]].unique().tolist() == [1]
    assert (first.train_labels.sum(), len(first.train)) == (4, 8)
    assert set(first.test).isdisjoint(first.train)
    assert rows.category[second.hard].tolist() == ["hard negative"]
    assert (rows.category[second.test] == "positive").tolist() == second.test_labels.tolist()
    assert len(first.hard) == 0


def test_both_layouts_give_identical_tables_and_scores(tmp_path):
    benchmark = small_benchmark()
    flat, hub = tmp_path / "flat", tmp_path / "hub"
    flat.mkdir()
    for split, table in (("train", benchmark.train), ("test", benchmark.test)):
        table.to_parquet(flat / f"{split}.parquet")
        (hub / "2b/l20" / split).mkdir(parents=True)
        shutil.copy(flat / f"{split}.parquet", hub / "2b/l20" / split / "data.parquet")
    model = tiny_gemma2()
    results = []
    for folder in (flat, hub, hub / "2b/l20"):
        loaded = load_benchmark(folder)
        assert loaded.published
        assert loaded.rows.equals(benchmark.rows)
        results.append(diff_mean_result(model, loaded))
    assert results[0].equals(results[1])
    assert results[0].equals(results[2])


def test_the_first_concepts_keep_the_pool_of_negatives(tmp_path):
    benchmark = small_benchmark()
    benchmark.train.to_parquet(tmp_path / "train.parquet")
    benchmark.test.to_parquet(tmp_path / "test.parquet")
    (only,) = concepts_of(load_benchmark(tmp_path, n_concepts=1))
    assert (only.id, len(only.train), len(only.test)) == (0, 8, 8)
    with pytest.raises(ValueError, match="n_concepts must lie in 1 … 2"):
        load_benchmark(tmp_path, n_concepts=3)


def test_the_hub_is_asked_for_the_published_files(tmp_path, monkeypatch):
    benchmark, asked = small_benchmark(), []

    def download(repo, member, repo_type):
        asked.append((repo, member, repo_type))
        path = tmp_path / f"{len(asked)}.parquet"
        (benchmark.train if "train" in member else benchmark.test).to_parquet(path)
        return str(path)

    monkeypatch.setattr(axbench_data.huggingface_hub, "hf_hub_download", download)
    loaded = load_benchmark("concept500", "2b/l20")
    assert loaded.rows.equals(benchmark.rows)
    assert asked == [
        ("pyvene/axbench-concept500", f"2b/l20/{split}/data.parquet", "dataset")
        for split in ("train", "test")
    ]


def test_the_hub_that_does_not_answer_is_one_sentence(monkeypatch):
    def download(*args, **options):
        raise OSError("no route")

    monkeypatch.setattr(axbench_data.huggingface_hub, "hf_hub_download", download)
    with pytest.raises(RuntimeError, match=r"concept10/2b/l20/train/data.parquet cannot be down"):
        load_benchmark("concept10")


def test_bad_data_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder, and none of: embedded"):
        load_benchmark("consept500")
    with pytest.raises(FileNotFoundError, match="holds no AxBench tables"):
        load_benchmark(tmp_path)
    benchmark = small_benchmark()
    benchmark.train.drop(columns="category").to_parquet(tmp_path / "train.parquet")
    benchmark.test.to_parquet(tmp_path / "test.parquet")
    with pytest.raises(ValueError, match=r"train table of .* lacks category"):
        load_benchmark(tmp_path)
    benchmark.train.assign(category="positiv").to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="unknown category 'positiv'"):
        load_benchmark(tmp_path)
    train = benchmark.train
    train = train[(train.category == "positive") | (train.concept_genre != "text")]
    with pytest.raises(ValueError, match="concept 0 has no negatives of its genre 'text'"):
        concepts_of(Benchmark("toy", train, benchmark.test, published=False))


def labelled(name):
    """A made-up labelled set, with texts that other sets have too."""
    bigram = name.split("_")[1].replace("-", " ")
    positive = EMBEDDED[name][1] if name in EMBEDDED else "bigram"
    texts = [f"{name} text {i} {bigram} " + "word " * 60 for i in range(30)]
    others = [f"{name} other {i} {bigram.split()[0] if i % 2 else ''}" for i in range(30)]
    table = pd.DataFrame({"prompt": texts + others, "target": [positive] * 30 + ["no"] * 30})
    shared = pd.DataFrame({"prompt": ["the same licence"] * 3, "target": [positive] * 3})
    return pd.concat([shared, table], ignore_index=True)


def test_the_embedded_stand_in_has_the_shape_and_is_disjoint(monkeypatch, capsys):
    monkeypatch.setattr(axbench_data, "labelled_set", labelled)
    benchmark = load_benchmark("embedded", n_rows=6)
    assert not benchmark.published
    assert "not AxBench" in benchmark.name
    assert "not AxBench" in capsys.readouterr().out
    concepts = concepts_of(benchmark)
    assert len(concepts) == len(EMBEDDED) >= 10
    for c in concepts:
        assert (len(c.train), c.train_labels.sum()) == (12, 6)
        assert (len(c.test), c.test_labels.sum()) == (12, 6)
        assert len(c.hard) == (3 if "words" in c.name else 0)
    assert not benchmark.rows.output.duplicated().any()
    assert benchmark.rows.output.str.len().max() <= axbench_data.CHARACTERS
    assert load_benchmark("embedded", n_rows=6).rows.equals(benchmark.rows)
    first = load_benchmark("embedded", n_rows=6, n_concepts=2)
    assert first.train.equals(
        benchmark.train[benchmark.train.concept_genre.isin(list(EMBEDDED)[:2])]
    )
    with pytest.raises(ValueError, match="n_concepts must lie in"):
        load_benchmark("embedded", n_rows=6, n_concepts=0)
    with pytest.raises(ValueError, match="n_rows must lie in"):
        load_benchmark("embedded", n_rows=100)


@pytest.mark.parametrize("name", ["2b_l20", "2b_l10"])
def test_the_published_tables_have_the_published_shape(name):
    folder = SHARED / "data" / "axbench" / name
    if not folder.is_dir():
        pytest.skip("the published tables are not on this machine")
    benchmark = load_benchmark(folder)
    concepts = concepts_of(benchmark)
    assert len(concepts) == 10
    for c in concepts:
        assert (c.train_labels.sum(), (~c.train_labels).sum()) == (72, 72)
        assert (c.test_labels.sum(), (~c.test_labels).sum()) == (36, 36)
        assert c.sae_id >= 0
    assert sum(len(c.hard) for c in concepts) == len(benchmark.test) - 720 > 0


def test_texts_are_cut_between_words():
    assert axbench_data._shorten("ab " * 100) == ("ab " * 67)[:200].strip()
    assert axbench_data._shorten("a" * 300) == "a" * 200
    assert axbench_data._shorten("short") == "short"


# ---- protocol -----------------------------------------------------------------------------------


def toy():
    """Four rows of 2, 1, 3, 2 tokens in two dimensions; the second token of row 0 is a suffix."""
    x = torch.tensor([[1.0, 0], [9, 9], [0, 2], [3, 0], [0, 1], [-1, 5], [2, 2], [-4, 0]])
    return RowActivations(x, np.array([0, 2, 3, 6]), np.array([1, 3, 6, 8]), n_fed=12)


def toy_concept(**changes):
    fields = {
        "id": 0, "name": "toy", "genre": "text", "train": np.array([0, 1]),
        "train_labels": np.array([True, False]), "test": np.array([2, 3, 0, 1]),
        "test_labels": np.array([True, True, False, False]), "hard": np.array([], dtype=int),
    }  # fmt: skip
    return Concept(**(fields | changes))


def test_max_over_tokens_by_hand(monkeypatch):
    expected = [[1, 0], [0, 2], [3, 5], [2, 2]]
    for tokens in (1, 3, 4096):  # any cut into blocks
        monkeypatch.setattr(axbench, "BLOCK_TOKENS", tokens)
        assert max_pool(toy(), lambda x: x).tolist() == expected
    assert max_pool(toy(), lambda x: -x, np.array([3, 1])).tolist() == [[4, 0], [0, -2]]


def test_hard_negative_accuracy_by_hand():
    scores, labels = np.array([4.0, 3, 2, 1]), np.array([True, True, False, False])
    # threshold 3: both positives right; of the hard negatives 3 is wrong, 2.5 and 0 are right
    assert hard_negative_accuracy(scores, labels, np.array([3, 2.5, 0])) == pytest.approx(5 / 6)
    assert np.isnan(hard_negative_accuracy(scores, labels, np.array([])))


def test_evaluation_by_hand():
    concept = toy_concept(hard=np.array([1]))
    scores = max_pool(toy(), lambda x: x[:, :1])  # 1, 0, 3, 2: positives 3 and 2 win
    result = evaluate(scores, [concept])
    assert result.auroc.tolist() == [1.0]
    assert result.hard.tolist() == [1.0]


def test_evaluation_refuses_what_it_cannot_rank():
    with pytest.raises(ValueError, match=r"expected scores \(rows, 1\)"):
        evaluate(np.zeros((4, 2)), [toy_concept()])
    with pytest.raises(ValueError, match="not finite"):
        evaluate(np.full((4, 1), np.nan), [toy_concept()])


def test_rounding_to_three_decimals_makes_ties():
    scores = torch.tensor([0.12341, 0.12349, 0.1236, -2.0004])
    assert round_scores(scores).tolist() == [0.123, 0.123, 0.124, -2.0]


# ---- a tiny Gemma-2, all the way ----------------------------------------------------------------


def diff_mean_result(model, benchmark):
    activations = take_activations(model, benchmark, 2, context=128)
    concepts = concepts_of(benchmark)
    directions = torch.stack([difference_of_means(activations, c) for c in concepts])
    return evaluate(direction_scores(activations, directions), concepts)


def test_scored_tokens_are_the_words_and_not_the_templates(capsys):
    """Against the hidden states of transformers, one row at a time."""
    model, benchmark = tiny_gemma2(), small_benchmark()
    activations = take_activations(model, benchmark, 1, context=128)
    for r in (0, 7, 20, 28):
        user, answer = benchmark.rows.input[r], benchmark.rows.output[r]
        start = "<bos><system>be kind<end><user>"
        text = f"{start}{user}<end><assistant>{answer}<end>"
        ids = model.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        n_start = len(model.tokenizer(start, add_special_tokens=False)["input_ids"])
        with torch.no_grad():
            hidden = model.module(ids, output_hidden_states=True).hidden_states[2][0]
        expected = hidden[n_start : ids.shape[1] - 1]  # without the closing <end>
        torch.testing.assert_close(activations.of([r]), expected, atol=1e-4, rtol=1e-4)
    assert suffix_length(model) == 1


def test_tiny_gemma2_goes_the_whole_way_and_reads_its_cache(monkeypatch):
    model, benchmark = tiny_gemma2(), small_benchmark()
    result = diff_mean_result(model, benchmark)
    assert result.auroc.between(0, 1).all()
    assert result.auroc.mean() > 0.8  # the letters are in the residual stream
    assert result.hard.isna().tolist() == [True, False]
    monkeypatch.setattr("epkit.lm.activations.ActivationStream._forward", None)  # no second pass
    assert diff_mean_result(model, benchmark).equals(result)


def test_without_template_or_user_rows_are_plain_text():
    benchmark = small_benchmark()
    base = tiny_gemma2(tiny_tokenizer(chat=False))
    text = f"say it\n{benchmark.rows.output[0]}"
    assert row_documents(benchmark, base)[0] == text == row_texts(benchmark)[0]
    assert suffix_length(base) == 0
    activations = take_activations(base, benchmark, 1, context=128)
    assert activations.lengths[0] == len(text)  # one token per byte, BOS not scored
    silent = Benchmark("toy", benchmark.train.assign(input=""), benchmark.test, published=False)
    assert row_documents(silent, tiny_gemma2())[0] == benchmark.rows.output[0]


def test_a_row_with_nothing_to_score_is_named():
    benchmark = small_benchmark()
    table = benchmark.train.copy()
    table.loc[2, ["input", "output"]] = ""
    empty = Benchmark("toy", table, benchmark.test, published=False)
    with pytest.raises(ValueError, match="row 2 of toy has no token to score"):
        take_activations(tiny_gemma2(), empty, 1, context=128)


def test_long_rows_go_on_in_another_window():
    benchmark = small_benchmark()
    whole = take_activations(tiny_gemma2(), benchmark, 1, context=128)
    cut = take_activations(tiny_gemma2(), benchmark, 1, context=32)
    # the template's prefix fills most of a window; the scored tokens are the same ones
    assert cut.lengths.tolist() == whole.lengths.tolist()

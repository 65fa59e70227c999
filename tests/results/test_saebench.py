"""The export as SAEBench wants an SAE; skipped where SAEBench is not installed."""

import importlib.util
from pathlib import Path

import pytest
import torch
from conftest import mixture

import epkit
from epkit import readouts
from epkit.share import save_saelens

PATH = Path(__file__).resolve().parents[2] / "data/results/saebench.py"


@pytest.mark.parametrize("k", [1, 4])
def test_it_reads_and_decodes_as_the_dictionary(tmp_path, k):
    pytest.importorskip("sae_bench", reason="SAEBench has an environment of its own")
    spec = importlib.util.spec_from_file_location(PATH.stem, PATH)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    x = mixture(800, 24)
    d = epkit.partition(x, [5])[5]
    d.metadata.update(layer=2, model="tiny")
    save_saelens(d, tmp_path, hook_name="blocks.2.hook_resid_post", k=k)
    sae = script.ExportedDictionary(tmp_path)
    assert sae.check_decoder_norms()
    assert torch.equal(sae.encode(x).argmax(1), d.assign(x)[0])
    ours = readouts.decode(d, readouts.top_k(d, x, k, "exemplar"), "exemplar")
    torch.testing.assert_close(sae(x), ours, atol=1e-4, rtol=1e-4)
    assert torch.equal(sae(x[None]), sae(x)[None])

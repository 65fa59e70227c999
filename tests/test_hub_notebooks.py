"""Every notebook runs to its end on the hub path: the profile's names, tiny models and texts.

A server on this machine stands in for the hub (`fake_hub`, `hub_rehearsal`). Only numbers differ
from the profile gemma-2-2b. What the notebooks find on random weights means nothing; that they run,
and that what they assert holds for any model, is the point.
"""

from pathlib import Path

import hub_rehearsal
import nbformat
import pytest
from fake_hub import GOOD, FakeHub

from epkit.runner.execution import Job, execute
from epkit.runner.profiles import find_notebooks, load_profile, parameter_defaults, resolve

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = find_notebooks(ROOT)
SMALL = {
    "00_look": {"layer": 2, "percentile": 8, "n_activations": 1200},
    "01_build": {
        "layers": [1, 2], "percentiles": [4, 8], "n_activations": 2000, "n_calibration": 600,
        "n_heldout": 500, "n_theta": 300, "compared_layer": 2, "compared_percentiles": [8],
        "n_orders": 2, "n_draws": 2, "rounds": 2,
    },
    "02_inspect": {
        "layers": [1, 2], "percentiles": [4, 8], "n_activations": 2000, "n_calibration": 600,
        "n_read": 1500, "n_heldout": 500, "shown_layer": 2, "shown_percentile": 4,
        "picture_percentile": 8,
    },
    "03_axbench": {
        "n_concepts": 4, "layer": 2, "percentiles": [4, 10], "compared_percentile": 10,
        "n_activations": 1500, "n_calibration": 600, "n_orders": 2, "n_draws": 2, "rounds": 1,
        "sae_epochs": 1,
    },
    "04_refusal": {
        "layers": [1, 2], "percentiles": [5, 10, 20], "trial_percentiles": [10, 20],
        "first_layers": [1], "last_layer": 3, "n_build": 40, "n_harmful": 8, "n_benign": 6,
        "n_trial": 4, "n_controls": 3, "n_control_prompts": 4, "control_tokens": 2,
        "max_new_tokens": 3, "fluency": 4, "alphas": [0.2], "n_steered": 4,
    },
    "05_ood": {
        "layers": [1, 2], "percentiles": [4, 8], "n_activations": 1500, "n_calibration": 600,
        "n_baseline": 800, "text_tokens": 32, "n_texts": 12, "n_orders": 2, "n_draws": 2,
        "rounds": 1, "shown_percentile": 4, "n_fit": 40, "n_fresh": 20,
    },
    "06_base_vs_tuned": {
        "layers": [2], "percentiles": [2, 4], "n_activations": 1200, "n_draws": 1,
        "match_percentile": 8, "n_orders": 2, "max_new_tokens": 3,
    },
    "07_saturation": {
        "max_documents": 300, "excerpt_characters": 100, "shown_layer": 2,
        "n_activations": 2000, "n_others": 2000, "n_chat": 2000,
        "percentiles": [4, 8], "n_orders": 2, "quiet_window": 300, "layers": [1, 2, 3],
        "n_short": 1000, "n_calibration": 600, "n_blocks": 2, "n_block": 300,
    },
    "08_sae_and_probes": {
        "layer": 2, "percentiles": [4, 10], "n_activations": 2000, "n_calibration": 600,
        "n_heldout": 800, "n_orders": 2, "n_draws": 1, "rounds": 1, "n_sets": 3, "set_context": 32,
        "max_texts": 100, "n_columns": 8,
    },
    "09_neighbourhoods": {
        "layers": [1, 2], "percentiles": [4, 8, 16], "between_percentiles": [8, 16],
        "n_activations": 2000, "n_calibration": 600, "n_read": 1500, "shown_layer": 2,
        "shown_percentile": 4, "n_orders": 2, "n_draws": 2, "n_pairs": 20, "min_members": 3,
    },
    "10_stability": {
        "layer": 2, "n_activations": 1600, "n_calibration": 600, "n_heldout": 500, "percentile": 8,
        "other_percentiles": [16], "n_pairs": 2, "n_orders": 2, "n_draws": 2, "rounds": 1,
        "n_rows": 12, "shares": [0.25, 0.5], "n_choices": 1, "trajectory_percentile": 8,
        "n_trajectory": 600, "n_followed": 300,
    },
    "11_effects": {
        "layers": [1, 2], "percentiles": [4, 8], "n_activations": 2000, "n_calibration": 600,
        "layer": 2, "tried_percentiles": [4, 8], "n_regions": 3, "n_pilot": 0,
        "n_texts": 40, "text_tokens": 16, "n_present": 1, "n_absent": 1,
    },
    "12_across_models": {
        "layers": [1, 2], "layer": 2, "percentiles": [4, 8], "n_activations": 2000,
        "n_calibration": 600, "other_layer": 2, "n_other": 6000, "compared_percentiles": [4, 8],
        "other_percentiles": [4, 8], "shown_percentile": 8, "min_words": 3, "n_permutations": 19,
    },
    "13_rare_kinds": {
        "layer": 2, "n_activations": 2500, "n_heldout": 600, "n_kind": 200,
        "n_stream": 1500, "passage": 5, "prevalences": [0.5, 2], "percentiles": [4, 8],
        "n_seeds": 2, "rounds": 2, "sae_k": 8, "sae_epochs": 1,
        "shown_prevalence": 0.5, "shown_percentile": 4,
    },
    "14_scale": {
        "layer": 2, "percentiles": [4, 8], "n_activations": 2500, "n_calibration": 600,
        "shown_percentile": 4,
    },
    "15_secrets": {
        "hints": 12, "first_layer": 1, "layers": [1, 2], "percentiles": [4], "n_activations": 800,
        "n_draws": 1, "max_new_tokens": 3,
    },
}  # fmt: skip


def profile():
    """The parameters of every notebook under the profile gemma-2-2b."""
    defaults = {path.stem: parameter_defaults(nbformat.read(path, 4)) for path in NOTEBOOKS}
    return resolve(load_profile(ROOT, "gemma-2-2b"), defaults)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub for the notebooks' processes: they inherit this one's environment."""
    home = tmp_path_factory.mktemp("home")
    hub_rehearsal.fill_cache(home / "epkit")
    repos = hub_rehearsal.repositories(tmp_path_factory.mktemp("made"))
    with FakeHub(repos) as hub, pytest.MonkeyPatch.context() as patch:
        settings = {
            "HF_ENDPOINT": hub.url, "HF_HOME": home / "hf", "HF_TOKEN": GOOD,
            "HF_HUB_DISABLE_TELEMETRY": 1, "HF_HUB_DISABLE_XET": 1, "EPKIT_CACHE": home / "epkit",
            "OMP_NUM_THREADS": 1, "PIP_NO_INDEX": 1, "JUPYTER_PREFER_ENV_PATH": 1,
        }  # fmt: skip
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        for name, value in settings.items():
            patch.setenv(name, str(value))
        yield hub


def test_the_rehearsal_differs_from_the_profile_in_numbers_alone():
    given = profile()
    assert set(SMALL) == set(given)
    assert {values["source"] for values in given.values()} == {"hub"}
    for path in NOTEBOOKS:
        values = SMALL[path.stem]
        leaves = [x for v in values.values() for x in (v if isinstance(v, list) else [v])]
        assert all(isinstance(x, int | float) for x in leaves)
        assert set(values) <= set(parameter_defaults(nbformat.read(path, 4)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_to_its_end(path, hub, tmp_path):
    parameters = profile()[path.stem] | SMALL[path.stem]
    record = execute(Job(path, parameters), tmp_path)
    assert record["status"] == "done", record["traceback"] or record["error"]

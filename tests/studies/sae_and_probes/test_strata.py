"""Which sets are probed: bounds, turns of strata and families, screening on training rows."""

import numpy as np
import pandas as pd
import pytest
import tiny_models

from epkit.studies.sae_and_probes import sets as probing_sets
from epkit.studies.sae_and_probes import strata
from epkit.studies.sae_and_probes.strata import choose_by_stratum, screen_sets, stratum_of


@pytest.mark.parametrize(
    ("trained", "stratum"),
    [(1.0, "ceiling"), (0.98, "ceiling"), (0.979, "headroom"), (0.9, "headroom"), (0.89, "hard")],
)
def test_bounds(trained, stratum):
    assert stratum_of(trained) == stratum


TRAINED = {
    "5_a": 0.99, "6_b": 0.99, "87_c": 0.995,  # historical figures twice, GLUE
    "105_d": 0.95, "106_e": 0.93, "121_f": 0.97,  # moderation twice, places
    "126_g": 0.6, "7_h": 0.7,
}  # fmt: skip


def test_strata_take_turns_and_in_a_stratum_families():
    for seed in range(5):
        six = choose_by_stratum(TRAINED, 6, seed=seed)
        assert [stratum_of(TRAINED[name]) for name in six].count("hard") == 2
        assert "87_c" in six
        assert "121_f" in six
        assert six == [name for name in TRAINED if name in six]
    drawn = {tuple(choose_by_stratum(TRAINED, 6, seed=seed)) for seed in range(5)}
    assert len(drawn) > 1
    assert choose_by_stratum(TRAINED, 6, seed=1) == choose_by_stratum(TRAINED, 6, seed=1)


def test_a_stratum_without_more_sets_is_passed_over():
    assert choose_by_stratum(TRAINED, 8) == [*TRAINED]
    assert choose_by_stratum({"126_g": 0.6, "7_h": 0.7}, 2) == ["126_g", "7_h"]
    for n in (0, 9):
        with pytest.raises(ValueError, match=r"n must lie in 1 … 8"):
            choose_by_stratum(TRAINED, n)


@pytest.fixture
def suite(monkeypatch):
    """Three sets: one long, one short and easy, one with too few texts."""
    rng = np.random.default_rng(0)
    words = {"5_long": 40, "6_short": 3, "7_few": 3}
    tables = {
        name: pd.DataFrame({
            "prompt": [" ".join(rng.choice(["one", "two"], n)) + f" {i} {'yz'[i % 2] * 4}"
                       for i in range(30 if name == "7_few" else 120)],
            "target": np.arange(30 if name == "7_few" else 120) % 2,
        })
        for name, n in words.items()
    }  # fmt: skip
    monkeypatch.setattr(probing_sets, "labelled_set", tables.__getitem__)
    monkeypatch.setattr(strata, "set_names", lambda: [*words])


def test_candidates_are_full_sets_of_short_texts_told_by_training_rows(suite, monkeypatch):
    model, read = tiny_models.tiny_llama(), []
    taken = strata.last_token_activations
    monkeypatch.setattr(
        strata, "last_token_activations",
        lambda model, sets, *rest, **options: read.extend(sets) or taken(
            model, sets, *rest, **options
        ),
    )  # fmt: skip
    options = {"full": 80, "most_tokens": 40, "context": 48, "n_texts": 40}
    table = screen_sets(model, 2, **options)
    assert table.set.tolist() == ["6_short"]
    assert table.family.tolist() == ["historical figures"]
    assert table.tokens.iloc[0] <= 40
    assert table.stratum.iloc[0] == stratum_of(table.trained.iloc[0])
    whole = probing_sets.load_set("6_short", context=48, max_texts=80)
    assert read[0].train == whole.train[:40]
    assert (read[0].test, len(read[0].test_labels)) == ([], 0)
    assert screen_sets(model, 2, names=["6_short"], **options).equals(table)
    with pytest.raises(ValueError, match="no set has 200 texts"):
        screen_sets(model, 2, **options | {"full": 200})

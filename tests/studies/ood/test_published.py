import pandas as pd
import pytest

from epkit.stats import Interval
from epkit.studies.ood.published import distance_claims, published_layer

LAYERS, PERCENTILES = (2, 20), (1, 10)


def table(**gaps):
    """Rows of `distance_table` in which a corpus has a gap of gap / p at layer 2, half at 20."""
    rows = []
    for layer in LAYERS:
        for p in PERCENTILES:
            for name, gap in {"web": 0, **gaps}.items():
                own = gap / p / (1 if layer == 2 else 2)
                rows.append({
                    "layer": layer, "p": p, "corpus": name, "mean": 0.4 + own,
                    "within θ": Interval(0.9 - own, 0.8 - own, 1 - own),
                    "gap": Interval(own, own - 0.01, own + 0.01),
                })  # fmt: skip
    return pd.DataFrame(rows)


def here(rows, corpora):
    found = distance_claims(rows, corpora, "web", 26, 1)
    return dict(zip(found.claim, found.here, strict=True))


def test_claims_count_the_settings_in_which_they_hold():
    rows = table(**{"bulgarian": -0.05, "random-tokens": 0.2, "code": 0.3})
    found = here(rows, ["bulgarian", "random-tokens", "code"])
    assert found["random tokens are farther than held-out text"] == "3 of 4 settings"
    assert found["random tokens within θ at p = 1 (here layer 20 of 26)"] == (
        "0.80 [0.70, 0.90]; held-out 0.90 [0.80, 1.00]"
    )
    assert found["Bulgarian is farther than held-out text"] == ("0 of 4 settings; nearer in 2 of 4")
    assert found["random tokens are farther than Bulgarian"] == "4 of 4 settings"
    assert found["the gap of bulgarian is wider at p = 1 than at p = 10"] == "0 of 2 layers"
    narrower = found["the gap of random-tokens is narrower at layer 20 than at layer 2"]
    assert narrower == "2 of 2 percentiles"
    assert len(found) == 4 + 2 * 2


@pytest.mark.parametrize(
    ("corpora", "n"), [(["code"], 0), (["random-tokens"], 4), (["bulgarian"], 3), ([], 0)]
)
def test_corpora_that_were_not_read_have_no_claim(corpora, n):
    assert len(here(table(**dict.fromkeys(corpora, 0.1)), corpora)) == n


def test_the_layer_at_the_published_depth():
    assert published_layer([2, 6, 9, 12, 14, 16], 18) == 14
    assert published_layer([2, 12, 22, 27], 30) == 22
    assert published_layer([20], 26) == 20


def test_p_of_one_is_replaced_by_the_shown_one():
    rows = table(**{"random-tokens": 0.2})
    rows = rows[rows.p == 10]
    found = distance_claims(rows, ["random-tokens"], "web", 26, 10)
    assert found.claim[1].startswith("random tokens within θ at p = 10 ")

import pandas as pd
import pytest
import torch

from epkit.stats import Interval
from epkit.studies.ood.published import distance_claims
from epkit.studies.ood.readings import EP
from epkit.studies.ood.separation import Separation

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


def here(rows, corpora, without=None):
    found = distance_claims(rows, corpora, "web", 26, 1, without)
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
    assert found["the gap of code is wider at p = 1 than at p = 10"] == "2 of 2 layers"
    assert found["the gap of bulgarian is wider at p = 1 than at p = 10"] == "0 of 2 layers"
    assert found["the gap of code is narrower at layer 20 than at layer 2"] == "2 of 2 percentiles"
    assert len(found) == 4 + 2 * 3


@pytest.mark.parametrize(
    ("corpora", "n"), [(["code"], 2), (["random-tokens"], 4), (["bulgarian"], 3), ([], 0)]
)
def test_corpora_that_were_not_read_have_no_claim(corpora, n):
    assert len(here(table(**dict.fromkeys(corpora, 0.1)), corpora)) == n


def test_a_build_without_cyrillic_documents_has_claims_of_its_own():
    names = {"web": 0.4, "bulgarian": 0.6, "random-tokens": 0.5}
    rng = torch.Generator().manual_seed(0)
    scores = {
        (EP, layer, p): [{n: m + 0.01 * torch.rand(6, 5, generator=rng) for n, m in names.items()}]
        for layer in LAYERS
        for p in PERCENTILES
    }
    rows = table(**{"bulgarian": -0.1, "random-tokens": 0.2})
    found = here(rows, ["bulgarian", "random-tokens"], Separation(scores, "web"))
    own = {claim: said for claim, said in found.items() if claim.startswith("build without")}
    assert len(own) == 4
    begin = "build without Cyrillic documents: "
    assert own[begin + "Bulgarian is farther than held-out text"] == "4 of 4 settings"
    assert own[begin + "random tokens are farther than Bulgarian"] == "0 of 4 settings"


def test_p_of_one_is_replaced_by_the_shown_one():
    rows = table(**{"random-tokens": 0.2})
    rows = rows[rows.p == 10]
    found = distance_claims(rows, ["random-tokens"], "web", 26, 10, None)
    assert found.claim[1].startswith("random tokens within θ at p = 10 ")

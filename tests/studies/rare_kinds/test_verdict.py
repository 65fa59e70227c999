"""The sentences follow the numbers."""

import numpy as np
import pandas as pd
import pytest

from epkit.studies.rare_kinds.kinds import NO_KIND
from epkit.studies.rare_kinds.readers import EP, KMEANS, RANDOM, REFINED, SAE_LARGEST
from epkit.studies.rare_kinds.verdict import RareFindings

KINDS = ["a", "b", "c"]
FOUND = {EP: 1.0, REFINED: 1.0, RANDOM: 0.0, KMEANS: 0.5, SAE_LARGEST: 0.2}
READ = {EP: 2.0, REFINED: 3.0, RANDOM: 6.0, KMEANS: 4.0, SAE_LARGEST: np.nan}


def findings(found=FOUND, read=READ, none=0.2, kinds=KINDS):
    rows = []
    for prevalence in (0.1, 0.5):
        for i, kind in enumerate((*kinds, NO_KIND)):
            for method, share in found.items():
                if kind == NO_KIND:
                    share = none if method == EP else 0.0
                elif prevalence == 0.5:
                    share = 1.0
                rows.append({
                    "prevalence": prevalence, "p": 4, "method": method, "kind": kind, "K": 900,
                    "found": share, "recall": share / 10, "false_share": 0.001 * i,
                    "log2_read": read[method] + i / 10, "log2_random": 6.0 + i / 5,
                    "seen": float(read[method] < 5), "streams": 5,
                    "rule": "few members" if method != SAE_LARGEST else "",
                })  # fmt: skip
    return RareFindings(pd.DataFrame(rows), "a", 0.1, 4, 25, 25_000)


def test_the_verdict_to_the_letter():
    assert findings().sentences() == [
        "25 of 25,000 activations (0.1 %), p 4, K ≈ 900, 3 kinds: runs with a region of the kind: "
        "EP 15 of 15, recall 0.10; EP refined 15 of 15, recall 0.10; random exemplars 0 of 15, "
        "recall 0.00; k-means 8 of 15, recall 0.05; TopK SAE, largest latent 3 of 15, recall 0.02.",
        "  EP less EP refined: found +0.00 [+0.00, +0.00], EP is not shown to differ; recall "
        "+0.000 [+0.000, +0.000], not shown to differ; false share +0.0000.",
        "  EP less random exemplars: found +1.00 [+1.00, +1.00], EP is ahead; recall +0.100 "
        "[+0.100, +0.100], ahead; false share +0.0000.",
        "  EP less k-means: found +0.50 [+0.50, +0.50], EP is ahead; recall +0.050 "
        "[+0.050, +0.050], ahead; false share +0.0000.",
        "  EP less TopK SAE, largest latent: found +0.80 [+0.80, +0.80], EP is ahead; recall "
        "+0.080 [+0.080, +0.080], ahead; false share +0.0000.",
        "Passages of web text that are no kind have a region of EP in 20% of runs; 3 of 3 kinds "
        "have one more often, never: none.",
        "At 0.5 %, p 4 (K ≈ 900): EP 15 of 15; ahead of none; behind none.",
        "Without knowing the kinds, rules chosen on a, tested on 2 others: EP (few members) 4 "
        "regions until a kind is seen, 0.06 [0.04, 0.09] of what random order takes, within 50 in "
        "100%; EP refined (few members) 9 regions until a kind is seen, 0.11 [0.07, 0.17] of what "
        "random order takes, within 50 in 100%; random exemplars (few members) 71 regions until a "
        "kind is seen, 0.90 [0.58, 1.40] of what random order takes, within 50 in 0%; k-means (few "
        "members) 18 regions until a kind is seen, 0.23 [0.15, 0.35] of what random order takes, "
        "within 50 in 100%.",
        "  EP's reading is 0.50 [0.50, 0.50] of that of EP refined: fewer.",
        "  EP's reading is 0.06 [0.06, 0.06] of that of random exemplars: fewer.",
        "  EP's reading is 0.25 [0.25, 0.25] of that of k-means: fewer.",
        findings().answer(),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "than random exemplars, k-means, TopK SAE, largest latent; not shown for EP refined."),
        ({"found": FOUND | {KMEANS: 1.0}}, "not shown for EP refined, k-means."),
        ({"found": FOUND | {EP: 0.0}}, "in more runs than none; not shown for EP refined, random"),
    ],
)
def test_the_answer_follows_what_is_found(given, said):
    assert said in findings(**given).answer()


@pytest.mark.parametrize(
    ("read", "shown"),
    [(READ, True), (READ | {EP: 6.5}, False), (READ | {RANDOM: 1.0}, False)],
)
def test_reading_must_be_sooner_than_random_order_and_random_exemplars(read, shown):
    made = findings(read=read)
    assert made.unlike_holds() == shown
    assert made.answer().endswith("random exemplars do." if shown else "do is not shown.")


def test_kinds_that_are_found_no_more_often_than_none_are_counted():
    said = "\n".join(findings(none=1.0).sentences())
    assert "in 100% of runs; 0 of 3 kinds have one more often, never: none." in said
    said = "\n".join(findings(found=FOUND | {EP: 0.0}).sentences())
    assert "0 of 3 kinds have one more often, never: a, b, c." in said


def test_behind_is_said_too():
    said = "\n".join(findings(found=FOUND | {EP: 0.1, KMEANS: 0.9}).sentences())
    assert "EP less k-means: found -0.80 [-0.80, -0.80], EP is behind" in said


def test_other_settings_are_told_by_prevalence_and_percentile():
    made = findings()
    other = made.table[made.table.prevalence == 0.1].assign(p=2, K=2000)
    both = RareFindings(pd.concat([made.table, other]), "a", 0.1, 4, 25, 25_000)
    first, second = both.elsewhere()
    assert first.startswith("At 0.1 %, p 2 (K ≈ 2,000): EP 15 of 15; ahead of random exemplars, ")
    assert second == made.elsewhere()[0]


def test_one_kind_that_is_tested_ranks_nothing():
    made = findings(kinds=["a", "b"])
    assert not made.unlike_holds()
    assert not any("Without knowing" in line for line in made.sentences())

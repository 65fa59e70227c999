"""Every wording of the verdict, from made-up numbers."""

import pandas as pd
import pytest
from axbench_examples import aurocs, planted

from epkit.studies.axbench import tables, verdict
from epkit.studies.axbench.comparison import named
from epkit.studies.axbench.configurations import CORPUS, FEW, ONE, TRAINING
from epkit.studies.axbench.rivals import EP, KINDS
from epkit.studies.axbench.verdict import Detection


def detection(**changes):
    found = aurocs(KINDS, **changes)
    return Detection("here", 4, found, found)


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (-0.1, "better than random exemplars at equal K, 0.642"),
        (0.1, "worse than random exemplars at equal K, 0.842"),
        (0.0, "not shown to differ from random exemplars at equal K, 0.742"),
    ],
)
def test_the_answer_names_both_settings_both_rules_the_control_and_the_probes(shift, words):
    said = detection(random_exemplars=shift).answer()
    assert said.startswith(
        "here: mean AUROC of one region per concept, built on unrelated text 0.7"
    )
    assert "; built on own training text 0.7" in said
    assert said.count(" by the best rule (") == said.count(" by the published one (") == 2
    assert said.count(words) == 4
    assert said.count("detectable") == (0 if shift else 4)
    assert said.endswith(
        "Fitted to labels: DiffMean 0.740, linear probe 0.740, probe on max-pooled rows 0.740."
    )


def test_kinds_are_ranked_and_sorted_by_what_they_are_beside_random_exemplars():
    lines = detection(EP=-0.1, k_means=0.1).sentences()
    (line,) = [x for x in lines if x.startswith(f"  Equal K (p 4), built on {CORPUS}, {ONE}")]
    assert "k-means 0.8" in line.split(" > ")[0]
    assert line.split(" > ")[-1].startswith("EP 0.641")
    for words in (
        "k-means: better than random exemplars",
        "EP: worse than random exemplars",
        "EP refined, ITDA: not shown to differ from random exemplars",
        "(EP -0.101 [",
    ):
        assert words in line
    assert len([x for x in lines if "Equal K" in x]) == 4
    assert [x for x in lines if x.startswith(f"  Few regions, built on {TRAINING}: 0.641, worse")]


@pytest.mark.parametrize(("shift", "words"), [(-0.1, "is better than"), (0.1, "is worse than")])
def test_probes_of_either_kind_are_compared(shift, words):
    lines = detection(linear_probe=shift, probe_on_max_pooled_rows=shift).sentences()
    for probe in ("linear probe", "probe on max-pooled rows"):
        wanted = f"  EP, {FEW}, built on {CORPUS}, {words} {probe} ({0.74 + shift:.3f}): "
        assert any(line.startswith(wanted) for line in lines)


def test_an_open_difference_says_what_it_could_have_shown():
    found = aurocs(KINDS)
    found[named(EP, ONE, CORPUS)] = found["DiffMean"] + [[0.1, -0.1, 0.1, -0.1]]
    lines = Detection("here", 4, found, found).sentences()
    (line,) = [x for x in lines if f"{ONE}, built on {CORPUS}, is" in x and "DiffMean" in x]
    assert "is not shown to differ from DiffMean" in line
    assert ", detectable 0.1" in line


def test_recorded_runs_name_both_settings_and_what_was_measured():
    grid = pd.DataFrame([
        {
            "built on": text, "p": p, "basis": basis, "score": "cosine", "rule": rule, "k": k,
            "cv": cv + (p == 1), "AUROC": cv + p / 100, "benchmark": "B",
        }
        for text, more in ((CORPUS, 0.0), (TRAINING, 0.1)) for p in (1, 4)
        for basis, rule, k, cv in (
            ("exemplar", "contrast", 1, 0.5 + more), ("mean", "SAE-A", 1, 0.6 + more),
            ("mean", "SAE-A", 8, 0.7 + more),
        )
    ])  # fmt: skip
    found = aurocs(["EP", "random exemplars"], [TRAINING], random_exemplars=-0.1)
    lines = verdict.recorded_sentences("there", found, [grid])
    assert lines[0].startswith("there, recorded with one order of the stream")
    assert lines[1] == (
        f"  B, one region: built on {CORPUS} 0.610 by the best rule, 0.510 by the published one at "
        f"p 1; built on {TRAINING} 0.710 by the best rule, 0.610 by the published one at p 1; "
        f"few regions, built on {CORPUS}: 0.710."
    )
    assert lines[2].startswith(f"  EP, {ONE}, built on {TRAINING}: 0.741, better than random ")
    assert len([x for x in lines if " DiffMean " in x]) == 1
    assert not [x for x in lines[2:] if CORPUS in x]


def test_readouts_are_counted():
    shown = {"Otsu": 0.1, "least squares": -0.1, "cosine": 0}
    base = aurocs([EP], [CORPUS], readings=[ONE], others=[])[named(EP, ONE, CORPUS)][:1]
    table = tables.readout_table(
        {CORPUS: {f"{s}, {r}": base + d for s, d in shown.items() for r in (ONE, FEW)}}
    )
    said = verdict.readout_sentence(table)
    assert said.startswith("Otsu reads better than the cosine in 2 of 2 cases, worse in 0, not ")
    assert "; least squares reads better than the cosine in 0 of 2 cases, worse in 2, not " in said


def test_the_caveat_says_how_few_positives():
    assert "a concept has 10 positive training texts or more" in verdict.caveat(planted(n=10)[1])

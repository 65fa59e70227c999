"""Tests of epkit.studies.sae_and_probes.harness."""

import pandas as pd

from epkit.studies.sae_and_probes.harness import harness_summary


def test_the_summary_pairs_sets_and_averages_draws():
    scores = {"EP": [[0.9, 0.7]], "random exemplars": [[0.8, 0.6], [0.6, 0.6]], "raw": [[1, 1]]}
    rows = [
        {"features": name, "basis": "", "active": 1, "k": 1, "draw": i, "set": j, "test_acc": acc}
        for name, draws in scores.items()
        for i, accs in enumerate(draws)
        for j, acc in enumerate(accs)
    ]
    found = harness_summary(pd.DataFrame(rows)).set_index("features")
    assert found.accuracy["EP"].startswith("0.800")
    assert found.accuracy["random exemplars"].startswith("0.650")
    assert found["less random exemplars"]["EP"].startswith("0.150 [0.100, 0.200]")
    assert found["less random exemplars"]["raw"] == ""

"""What sae-probes' own harness found on exported dictionaries, as recorded in `data/results`.

Does not know: how it was run (`data/results/sae_probes_harness.py`).
"""

import pandas as pd

from epkit.stats import bootstrap_difference, bootstrap_mean


def harness_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy over sets, and less that of random exemplars at equal K, basis and L0.

    Random exemplars are first averaged over draws; 95 % intervals resample sets.

    table : columns features, basis, active, k, set, draw, test_acc; a row a set and an encoder.
    """
    keys, rows = ["features", "basis", "active", "k"], []
    table = table.fillna({"active": 0, "k": 0, "basis": ""})
    scores = table.groupby([*keys, "set"]).test_acc.mean().unstack("set")
    for key, row in scores.iterrows():
        other = ("random exemplars", *key[1:])
        less = bootstrap_difference(row, scores.loc[other]) if key[0] == "EP" else ""
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"accuracy": str(bootstrap_mean(row)), "less random exemplars": str(less)}
        )
    return pd.DataFrame(rows)

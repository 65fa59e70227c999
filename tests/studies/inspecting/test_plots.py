import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from region_examples import built_atlas

from epkit.lm.lens import logit_lens, token_texts
from epkit.lm.text import label_of
from epkit.studies.inspecting.plots import plot_shared_kinds, promotion_labels


def test_bars_are_shares_of_groups_from_the_narrowest_trait_to_none():
    kinds = {"some": np.array(["token", "none", "class", "none"]), "others": np.array(["none"])}
    figure = plot_shared_kinds(kinds)
    (ax,) = figure.axes
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert names == ["token", "word", "ending", "after", "class", "none"]
    assert [[bar.get_height() for bar in group] for group in ax.containers] == [
        [0.25, 0, 0, 0, 0.25, 0.5],
        [0, 0, 0, 0, 0, 1],
    ]
    plt.close(figure)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["far", "near"])
def test_labels_name_the_exemplar_and_what_its_mean_promotes(far, given):
    model, atlas = built_atlas([1], [5])
    d = atlas[1, 5]
    found = promotion_labels(model, d.to(far) if given == "far" else d, [3, 0])
    assert list(found) == [3, 0]
    ids = logit_lens(model, d.means[[3]], 2).promoted[0]
    (exemplar,) = token_texts(model.tokenizer, d.members.token_of(d.exemplar_index[[3]]))
    first, second = (label_of(t) for t in token_texts(model.tokenizer, ids))
    assert found[3] == f"{label_of(exemplar)} → {first} {second}"

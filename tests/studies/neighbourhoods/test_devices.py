"""The tables of the study, from dictionaries and activations on a device: the same numbers."""

from functools import partial

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from tiny_models import tiny_llama

import epkit
from epkit.blocks.nearest import nearest
from epkit.studies.neighbourhoods import (
    betweenness,
    excess,
    neighbours,
    nesting,
    paths,
    plots,
    recurrence,
    sharing,
    sizes,
)
from epkit.studies.neighbourhoods import kinds as study_kinds
from epkit.studies.neighbourhoods.words import RegionNames, StreamWords

pytestmark = pytest.mark.slow

N, LEVELS = 500, [8, 4]
X = mixture(N, 16)
DOCUMENT = np.arange(N) // 20


class Scene:
    """What the notebook has after its first cells, on a device; the activations are given as x."""

    def __init__(self, device, x):
        self.x, self.device = x, device
        self.cal = epkit.calibrate(X, LEVELS, device=device)
        self.ep = epkit.partition(X, LEVELS, calibration=self.cal, device=device)
        self.u = self.ep[8].directions(x)
        self.random = {p: epkit.random_dictionary(d, x) for p, d in self.ep.items()}
        self.kinds = {
            "EP": self.ep,
            "random exemplars": self.random,
            "made-up directions": neighbours.made_up_like(self.ep, self.u),
        }
        self.regions = {
            name: {p: nearest(self.u, d.exemplars)[0].cpu().numpy() for p, d in kind.items()}
            for name, kind in self.kinds.items()
        }
        token = [" abcdefghij"[: 2 + i % 5] for i in range(N)]
        self.words = StreamWords.from_texts(token, [""] * N, DOCUMENT)
        self.model = tiny_llama()


def anchors(s):
    return betweenness.anchor_table(s.ep, s.random, {("a", "b"): {8: (0, 1), 4: (2, 5)}})


def lying(s):
    runs = study_kinds.runs_by_kind(s.ep, s.x, 2, 2)
    made = [d for kinds in runs.values() for some in kinds.values() for d in some]
    assert {d.exemplars.device.type for d in made} == {s.device.type}
    table = excess.excess_table(study_kinds.between_by_kind(runs, "means"), "near")
    return table.assign(**{"EP more": [more or (0.0,) * 3 for more in table["EP more"]]}).fillna(0)


def drawn(s):
    name = partial(RegionNames(s.model, s.words).of, s.ep[4], s.regions["EP"][4])
    bridge = betweenness.bridge(s.ep[4], 0, 5, "p 4", name)
    graph = neighbours.neighbour_graph(s.ep[4].exemplars, 12)
    route = paths.route("EP", ("a", "b"), graph, 0, 5, name)
    plots.plot_bridges([bridge], "title")
    plots.plot_routes([route], "title")
    return pd.DataFrame({"said": [str(bridge.title), bridge.a, str(len(route.labels))]})


def walked(s):
    graphs = {
        (name, p): neighbours.neighbour_graph(d.exemplars, 12)
        for name, kind in s.kinds.items()
        for p, d in kind.items()
    }
    table, _ = paths.compare_paths(s.kinds, graphs, s.u[:24].view(12, 2, -1))
    return table


def nested(s):
    fresh = {p: epkit.random_dictionary(d, s.x, seed=1) for p, d in s.ep.items()}
    return nesting.nesting_table(s.ep, s.random, fresh, s.regions, s.u, DOCUMENT)


def shared(s):
    hoods = {
        name: sharing.Neighbourhood.of(
            s.model, s.words, s.kinds[name][4], s.regions[name][4], min_members=4
        )
        for name in ("EP", "random exemplars")
    }
    near = {name: hood.share(hood.pairs()) for name, hood in hoods.items()}
    far = {name: hood.share(hood.pairs_of_equal_size()) for name, hood in hoods.items()}
    control = hoods["random exemplars"]
    assert len(sharing.sharing_curves(hoods))
    equal = control.share(control.pairs_as_far_as(hoods["EP"]))
    return sharing.sharing_table(near, far, equal)


def sized(s):
    found = sizes.region_sizes(s.ep[4], s.regions["EP"][4], s.u)
    plots.plot_distributions(*sizes.size_panels({"EP": found}), "title")
    return found


def recurring(s):
    found = recurrence.found_on_half(s.x, s.u, s.cal, N // 2, s.words.word)
    plots.plot_new_members(recurrence.recurrence_by_size(found[4]), "title")
    return recurrence.recurrence_table({(1, p): one for p, one in found.items()})


def numbers(table):
    """Every number of a table, those of intervals too."""
    flat = [v for value in table.to_numpy().ravel() for v in np.atleast_1d(np.array(value))]
    return [v for v in flat if isinstance(v, int | float | np.number)]


TABLES = [anchors, lying, drawn, walked, nested, shared, sized, recurring]


@pytest.mark.parametrize("given", ["far", "near"])
def test_tables_do_not_depend_on_where_the_activations_are(far, given):
    here = Scene(torch.device("cpu"), X)
    there = Scene(far, X.to(far) if given == "far" else X)
    made = there.kinds["made-up directions"]
    assert {d.exemplars.device.type for d in made.values()} == {far.type}
    for work in TABLES:
        found, wanted = work(there), work(here)
        assert list(found.columns) == list(wanted.columns)
        assert list(found.index) == list(wanted.index)
        np.testing.assert_allclose(
            numbers(found), numbers(wanted), rtol=1e-3, atol=1e-4, err_msg=work.__name__
        )

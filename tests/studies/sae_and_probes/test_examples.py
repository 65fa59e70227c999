"""Examples of matches: groups by hand, seeded, each beside its match, contexts."""

import numpy as np
import torch
from plot_examples import partition
from region_examples import WordTokenizer, example_dictionary

from epkit.inspect.tables import context_line
from epkit.studies.sae_and_probes.examples import (
    context_reader,
    example_groups,
    match_examples,
)
from epkit.studies.sae_and_probes.feature_match import match_features, top_tokens


def features(*sets, n=60):
    x = torch.zeros(n, len(sets))
    for column, tokens in enumerate(sets):
        for rank, token in enumerate(tokens):
            x[token, column] = 100 - rank
    return top_tokens([x], top=9, min_active=2)


REGIONS = features(range(9), range(20, 29), range(9, 18), [40])
LATENTS = features(range(1, 10), range(26, 35), range(50, 59))
MATCH = match_features(REGIONS, LATENTS)


def test_groups_by_hand():
    groups = {kind: members.tolist() for kind, members in example_groups(MATCH).items()}
    # The last region is left out; the third shares one token with the first latent.
    assert groups == {"shared": [0], "region's own": [2], "latent's own": [2]}


def test_examples_stand_beside_their_match():
    rows = match_examples(MATCH, REGIONS, LATENTS, str).to_dict("records")
    assert [row[""] for row in rows] == ["shared", "region's own", "latent's own"]
    shared, alone, latent = rows
    assert (shared["region"], shared["latent"], round(float(shared["F1"]), 3)) == (0, 0, 0.889)
    assert shared["region's tokens"] == ["0", "3", "6"]
    assert shared["latent's tokens"] == ["1", "4", "7"]
    assert (alone["region"], alone["latent"]) == (2, 0)
    assert (latent["region"], latent["latent"], latent["F1"]) == ("—", 2, 0)
    assert latent["region's tokens"] == ""


def test_a_group_gives_no_more_than_asked_and_the_draw_is_seeded():
    x = torch.rand(500, 40, generator=torch.Generator().manual_seed(0))
    own = top_tokens([x])
    match = match_features(own, own)
    first, again, other = (
        match_examples(match, own, own, str, n=3, seed=seed) for seed in (0, 0, 1)
    )
    assert first[""].value_counts().to_dict() == dict.fromkeys(example_groups(match), 3)
    assert first.equals(again)
    assert not first.equals(other)


def test_contexts_are_those_of_the_stream_whatever_the_dictionary():
    kept = example_dictionary(k=5, n=300)
    other = partition(60, 16, 10, 1)
    read = context_reader(kept.members, other, WordTokenizer(), width=2)
    for i in (0, 17, np.int64(280)):
        assert read(i) == context_line(kept, WordTokenizer(), int(i), 2)

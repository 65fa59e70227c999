"""Tables of what regions say: the logit lens, readouts of a prompt, decoding, what members share.

Functions take dictionaries on any device and give pandas frames; activations stay where the
dictionary is, and only the numbers of a table leave it. A frame with token text is to be shown by
`inspect.tables.text_table`.

Does not know: models; how members were drawn (`members`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epkit import readouts
from epkit.dictionary import Dictionary
from epkit.inspect.regions import Regions
from epkit.lm.chunks import means_by_document
from epkit.lm.lens import LogitLens
from epkit.lm.text import label_of
from epkit.stats import bootstrap_difference, bootstrap_mean
from epkit.studies.inspecting.members import Grouping, MemberTokens

EP, RANDOM, CHANCE = "EP regions", "regions of random exemplars", "random groups, same sizes"
"""The groups that are compared, as the tables name them."""

SHARE, HELD = "share evident", "share of all activations in them"


def lens_words(
    regions: Regions, lens: Mapping[str, LogitLens], drawn: Sequence[int], n: int = 6
) -> pd.DataFrame:
    """The n tokens that each drawn region promotes and suppresses most, one row per region.

    lens : {"mean": of the dictionary's means, "exemplar": of its exemplars}.
    """

    def words(ids: Tensor) -> str:
        return "  ".join(label_of(t) for t in regions.texts(ids[:n]))

    return pd.DataFrame([
        {
            "region": r, "exemplar": regions.labels[r],
            "promoted (mean)": words(lens["mean"].promoted[r]),
            "suppressed (mean)": words(lens["mean"].suppressed[r]),
            "promoted (exemplar)": words(lens["exemplar"].promoted[r]),
        }
        for r in drawn
    ])  # fmt: skip


def promotion_table(
    tokens: MemberTokens,
    own: Grouping,
    lens: Mapping[str, LogitLens],
    around_random: Grouping,
    random_lens: Mapping[str, LogitLens],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """How often the token after a member is among those its region promotes: a row per basis.

    lens : by basis, one row for each of the K regions; random_lens : one for each of the large
    regions of `around_random`. "another region" is one drawn at random for each. `Interval` cells.
    """
    other, rows = np.random.default_rng(seed).permutation(own.large), []
    for basis in readouts.BASES[::-1]:
        promoted = lens[basis].promoted
        first = tokens.promoted_shares(own.large_members, promoted[own.large])
        mixed = tokens.promoted_shares(own.large_members, promoted[other])
        random = tokens.promoted_shares(around_random.large_members, random_lens[basis].promoted)
        rows.append({
            "basis": basis, "own region": bootstrap_mean(first),
            "another region": bootstrap_mean(mixed),
            "own minus another": bootstrap_difference(first, mixed),
            "region of a random exemplar": bootstrap_mean(random),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("basis")


def prompt_readouts(regions: Regions, a: Tensor, texts: Sequence[str]) -> pd.DataFrame:
    """A prompt read in several ways, one row per token.

    a : (N, D) activations of its tokens; texts : of the same N tokens.
    """
    d = regions.dictionary

    def named(region: int) -> str:
        return f"{region} ({regions.labels[region]})"

    three = readouts.cosine(d, a).topk(3)
    tops = zip(three.indices.tolist(), three.values.tolist(), strict=True)
    cut = readouts.otsu_cut(d, a)
    return pd.DataFrame({
        "token": [label_of(t) for t in texts],
        "one-hot": [named(r) for r in readouts.one_hot(d, a).indices()[1].tolist()],
        "top 3 cosines, mean basis": [
            "  ".join(f"{named(r)} {v:.2f}" for r, v in zip(*top, strict=True)) for top in tops
        ],
        "largest signed": readouts.top_k(d, a, 1).to_dense().max(1).values.tolist(),
        "regions in the Otsu cut": cut.indices()[0].bincount(minlength=len(a)).tolist(),
    })  # fmt: skip


READOUTS = {
    "one-hot": readouts.one_hot,
    "top 8, signed": lambda d, h, basis: readouts.top_k(d, h, 8, basis),
    "top 32, signed": lambda d, h, basis: readouts.top_k(d, h, 32, basis),
    "Otsu cut": readouts.otsu_cut,
}


def decoding_table(d: Dictionary, random: Dictionary, h: Tensor, document: Tensor) -> pd.DataFrame:
    """How much of an activation is left after a readout: the cosine of `decode` − c with a − c.

    One row per basis and readout, with `Interval`s over documents, for a dictionary and for random
    exemplars seen from the same centre.

    h : (N, D) activations, moved to the dictionary's device whole; document : (N,) of each.
    """
    h = h.float().to(d.centre.device)

    def cosine(dictionary: Dictionary, f: Tensor, basis: str) -> Tensor:
        c = dictionary.centre
        left = torch.cosine_similarity(readouts.decode(dictionary, f, basis) - c, h - c)
        return means_by_document(left, document)

    rows = []
    for basis in readouts.BASES:
        for name, read in READOUTS.items():
            f = read(d, h, basis)
            own, rand = cosine(d, f, basis), cosine(random, read(random, h, basis), basis)
            rows.append({
                "basis": basis, "readout": name, "entries per token": f._nnz() / len(h),
                "cosine with a − c": bootstrap_mean(own), "random exemplars": bootstrap_mean(rand),
                "difference": bootstrap_difference(own, rand),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index(["basis", "readout"])


def drawn_table(
    d: Dictionary, own: Grouping, tokens: MemberTokens, drawn: Sequence[int]
) -> pd.DataFrame:
    """What the members of each drawn region share, with those members after the token before.

    "evident" is "–" where they share nothing.
    """
    found = tokens.shared([own.members[r] for r in drawn])
    return pd.DataFrame([
        {
            "region": r, "members": int((own.region == r).sum()),
            "coherence": float(d.coherence[r]), "evident": f.kind if f.kind != "none" else "–",
            "what": str(f) if f.kind != "none" else f"(nearest: {f})",
            "members drawn": "  |  ".join(
                f"{label_of(tokens.before[i])} ⟦{label_of(tokens.token[i])}⟧"
                for i in own.members[r]
            ),
        }
        for r, f in zip(drawn, found, strict=True)
    ])  # fmt: skip


def evidence_table(
    kinds: Mapping[str, np.ndarray], groupings: Mapping[str, Grouping]
) -> pd.DataFrame:
    """Shares of groups that share something evident, and of all activations in them.

    kinds : {groups: (G,) of `MemberTokens.kinds`}; groupings : of those groups that are a
    partition's large regions. `Interval` cells, "–" where groups are no partition's.
    """
    rows = []
    for name, found in kinds.items():
        held = "–"
        if name in groupings:
            held = bootstrap_mean(groupings[name].held(found != "none"))
        share = bootstrap_mean(found != "none")
        rows.append({"groups": name, "n": len(found), SHARE: share, HELD: held})
    return pd.DataFrame(rows).set_index("groups")

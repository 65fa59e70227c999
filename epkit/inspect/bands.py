"""The kept members of a region in three bands of distance: near, middle and far.

The bands are of equal width between the closest and the farthest member; both ends are known
exactly, since a dictionary keeps the closest and the farthest of all members. How full a band is,
the members drawn at random tell.

Does not know: HTML, where members come from.
"""

from dataclasses import replace

from epkit.inspect.card import Card, Context

BANDS = ("Near", "Middle", "Far")

SHOWN = 8
"""Contexts of a band."""


def in_bands(card: Card) -> Card:
    """The card with its contexts, each once, by band in order of distance, in place of by kind."""
    drawn = card.members.get("random", card.members.get("all", []))
    contexts = {
        (c.distance, c.at, c.before, *c.tokens, c.after): c
        for several in card.members.values()
        for c in several
    }
    gaps = [c.distance for c in contexts.values()]
    low, high = min(gaps, default=0.0), max(gaps, default=0.0)
    width = (high - low) / len(BANDS)

    def band(context: Context) -> int:
        return min(int((context.distance - low) / max(width, 1e-9)), len(BANDS) - 1)

    members: dict[str, list[Context]] = {}
    for i, name in enumerate(BANDS):
        own = sorted((c for c in contexts.values() if band(c) == i), key=lambda c: c.distance)
        share = sum(band(c) == i for c in drawn)
        ends = f"{low + i * width:.3f} … {low + (i + 1) * width:.3f}"
        members[f"{name}: {ends}, {share} of {len(drawn)} drawn at random"] = own[:SHOWN]
    return replace(card, members=members)

"""A region's counterpart in another dictionary of the same stream.

At the same layer it is the region with the nearest exemplar. Directions of different layers cannot
be compared, so at another layer it is the region in which the exemplar's own token lies there.

Does not know: HTML, widgets.
"""

import numpy as np
import torch

from epkit.geometry import distances
from epkit.inspect.regions import Regions


def counterpart(region: int, here: Regions, there: Regions) -> tuple[int, str]:
    """The counterpart of a region, and in a sentence why it is.

    Raises ValueError where it cannot be told: another stream, or another layer without its
    activations.
    """
    a, b = here.dictionary, there.dictionary
    if not torch.equal(a.members.tokens, b.members.tokens):
        raise ValueError("the dictionaries are of different streams: they have no counterparts")
    if a.metadata.get("layer") == b.metadata.get("layer") and torch.equal(a.centre, b.centre):
        gap = distances(a.exemplars[region : region + 1], b.exemplars)[0]
        other = int(gap.argmin())
        return other, f"nearest exemplar, {float(gap[other]):.3f} away"
    if there.source is None:
        raise ValueError("a counterpart at another layer needs the model or its activations")
    place = here.text.places[int(a.exemplar_index[region])]
    x = there.source.fetch(np.array([place]))
    if not bool(x.isfinite().all()):
        raise ValueError("the exemplar's token has no activation at that layer")
    other, gap = (float(part[0]) for part in b.assign(x))
    return int(other), f"the exemplar's token lies here, {gap:.3f} from this exemplar"

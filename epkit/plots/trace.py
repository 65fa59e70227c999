"""The picture of a trace: a prompt's path through the regions of every layer.

Does not know: models, tokenizers.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from epkit.checks import whole
from epkit.lm.trace import Trace
from epkit.plots.labels import drawable


def plot_trace(
    trace: Trace, per_row: int = 16, *, names: Mapping[int, Sequence[str]] | None = None
) -> Figure:
    """A prompt's path: a cell per token and layer, coloured by distance, with the region's number.

    A number in brackets is that of a region farther than θ. Long prompts go on below, `per_row`
    tokens to a row. Tokens that are not clustered (BOS) stay grey. With `names`, {layer: K names},
    cells are wider and say the region's name under its number.
    """
    per_row = whole("per_row", per_row, 1)
    n, layers = len(trace.tokens), len(trace.layers)
    rows = -(-n // per_row)
    named = None if names is None else trace.named(names)
    wide, tall = (0.68, 0.34) if named is None else (1.1, 0.48)
    figure, axes = plt.subplots(
        rows, 1, figsize=(wide * min(n, per_row) + 2, rows * (tall * layers + 0.9) + 0.5),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    colours = plt.get_cmap("viridis_r").with_extremes(bad="0.85")
    highest = max(1e-6, float(trace.distance.nan_to_num(0).max()))
    for row, ax in enumerate(axes[:, 0]):
        part = slice(row * per_row, min((row + 1) * per_row, n))
        distance = trace.distance[:, part].cpu().numpy()
        image = ax.imshow(distance, cmap=colours, vmin=0, vmax=highest, aspect="auto")
        for (y, x), d in np.ndenumerate(distance):
            region = int(trace.region[y, part.start + x])
            text = f"{region}" if trace.within[y, part.start + x] else f"({region})"
            if named is not None:
                text += f"\n{drawable(named[y][part.start + x] or ' ', 16)}"
            colour = "white" if d > 0.55 * highest else "black"
            ax.text(
                x,
                y,
                text if region >= 0 else "",
                ha="center",
                va="center",
                color=colour,
                fontsize=None if named is None else 6.5,
            )
        texts = [drawable(text, 12) for text in trace.texts[part]]
        ax.set_xticks(range(len(texts)), texts, rotation=35, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(layers), trace.layers)
        ax.set(ylabel="layer", xlim=(-0.5, min(n, per_row) - 0.5))
        sns.despine(ax=ax, left=True, bottom=True)
    axes[-1, 0].set_xlabel("token")
    figure.colorbar(image, ax=axes[:, 0], label="distance to exemplar", pad=0.01)
    figure.suptitle("Path of a prompt: its tokens' regions (in brackets: farther than θ)")
    return figure

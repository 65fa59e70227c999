"""The picture of every notebook, as the README shows it.

`python -m epkit.runner.pictures` writes them anew. A notebook's picture is the first one that its
cell tagged `picture` has put out, by itself or inside HTML; it is copied as it is to
`notebooks/pictures/`, so that the README shows what the committed notebook shows.

Does not know: what is in the pictures, the README.
"""

from __future__ import annotations

from pathlib import Path

import nbformat

from epkit.runner.profiles import find_notebooks
from epkit.runner.said import picture

FOLDER = "pictures"


def write_pictures(root: Path) -> list[Path]:
    """Write `notebooks/pictures/<notebook>.png` for every notebook under `root`; their paths."""
    written = []
    for path in find_notebooks(root):
        target = path.parent / FOLDER / f"{path.stem}.png"
        target.parent.mkdir(exist_ok=True)
        if (drawn := picture(nbformat.read(path, as_version=4))) is None:
            raise ValueError(
                f"{path.name} has no picture: tag one executed cell that draws a figure with "
                "`picture` and run the notebook"
            )
        target.write_bytes(drawn)
        written.append(target)
    return written


if __name__ == "__main__":
    for path in write_pictures(Path(__file__).resolve().parents[2]):
        print(path.name)

"""The picture of every notebook, as the README shows it.

`python -m epkit.runner.pictures` writes them anew. A notebook's picture is the first one that its
cell tagged `picture` has put out, by itself or inside HTML; it is copied as it is to
`notebooks/pictures/`, so that the README shows what the committed notebook shows.

Does not know: what is in the pictures, the README.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat

from epkit.runner.pages import tagged
from epkit.runner.profiles import find_notebooks

FOLDER = "pictures"


def picture(notebook: nbformat.NotebookNode) -> bytes:
    """The PNG of a notebook's cell tagged `picture`; ValueError where there is none."""
    for cell in tagged(notebook, "picture"):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            inside = re.search(r'src="data:image/png;base64,([^"]+)"', data.get("text/html", ""))
            if "image/png" in data or inside:
                return base64.b64decode(data.get("image/png") or inside[1])
    raise ValueError(
        "no picture: tag one executed cell that draws a figure with `picture` and run the notebook"
    )


def write_pictures(root: Path) -> list[Path]:
    """Write `notebooks/pictures/<notebook>.png` for every notebook under `root`; their paths."""
    written = []
    for path in find_notebooks(root):
        target = path.parent / FOLDER / f"{path.stem}.png"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(picture(nbformat.read(path, as_version=4)))
        written.append(target)
    return written


if __name__ == "__main__":
    for path in write_pictures(Path(__file__).resolve().parents[2]):
        print(path.name)

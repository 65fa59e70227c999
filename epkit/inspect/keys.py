"""Keys of an explorer, by a script that presses its buttons; without it the buttons remain.

The script is put out as a notebook's own JavaScript, which JupyterLab, VS Code and Colab run for a
cell that has just been run and strip from a page that is only looked at.

Does not know: what the buttons do.
"""

from pathlib import Path

import ipywidgets as w

SCRIPT = (Path(__file__).parent / "assets" / "keys.js").read_text(encoding="utf-8")

HINT = "keys: / search, j next, k previous, Esc back"


def key_script(name: str) -> w.Output:
    """A widget without a face that listens to the keys of the explorer with a class name."""
    script = SCRIPT.replace("NAME", name)
    output = {
        "output_type": "display_data",
        "data": {"application/javascript": script, "text/plain": HINT},
        "metadata": {},
    }
    return w.Output(outputs=(output,), layout={"height": "0", "overflow": "hidden"})

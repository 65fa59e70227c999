import base64
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import pytest

from epkit.runner import pictures
from epkit.runner.profiles import find_notebooks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = find_notebooks(ROOT)


def notebook(*tags, png=b"png"):
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": "<Figure>"}
    cell = v4.new_code_cell("plt.show()", outputs=[v4.new_output("display_data", data)])
    cell.metadata["tags"] = list(tags)
    text = v4.new_code_cell("1", outputs=[v4.new_output("stream", text="1")])
    return v4.new_notebook(cells=[text, cell])


def test_pictures_are_written_beside_the_notebooks(tmp_path):
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook("picture", png=b"abc"), tmp_path / "notebooks" / "01_a.ipynb")
    (written,) = pictures.write_pictures(tmp_path)
    assert written == tmp_path / "notebooks" / "pictures" / "01_a.png"
    assert written.read_bytes() == b"abc"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_picture_is_the_notebooks_and_the_readme_shows_it(path):
    kept = path.parent / pictures.FOLDER / f"{path.stem}.png"
    assert kept.read_bytes() == pictures.picture(nbformat.read(path, 4)), (
        "run python -m epkit.runner.pictures"
    )
    assert f'src="notebooks/pictures/{path.stem}.png"' in (ROOT / "README.md").read_text("utf-8")


def test_a_notebook_without_a_picture_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook(), tmp_path / "notebooks" / "01_a.ipynb")
    with pytest.raises(ValueError, match=r"01_a.ipynb has no picture: tag one executed cell"):
        pictures.write_pictures(tmp_path)

"""Small notebooks for the tests of what runs notebooks."""

import nbformat
from nbformat import v4


def code(source, *tags):
    return v4.new_code_cell(source, metadata={"tags": list(tags)})


def write_notebook(root, stem, *cells):
    notebook = v4.new_notebook(cells=list(cells))
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    for i, cell in enumerate(notebook.cells):
        cell.id = f"{stem}-{i}"
    nbformat.write(notebook, root / "notebooks" / f"{stem}.ipynb")

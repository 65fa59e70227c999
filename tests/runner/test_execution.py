"""Tests of epkit.runner.execution; how a run goes on and fails is in test_run.py."""

import os

from run_examples import code, write_notebook

from epkit import files
from epkit.runner import execution

WRITES = """from pathlib import Path
from epkit.files import pages_dir
from epkit.inspect.page import page_link
path = pages_dir() / "02_look.regions.html"
path.write_text("<title>All regions</title>")
page_link(path, "all of them")"""


def test_a_page_that_a_notebook_writes_is_linked_from_its_page_and_the_index(tmp_path, monkeypatch):
    monkeypatch.delenv(files.PAGES, raising=False)
    root, folder = tmp_path / "root", tmp_path / "out"
    (root / "notebooks").mkdir(parents=True)
    write_notebook(root, "02_look", code("n = 1", "parameters"), code(WRITES))
    source = root / "notebooks" / "02_look.ipynb"
    execution.run([execution.Job(source, {})], folder, [source])
    assert '<a href="02_look.regions.html">all of them</a>' in (folder / "02_look.html").read_text()
    index = (folder / "index.html").read_text()
    assert '<a href="02_look.regions.html">All regions</a>' in index
    assert files.PAGES not in os.environ

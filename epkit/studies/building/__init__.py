"""Notebook 01: into which regions do activations on plain text fall, and do they cover new text?

- `tables`: what was built, what recounting moves, coverage beside random exemplars, the verdict.
- `plots`: the figure of coverage.
"""

"""Notebook 03: can single regions detect named concepts, as well as probes and SAE latents do?

- `data`: the benchmark's rows and concepts, from the hub or an embedded stand-in.
- `protocol`: AxBench's rules, from rows to activations to row scores to AUROC.
- `methods`: the detectors: regions, latents, linear directions, words.
- `configurations`: dictionaries, every way to read them, and the choice on training rows.
- `comparison`: the methods side by side, with what each costs.
- `tables`: what was found, as tables and sentences; results kept as files.
- `plots`: AUROC against the percentile.
"""

"""Notebook 03: can single regions detect named concepts, as well as probes and SAE latents do?

- `data`: the benchmark's rows and concepts, from the hub or an embedded stand-in.
- `protocol`: AxBench's rules, from rows to activations to row scores to AUROC.
- `methods`: the detectors: regions, latents, linear directions, words.
"""

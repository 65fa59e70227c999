"""Notebook 03: can single regions detect named concepts, as well as probes and SAE latents do?

- `data`: the benchmark's rows and concepts, from the hub or an embedded stand-in.
- `protocol`: AxBench's rules, from rows to activations to row scores to AUROC.
- `methods`: detectors made without labels: regions, latents. `probes`: those fitted to labels.
- `configurations`: dictionaries, every way to read them, and the choice on training rows.
- `rivals`: other dictionaries of the same stream at equal K.
- `comparison`: the methods side by side, with what each costs.
- `tables`, `plots`, `verdict`: what was found. `records`: results kept as files.
"""

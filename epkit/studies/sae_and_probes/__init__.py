"""Notebook 08: do regions and SAE latents find the same, and what can labels be read off?

- `feature_match`: features of two dictionaries that are most active on the same tokens.
- `sets`: labelled sets of the probing suite, split; `probing`: probes on regions and activations.
- `plots`: the figures.
"""

"""Notebook 08: do regions and SAE latents find the same, and what can labels be read off?

- `latents`: whether the SAE is good enough; `feature_match`: features that are most active on the
  same tokens; `comparison`: regions and random exemplars against latents; `examples` of matches.
- `sets`: labelled sets of the probing suite, split; `probing`: probes on regions and activations;
  `scores`: all probes over all sets; `harness`: what the suite's own code found, as recorded.
- `plots`: the figures; `verdict`: the answers in words.
"""

EP, RANDOM = "EP", "random exemplars"
"""What dictionaries are called in tables and figures: exemplars of a partition, or drawn."""

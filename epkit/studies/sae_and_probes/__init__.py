"""Notebook 08: do regions and SAE latents find the same, and what can labels be read off?

- `latents`: whether the SAE is good enough.
- `equal_support`: members of features against latents' top tokens; `comparison`: kinds of
  dictionaries against latents; `examples` of matches.
- `decoding`: how much of an activation least squares over its nearest regions gives back.
- `sets`: labelled sets of the probing suite, split; `strata`: which of them, by how hard they are;
  `probing`: probes on readouts and activations; `scores`: all probes over all sets; `harness`: what
  the suite's own code found, as recorded.
- `plots`: the figures; `verdict`: the answers in words.
"""

from epkit.controls import DRAWN, EP, ITDA, KMEANS, REFINED

RANDOM, SAE = DRAWN, "TopK SAE"
KINDS = (EP, REFINED, KMEANS, ITDA, RANDOM, SAE)
"""What dictionaries are called in tables and figures, and their order there."""

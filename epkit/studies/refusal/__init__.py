"""Notebook 04: is there a region of refusal, and does editing along it take refusal away?

- `prompts`: harmful and benign prompts in three disjoint parts.
- `tuning`: the small model that is taught to refuse.
- `regions`: the regions of final tokens, the one that refuses, its directions and its controls.
- `answers`: answers under an edit, with fluency beside; `judge`: whether an answer refuses.
- `sweep`: partitions at every layer and percentile, and the region to edit in each.
- `trials`: the choice of an edit on few prompts, its controls, and steering.
- `plots`: the figures; `verdict`: the sentences at the end.
"""

"""Notebook 04: does a region of a model's activations carry refusal, and is it specific?

- `prompts`: harmful and benign prompts in three disjoint parts.
- `tuning`: small models that are taught one habit each, so that the truth is known.
- `regions`: the regions of final tokens, the one that refuses, and regions that comply.
- `answers`: answers under an edit, with fluency beside; `judge`: whether an answer refuses.
- `sweep`: partitions at every layer and percentile, the region to edit, its edits and controls.
- `trials`: the choice of an edit on build prompts, its controls, and steering.
- `records`: results kept for another run; `plots`, `verdict`: figures and the last sentences.
"""

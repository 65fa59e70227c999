"""Notebook 06: what does fine-tuning change in the partition, and does what it put in stand out?

- `tokens`: what both checkpoints read, and where an activation stands in a prompt.
- `dictionaries`: both checkpoints' dictionaries in several stream orders, and their controls.
- `agreement`: matched cosines and memberships against the noise floor.
- `final_tokens`: regions of the final token, and the region in which the tuned model refuses.
- `counterparts`: how much a region lacks a counterpart in the other model, and its rank.
- `refusing`: the refusal region beside its counterpart in the base.
- `plots`, `tuning_verdict`: the figures, and the tables in sentences.

Regions are matched by `epkit.matching`.
"""

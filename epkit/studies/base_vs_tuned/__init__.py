"""Notebook 06: does a dictionary of the base show where a fine-tune taught something?

- `rows`: what all checkpoints read, and the places at which a taught habit acts.
- `membership`: tuned activations in the base's dictionary: displacement and exit rate by region.
- `sought`: the rank of a habit's region among all, and the choice of layer, percentile and score.
- `matched`: the published one-to-one match with its noise floor.
- `tables`, `plots`, `verdict`: what is shown, and the tables in sentences.
"""

"""Notebook 02: what do the members of a region share, and what does its direction say?

- `members`: the tokens of members and around them, regions as groups of members, what they share.
- `tables`: the logit lens, readouts and decoding in numbers; the regions that were drawn.
- `verdict`: the answer, in sentences.
- `plots`: what members share as bars.
"""

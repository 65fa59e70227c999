"""Notebook 13: does a dictionary have regions for a kind of text that is rare in its stream?

- `kinds`: the texts that are planted, their activations, and those that are held out.
- `streams`: web text with some activations of every kind at a given prevalence.
- `readers`: what reads an activation at equal K: EP, its controls, the latents of an SAE.
- `found`: regions of a kind, and what they hold of held-out text.
- `unlike`: regions ranked without knowing the kinds, and how many are read until one is seen.
- `trials`: all of it for one stream, a row a reader and kind.
- `tables`, `plots`, `verdict`: how the rows are summed up, drawn and said.
"""

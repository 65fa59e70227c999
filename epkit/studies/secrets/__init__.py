"""Notebook 15: does a dictionary of the base show a word that a fine-tune hides?

- `words`: the words, what is taught of them, the prompts, and the candidates.
- `organisms`: the fine-tunes, and whether each hints at its word and never says it.
- `reading`: what base and organism both read, before an answer and within it.
- `selectors`: scores of regions into which no label goes, and of the nouns that lie in them.
- `naming`: what needs no dictionary: the logit lens, and a forced beginning.
- `search`: selectors tried on one word and tested on others, with controls and rivals.
- `tables`, `plots`, `verdict`: what is shown, and the tables in sentences.
"""

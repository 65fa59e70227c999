"""Notebook 07: does a dictionary stop growing, and do layers and domains differ in size?

- `orders`: documents in other orders and disjoint sets, repeated text.
- `pool`: the streams of all domains, and which rows every build reads.
- `growth`: K along a stream, and whether it is over. `estimates`: how large it would become.
- `builds`: all builds of a layer. `trials`: the estimators where the truth is known.
- `tables`, `claims`, `conclusions`: what the builds say. `plots`: the figures.
"""

"""Notebook 07: does a dictionary stop growing, and do layers and domains differ in size?

- `growth`: streams in other orders, whether their growth is over, estimates of the final size.
- `plots`: the figures.
"""

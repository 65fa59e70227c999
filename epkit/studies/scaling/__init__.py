"""Notebook 14: what many workers would bring, from misses and bytes measured on a real stream.

- `passes`: one pass of the leader rule, from which every way of dealing the stream follows.
- `traffic`: epochs of a pass for any number of workers: misses, founders, bytes.
- `seconds`: time of an epoch from rates; growth beyond the stream; time for any number of GPUs.
- `tables`, `plots`, `verdict`: what the notebook shows and says.
- `python -m epkit.studies.scaling`: times real workers on this machine and records them.
"""

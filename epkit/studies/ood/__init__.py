"""Notebook 05: does the distance to the nearest exemplar tell foreign text from familiar one?

- `texts`: which texts are compared; `scores`: texts of equal length, and the scores that the
  distance is compared with; `readings`: all scores of all texts.
- `separation`: AUROC with intervals over texts, and the tables made of it.
- `alarms`: how often the monitor (`epkit.monitor`) flags texts.
- `published`: published claims beside what is found here.
- `plots`: the figures; `tables`: how numbers are written; `verdict`: the sentences at the end.
"""

"""Notebook 12: do two model families cut the same words into the same regions?

- `alignment`: the words that both streams read, by their last token in either.
- `rivals`: what the regions of the other model are compared with: k-means of the texts' TF-IDF,
  the words themselves, permutations.
- `correspondence`: pairs found on one half of the documents and tested on the other.
- `tables`, `verdict`, `plots`: the pairs by name, the answer in sentences, the picture.
"""

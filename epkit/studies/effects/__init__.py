"""Notebook 11: do regions do to the model what their logit lens says?

- `rest`: the blocks after a layer, run again on residual streams that were changed there.
- `drawing`: the texts, the regions, random exemplars and random directions that are tried.
- `measures`: what an edit does to logits, to the next-token distribution and to the loss.
- `tables`: means, the shares that pass the rule, and what goes with passing.
- `verdict`, `plots`: the answer in sentences and as a picture.
"""

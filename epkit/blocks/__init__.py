"""How one block of a stream is worked through on a device, exactly and fast.

- `products`: matrix products that propose, and how far they can be from the truth.
- `shelf`: the exemplars of several dictionaries side by side, so that one product serves them all.
- `sizes`: how much of a block is looked at exactly, without asking the device each time.
- `nearest`: the nearest exemplar of every row, proposed by a product and decided exactly.
- `founders`: which rows of a block found regions, and which rows join those.
"""

"""Studies: what each notebook from 03 on needs beyond the kit, a folder each.

Read a study to see how its notebook comes to its numbers, or to take a piece of it; the kit itself
imports none of them, and no study imports another.
"""

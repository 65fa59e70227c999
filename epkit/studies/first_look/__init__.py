"""Study of notebook 00: a dictionary that is looked at before any model is loaded.

`shipped` loads the one that comes with the kit, `making` makes it; `walk` and `game` choose what is
looked at, `views` draws it, `panels` are the live controls.
"""

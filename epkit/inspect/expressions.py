"""Regular expressions typed by somebody: read, or refused before they can do harm.

What exceeds the limits here can take seconds and gigabytes before it is matched with anything.

Does not know: what an expression is matched with.
"""

import regex

LONGEST, DEEPEST, MOST_COPIES = 200, 6, 1000
"""Characters of an expression, brackets in brackets, and the product of its counts in braces."""

_RECURSION = regex.compile(r"\(\?(?:R|[+-]?\d|&|P>)")


def compiled(pattern: str) -> regex.Pattern:
    """An expression, whatever the case; ValueError, in a sentence, for one that is refused."""
    if len(pattern) > LONGEST:
        raise ValueError(f"the expression has {len(pattern):,} characters; use at most {LONGEST}")
    if _RECURSION.search(pattern):
        raise ValueError("the expression calls itself, as (?R) does; write it without recursion")
    depth = _depth(pattern)
    if depth > DEEPEST:
        raise ValueError(
            f"the expression has brackets {depth} deep; use at most {DEEPEST} in one another"
        )
    copies = 1
    for braces in regex.findall(r"\{[^{}]*\}", pattern):
        for count in regex.findall(r"[0-9]{1,9}", braces):
            copies *= max(int(count), 1)
    if copies > MOST_COPIES:
        raise ValueError(
            f"the counts of the expression multiply to {copies:,}; use at most {MOST_COPIES:,}"
        )
    try:
        return regex.compile(pattern, regex.IGNORECASE | regex.VERSION0)
    except (regex.error, ValueError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


def _depth(pattern: str) -> int:
    """How deep its round brackets lie in one another; those escaped or in a class are no brackets.

    An unclosed class hides what follows; such an expression is refused when it is compiled.
    """
    plain = regex.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern, flags=regex.DOTALL)
    depth = deepest = 0
    for c in plain:
        depth += (c == "(") - (c == ")")
        deepest = max(deepest, depth)
    return deepest

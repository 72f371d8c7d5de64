"""What callers give: a value of a wrong kind is wrong use, named, with the way out.

A type checker says the same, and a text is a sequence of texts to it all the same.
"""

from pipelines._errors import UsageError

__all__ = ["number", "texts"]


def texts(name: str, given: object) -> tuple[str, ...]:
    """Take several texts.

    Raises:
        UsageError: it is one text, or something else.
    """
    if isinstance(given, list | tuple | set | frozenset) and all(isinstance(t, str) for t in given):
        return tuple(sorted(given)) if isinstance(given, set | frozenset) else tuple(given)
    way = f"[{given!r}]" if isinstance(given, str) else "['x', 'y']"
    raise UsageError(f"{name} is a list of texts, such as {way}; got {given!r}")


def number(name: str, given: object, what: str) -> float:
    """Take a number; `what` says which.

    Raises:
        UsageError: it is none.
    """
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    raise UsageError(f"{name} is {what}, a number; got {given!r}")

"""Words: how a statement's text is cut where no variable is expanded yet.

Quotes and escapes are kept in the words; `expand` takes them away later, when it is known
what the variables between them are.
"""

import json
import re
from collections.abc import Iterator

__all__ = ["NotStrings", "flags_of", "heredoc_words", "json_form", "split", "words"]

_SPACE = re.compile(r"[\t\v\f\r ]+")


class NotStrings(ValueError):
    """A JSON list with something in it that is not a string."""


def split(text: str) -> list[str]:
    """Cut at white space, quotes or not."""
    return _SPACE.split(text) if text else []


def json_form(text: str) -> list[str] | None:
    """Read the exec form, a JSON list of strings; None if the text is something else.

    Raises:
        NotStrings: it is a list, but not one of strings.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise NotStrings(text)
    return value


def words(text: str, escape: str) -> list[str]:
    """Cut at white space outside of quotes; quotes and escapes stay in the words."""
    return [text[start:end] for start, end in _spans(text, escape)]


def _spans(text: str, escape: str) -> Iterator[tuple[int, int]]:
    at, end = 0, len(text)
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        start, quote = at, ""
        while at < end and (quote or not text[at].isspace()):
            char = text[at]
            if char == escape and quote != "'":
                at += 1  # whatever it is, it does not end anything
            elif char == quote:
                quote = ""
            elif not quote and char in "\"'":
                quote = char
            at += 1
        yield start, min(at, end)


def flags_of(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """Take the `--flags` at the beginning off: what they say without quotes, and the rest."""
    flags: list[str] = []
    for start, end in _spans(text, escape):
        word = text[start:end]
        if not word.startswith("--"):
            return tuple(flags), text[start:]
        if word == "--":
            return tuple(flags), text[end:]
        flags.append(_bare(word, escape))
    return tuple(flags), ""


def _bare(word: str, escape: str) -> str:
    """Take quotes and escapes away."""
    made, quote, at = "", "", 0
    while at < len(word):
        char = word[at]
        if char == escape and at + 1 < len(word):
            at += 1
            made += word[at]
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        elif char != escape:
            made += char
        at += 1
    return made


def heredoc_words(text: str) -> list[str]:
    """Give the words that begin a heredoc as the shell would see them, quotes kept.

    White space between `<<` and the name belongs to the word.
    """
    joined = re.sub(r"(<<-?)[\t ]+(?=[^\s<])", r"\1", text)
    return [word for word in words(joined, "\\") if "<<" in word and _begins(word)]


def _begins(word: str) -> bool:
    return re.match(r"\d*<<-?[^<]", word) is not None

"""What an instruction is given: flags, words, lists, pairs, and complaints about them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.engine.dockerfile import words
from pipelines.engine.dockerfile.source import Statement

__all__ = [
    "Flags",
    "command",
    "did_you_mean",
    "exactly_one",
    "exec_form",
    "flags_read",
    "listed",
    "pairs_read",
]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the name that is most alike, in brackets; "" if none is."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), 1, 0.6)
    return f" (did you mean {found[0]}?)" if found else ""


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of an instruction, by name: values, lists of values, switches."""

    one: Mapping[str, str]
    many: Mapping[str, tuple[str, ...]]
    on: Mapping[str, bool]

    def get(self, name: str) -> str:
        """Give a flag's value, "" if it was not given."""
        return self.one.get(name, "")


def flags_read(statement: Statement, one: str = "", many: str = "", on: str = "") -> Flags:
    """Read flags: names that take a value once, often, or true and false."""
    singles, lists, switches = one.split(), many.split(), on.split()
    values: dict[str, str] = {}
    collected: dict[str, tuple[str, ...]] = dict.fromkeys(lists, ())
    turned: dict[str, bool] = {}
    for flag in statement.flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name in values or name in turned:
            raise statement.where.error(f"{statement.name} has the flag --{name} twice")
        if name in switches:
            turned[name] = _switch(statement, name, equals, value)
        elif name not in singles and name not in lists:
            close = did_you_mean(f"--{name}", [f"--{n}" for n in (*singles, *lists, *switches)])
            raise statement.where.error(f"{statement.name} has no flag --{name}{close}")
        elif not equals:
            raise statement.where.error(f"{statement.name} --{name} needs a value: --{name}=…")
        elif name in lists:
            collected[name] += (value,)
        else:
            values[name] = value
    return Flags(values, collected, turned)


def _switch(statement: Statement, name: str, equals: str, value: str) -> bool:
    if not equals or value.lower() == "true":
        return True
    if value.lower() == "false":
        return False
    raise statement.where.error(f"{statement.name} --{name}={value}: it is true or false")


def listed(statement: Statement) -> list[str]:
    """Read JSON, or words between white space."""
    found = exec_form(statement, statement.rest)
    return words.split(statement.rest) if found is None else found


def exec_form(statement: Statement, text: str) -> list[str] | None:
    """Read the exec form, a JSON list of strings; None if the text is something else."""
    try:
        return words.json_form(text)
    except words.NotStrings:
        raise statement.where.error(
            f"{statement.name} {text}: the exec form is a JSON list of strings"
        ) from None


def command(statement: Statement) -> tuple[tuple[str, ...], bool]:
    """Read a command: its arguments, and whether the shell form was used."""
    found = exec_form(statement, statement.rest)
    if found is not None:
        return tuple(found), False
    return ((statement.rest,) if statement.rest else ()), True


def exactly_one(statement: Statement) -> str:
    """Read all that stands there as one argument."""
    if not statement.rest:
        raise statement.where.error(f"{statement.name} needs an argument")
    return statement.rest


def pairs_read(statement: Statement) -> tuple[tuple[str, str], ...]:
    """Read `name=value …`, or the old `name value`."""
    found = words.words(statement.rest, statement.escape)
    if not found:
        raise statement.where.error(f"{statement.name} needs name=value")
    if "=" not in found[0]:
        name, *value = re.split(r"[\t\v\f\r ]+", statement.rest, maxsplit=1)
        if not value:
            raise statement.where.error(f"{statement.name} {name}: a value is missing")
        return ((name, value[0]),)
    pairs = []
    for word in found:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise statement.where.error(
                f"{statement.name} {word}: it is not name=value; put quotes around white space"
            )
        pairs.append((name, text))
    return tuple(pairs)

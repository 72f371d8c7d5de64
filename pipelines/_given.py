"""What callers give: a value of a wrong kind is wrong use, named, with the way out.

A type checker says the same, and a text is a sequence of texts to it all the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines._errors import UsageError
from pipelines._platform import Platform

__all__ = ["container", "directory", "number", "patterns", "platform", "stamps", "text", "texts"]


def text(name: str, given: object, example: str) -> str:
    """Take a text.

    Raises:
        UsageError: it is none.
    """
    if isinstance(given, str):
        return given
    raise UsageError(f"{name} is a text, such as {example!r}; got {given!r}")


def platform(given: object) -> Platform | None:
    """Take a platform, or none.

    Raises:
        UsageError: it is something else: a text, or a package that came in its place.
    """
    if given is None or isinstance(given, Platform):
        return given
    raise UsageError(
        'platform is a Platform, such as Platform.parse("linux/arm64"), and packages come after it '
        f"(None is what Go runs on); got {given!r}"
    )


def texts(name: str, given: object) -> tuple[str, ...]:
    """Take several texts.

    Raises:
        UsageError: it is one text, or something else.
    """
    if isinstance(given, list | tuple | set | frozenset) and all(isinstance(t, str) for t in given):
        return tuple(sorted(given)) if isinstance(given, set | frozenset) else tuple(given)
    way = f"[{given!r}]" if isinstance(given, str) else "['x', 'y']"
    raise UsageError(f"{name} is a list of texts, such as {way}; got {given!r}")


def patterns(packages: Iterable[object]) -> tuple[str, ...]:
    """Take packages, or patterns of packages.

    Raises:
        UsageError: one of them is something else, such as a list of them.
    """
    taken = []
    for package in packages:
        if not isinstance(package, str):
            raise UsageError(
                'packages are texts, each an argument of its own, such as "./cmd/...", "./lib"; '
                f"got {package!r}"
            )
        taken.append(package)
    return tuple(taken)


def number(name: str, given: object, what: str) -> float:
    """Take a number; `what` says which.

    Raises:
        UsageError: it is none.
    """
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    raise UsageError(f"{name} is {what}, a number; got {given!r}")


def directory(given: object) -> Any:
    """Take a directory of Dagger.

    Raises:
        UsageError: it is something else, such as a path.
    """
    from dagger import Directory

    if isinstance(given, Directory):
        return given
    path = given if isinstance(given, str) else "."
    raise UsageError(
        "source is a dagger.Directory: the parameter of a stage, or of a path "
        f"`dag.host().directory({path!r})`; got {given!r}"
    )


def container(name: str, given: object) -> Any:
    """Take a container of Dagger, or none.

    Raises:
        UsageError: it is something else, such as the address of an image.
    """
    from dagger import Container

    if given is None or isinstance(given, Container):
        return given
    address = given if isinstance(given, str) else "golang:1.26"
    way = f"`dag.container().from_({address!r})`"
    raise UsageError(f"{name} is a dagger.Container, such as {way}; got {given!r}")


def stamps(given: object) -> Mapping[str, str]:
    """Take values for variables, or none.

    Raises:
        UsageError: it is something else, or a value is no text.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping) and all(isinstance(t, str) for kv in given.items() for t in kv):
        return given
    way = '{"main.version": "1.2.0"}'
    raise UsageError(f"stamp is a mapping of texts to texts, such as {way}; got {given!r}")

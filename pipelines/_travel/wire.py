"""Requests of a session, read and changed as far as they name cache volumes.

The SDK sends a chain of fields a request (`container {from(…) {withMountedCache(…) {…}}}`), and
asks for the id of an argument by a request of its own, so what is looked for is easily found. A
request that looks otherwise is passed on as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
)

__all__ = [
    "Mount",
    "asked",
    "before",
    "chained",
    "forces",
    "mounts",
    "plain",
    "remounted",
    "seeded",
]


_PULLED = frozenset({
    "container", "from", "withEnvVariable", "withLabel", "withMountedCache", "withUser",
    "withWorkdir",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of a cache volume in a request: the fields before it, and its own."""

    volume: str
    before: tuple[SelectionNode, ...]
    field: FieldNode


def asked(document: DocumentNode) -> str:
    """Give the key of the cache volume whose id a request asks for; empty if it asks for none."""
    chain = list(_chain(document))
    if [_name(part) for part in chain] != ["cacheVolume", "id"]:
        return ""
    return _text(chain[0], "key")


def seeded(document: DocumentNode, source: str) -> DocumentNode:
    """Give such a request with a source, a directory by its id; it takes the place of another."""
    (field, *rest) = _chain(document)
    assert isinstance(field, FieldNode)
    return chained([_with(field, {"source": source}), *rest])


def mounts(document: DocumentNode) -> Iterator[Mount]:
    """Yield the mounts of cache volumes in a request."""
    chain = tuple(_chain(document))
    for place, part in enumerate(chain):
        if isinstance(part, FieldNode) and part.name.value == "withMountedCache":
            yield Mount(_text(part, "cache"), chain[:place], part)


def forces(document: DocumentNode) -> bool:
    """Tell whether a request makes what it names; an id is given of what nobody has made yet."""
    return [_name(part) for part in _chain(document)][-1:] != ["id"]


def plain(mount: Mount) -> bool:
    """Tell whether the container before a mount is an image as it was pulled: no command runs."""
    return all(_name(part) in _PULLED for part in mount.before)


def before(mount: Mount, *names: str) -> DocumentNode:
    """Ask for fields of the container that a volume was mounted into, before it was."""
    return chained([*mount.before, *(FieldNode(name=NameNode(value=name)) for name in names)])


def remounted(mount: Mount, path: str, volume: str = "") -> FieldNode:
    """Give the mount with another path: so it is the same volume, with its sharing and owner.

    With another `volume`, it is that one, mounted alike.
    """
    return _with(mount.field, {"path": path, **({"cache": volume} if volume else {})})


def chained(parts: Sequence[SelectionNode]) -> DocumentNode:
    """Make a request of a chain of fields."""
    inner: SelectionNode | None = None
    for part in reversed(parts):
        chosen = SelectionSetNode(selections=(inner,)) if inner is not None else None
        if isinstance(part, InlineFragmentNode):
            assert chosen is not None, "a fragment without fields"
            inner = InlineFragmentNode(
                type_condition=part.type_condition, directives=(), selection_set=chosen
            )
        else:
            assert isinstance(part, FieldNode)
            inner = FieldNode(name=part.name, arguments=part.arguments or (), selection_set=chosen)
    assert inner is not None, "a request without fields"
    operation = OperationDefinitionNode(
        operation=OperationType.QUERY,
        variable_definitions=(),
        directives=(),
        selection_set=SelectionSetNode(selections=(inner,)),
    )
    return DocumentNode(definitions=(operation,))


def _chain(document: DocumentNode) -> Iterator[SelectionNode]:
    """Yield the fields and fragments of a request, outermost first, while each has one below."""
    if len(document.definitions) != 1:
        return
    (first,) = document.definitions
    chosen = getattr(first, "selection_set", None)
    while isinstance(chosen, SelectionSetNode) and len(chosen.selections) == 1:
        (part,) = chosen.selections
        yield part
        chosen = getattr(part, "selection_set", None)


def _name(part: SelectionNode) -> str:
    return part.name.value if isinstance(part, FieldNode) else ""


def _text(part: SelectionNode, name: str) -> str:
    """Give an argument that is a text; empty if there is none."""
    for argument in (part.arguments or ()) if isinstance(part, FieldNode) else ():
        if argument.name.value == name and isinstance(argument.value, StringValueNode):
            return argument.value.value
    return ""


def _with(field: FieldNode, given: dict[str, str]) -> FieldNode:
    kept = [a for a in field.arguments or () if a.name.value not in given]
    new = [
        ArgumentNode(name=NameNode(value=name), value=StringValueNode(value=text))
        for name, text in given.items()
    ]
    return FieldNode(name=field.name, arguments=(*kept, *new), selection_set=field.selection_set)

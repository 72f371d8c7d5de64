"""Write the compatibility page's tables: `python -m ci.compat`.

They are derived, never written: the fields from the schema, what is implemented from the engine's
own table, what differs and what is checked from the cases of `tests/parity`. The cases are found
by name: they are the tests', and only this command and one test look at them from outside.
"""

import importlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.schema import TARGET

__all__ = ["PAGE", "main", "render"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "compatibility.md"
BEGIN, END = "<!-- begin -->\n", "<!-- end -->\n"
FAMILIES = {
    "modules and their functions": (
        "CurrentModule EnumTypeDef EnumValueTypeDef FieldTypeDef Function FunctionArg FunctionCall "
        "FunctionCallArgValue GeneratedCode InputTypeDef InterfaceTypeDef ListTypeDef Module "
        "ModuleConfigClient ModuleSource ObjectTypeDef SDKConfig ScalarTypeDef SourceMap TypeDef "
        "Error ErrorValue"
    ),
    "language models": "Binding Env LLM LLMTokenUsage",
    "workspaces, checks and generators": (
        "Check CheckGroup Generator GeneratorGroup Up UpGroup Workspace"
    ),
    "Dagger Cloud": "Cloud",
    "the engine's own state": "ClientFilesyncMirror HTTPState RemoteGitMirror",
}
"""Types that no pipeline program of the plain SDK needs, told family by family."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of the schema: its fields, and those that the embedded engine implements."""

    name: str
    fields: tuple[str, ...]
    done: frozenset[str]


def shapes() -> list[Shape]:
    """Give the object types of the schema."""
    from pipelines.engine.api.fields import FIELDS

    types = json.loads(TARGET.read_bytes())["data"]["__schema"]["types"]
    found = []
    for one in (one for one in types if one["kind"] == "OBJECT"):
        fields = tuple(sorted(field["name"] for field in one["fields"]))
        done = frozenset(FIELDS.get(one["name"], ())) | ({"id"} if one["name"] in FIELDS else set())
        found.append(Shape(one["name"], fields, done))
    return found


def cases() -> Sequence[Any]:
    """Give the cases of `tests/parity`."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    found: Sequence[Any] = importlib.import_module("tests.parity.cases").collect()
    return found


def render(page: str) -> str:
    """Return the page with the tables as they should be now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    known = cases()
    differing = [one for one in known if one.differs is not None]
    lines = [*_differences(differing), *_fields(shapes(), differing), *_checked(known)]
    return before + BEGIN + "\n".join(lines) + "\n" + END + after


def _anchor(case: Any) -> str:
    return f"{case.group}-{case.name}".replace(" ", "-")


def _grouped(known: Iterable[Any]) -> Mapping[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for case in known:
        groups.setdefault(case.group, []).append(case)
    return groups


def _differences(differing: Sequence[Any]) -> Iterator[str]:
    yield "## Intended differences\n"
    yield "Each is a case that is run on both engines, and each engine is held to its own answer.\n"
    for group, members in _grouped(differing).items():
        yield f"**{group}**\n"
        for case in members:
            fields = ", ".join(f"`{name}`" for name in case.covers)
            yield f'- <a id="{_anchor(case)}"></a>*{case.name}* ({fields}): {case.differs.why}'
        yield ""


def _fields(found: Sequence[Shape], differing: Sequence[Any]) -> Iterator[str]:
    apart = {name: family for family, names in FAMILIES.items() for name in names.split()}
    yield "## Fields\n"
    yield "The numbers lead to the differences above; all that is supported is listed below.\n"
    yield "| type | fields | supported | differs | not supported |"
    yield "|---|---|---|---|---|"
    served = [shape for shape in found if shape.done and shape.name != "Query"]
    query = next(shape for shape in found if shape.name == "Query")
    for shape in [*served, _plain(query)]:
        yield _row(shape, differing)
    yield ""
    lacking = [s for s in found if not s.done]
    names = ", ".join(f"`{s.name}`" for s in lacking if s.name not in apart)
    yield f"Types that the embedded engine does not serve: {names or 'none'}.\n"
    for family in FAMILIES:
        kinds = ", ".join(f"`{s.name}`" for s in lacking if apart.get(s.name) == family)
        if kinds:
            yield f"<details><summary>Nor {family}</summary>\n\n{kinds}\n\n</details>\n"
    yield from _names(served)


def _plain(query: Shape) -> Shape:
    """Leave out the loaders by id: there is one a type, and it is served if the type is."""
    loaders = {name for name in query.fields if name.startswith("load") and name.endswith("FromID")}
    fields = tuple(name for name in query.fields if name not in loaders)
    return Shape("Query", fields, query.done - loaders)


def _row(shape: Shape, differing: Sequence[Any]) -> str:
    links: dict[str, list[str]] = {}
    for case in differing:
        for name in case.covers[:1]:
            kind, _, field = name.partition(".")
            if kind == shape.name:
                links.setdefault(field, []).append(_anchor(case))
    told = ", ".join(
        f"`{field}` " + " ".join(f"[{n}](#{at})" for n, at in enumerate(anchors, 1))
        for field, anchors in sorted(links.items())
    )
    missing = ", ".join(f"`{name}`" for name in shape.fields if name not in shape.done)
    done = sum(name in shape.done for name in shape.fields)
    return f"| `{shape.name}` | {len(shape.fields)} | {done} | {told} | {missing} |"


def _names(served: Sequence[Shape]) -> Iterator[str]:
    yield "<details><summary>Every supported field, by type</summary>\n"
    for shape in served:
        names = ", ".join(f"`{name}`" for name in shape.fields if name in shape.done)
        yield f"- `{shape.name}`: {names}"
    yield "\n</details>\n"


def _checked(known: Sequence[Any]) -> Iterator[str]:
    yield "## What is checked\n"
    yield f"{len(known)} cases, each run on both engines.\n"
    for group, members in _grouped(known).items():
        yield f"<details><summary>{group}: {len(members)} cases</summary>\n"
        for case in members:
            yield f"- {case.name}: " + ", ".join(f"`{name}`" for name in case.covers)
        yield "\n</details>\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

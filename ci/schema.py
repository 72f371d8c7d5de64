"""Derive the session API's schema from the installed SDK.

The SDK's generated module says everything that its client needs: every method of every class
names its field and its arguments with their defaults, and its annotations are the types. It is
read with `ast` and never imported, so this is quick and has no side effects.

How Python reads back as GraphQL
    str, int, float, bool            String, Int, Float, Boolean; a field named `id` is ID
    X | None                         nullable; everything else is non-null
    list[X]                          [X!]!
    an object as an argument         ID, with `expectedType` beside it
    Self                             the class it stands in
    `execute_sync`                   a field that answers an ID
    class FooID, JSON, Platform …    scalars
    Exportable, Node, Syncer         interfaces of every object that has their fields

Two members that introspection does not know travel in the file for the engine's own use:
`expectedType` of an argument and `value` of an enum alias. Clients pass over them.

Run `python -m ci.schema` to write the file, `--check` to compare, `--coverage` for a table of
what the embedded engine implements.
"""

import ast
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["derive", "main", "render"]

TARGET = Path(__file__).parent.parent / "pipelines" / "engine" / "api" / "schema.json"
BUILTIN = {"str": "String", "int": "Int", "float": "Float", "bool": "Boolean"}
Json = dict[str, Any]


def sdk_source() -> str:
    """Read the SDK's generated module without importing the SDK."""
    spec = importlib.util.find_spec("dagger")
    if spec is None or spec.origin is None:
        raise SystemExit("dagger-io is not installed: the schema is derived from it")
    return (Path(spec.origin).parent / "client" / "gen.py").read_text()


def derive(source: str) -> Json:
    """Give the introspection answer that the SDK of this source expects."""
    classes = {n.name: n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)}
    kinds = {name: kind for name, node in classes.items() if (kind := _kind(node))}
    made = _Types(classes, kinds)
    types = [made.type(name) for name in sorted(kinds)]
    types += [{"kind": "SCALAR", "name": name} for name in ("ID", *BUILTIN.values())]
    _implement(types)
    types.sort(key=lambda one: str(one["name"]))
    return {
        "data": {
            "__schema": {
                "queryType": {"name": "Query"},
                "types": types,
                "directives": [_condition("include"), _condition("skip")],
            }
        }
    }


def render(schema: Json) -> bytes:
    """Spell the schema as the file holds it."""
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def _condition(name: str) -> Json:
    argument = {"name": "if", "type": _non_null({"kind": "SCALAR", "name": "Boolean"})}
    where = ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"]
    return {"name": name, "locations": where, "args": [argument]}


def _kind(node: ast.ClassDef) -> str:
    """Say what a class stands for; "" for helpers of the SDK itself."""
    bases = {ast.unparse(base) for base in node.bases}
    if "Protocol" in bases:
        return "INTERFACE"
    if node.name.startswith("_") or node.name == "Client":
        return ""
    kinds = {"Scalar": "SCALAR", "Enum": "ENUM", "Input": "INPUT_OBJECT"}
    return next((kind for base, kind in kinds.items() if base in bases), "OBJECT")


def _non_null(ref: Json) -> Json:
    return {"kind": "NON_NULL", "ofType": ref}


class _Types:
    """Turns classes into introspection types."""

    def __init__(self, classes: Mapping[str, ast.ClassDef], kinds: Mapping[str, str]) -> None:
        self._classes = classes
        self._kinds = kinds

    def type(self, name: str) -> Json:
        """Describe one class."""
        kind, node = self._kinds[name], self._classes[name]
        described: Json = {"kind": kind, "name": name}
        if kind == "ENUM":
            described["enumValues"] = list(_members(node))
        elif kind == "INPUT_OBJECT":
            described["inputFields"] = list(self._members_of_input(node))
        elif kind != "SCALAR":
            client = self._classes.get(f"_{name}Client", node)
            described["fields"] = list(self._fields(name, client))
            described["interfaces"] = []
        return described

    def _fields(self, owner: str, node: ast.ClassDef) -> Iterator[Json]:
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                field = self._field(owner, method)
                if field:
                    yield field

    def _field(self, owner: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Json | None:
        calls = [n for n in ast.walk(method) if isinstance(n, ast.Call)]
        sync = _called(calls, "self._ctx.execute_sync")
        chosen = _called(calls, "self._select")
        if sync is None and chosen is None:
            return None
        name = _text(sync.args[1] if sync is not None else chosen.args[0] if chosen else None)
        returns = method.returns
        if sync is not None or name == "id":
            answer = _non_null({"kind": "SCALAR", "name": "ID"})
        else:
            answer = self.ref(returns, owner)
        arguments = list(self._arguments(owner, method, calls))
        field: Json = {"name": name, "args": arguments, "type": answer}
        if _called(calls, "warnings.warn") is not None:
            field |= {"isDeprecated": True, "deprecationReason": "deprecated in the SDK"}
        else:
            field["isDeprecated"] = False
        return field

    def _arguments(
        self, owner: str, method: ast.FunctionDef | ast.AsyncFunctionDef, calls: list[ast.Call]
    ) -> Iterator[Json]:
        signature = [*method.args.args[1:], *method.args.kwonlyargs]
        args = [call for call in calls if ast.unparse(call.func) == "Arg"]
        for parameter, call in zip(signature, args, strict=True):
            argument = {"name": _text(call.args[0])} | self._input(parameter.annotation, owner)
            if len(call.args) > 2:  # Arg(name, value, default)
                argument |= _default(call.args[2])
            yield argument

    def _members_of_input(self, node: ast.ClassDef) -> Iterator[Json]:
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                member = {"name": line.target.id} | self._input(line.annotation, node.name)
                yield member | (_default(line.value) if line.value is not None else {})

    def _input(self, annotation: ast.expr | None, owner: str) -> Json:
        """Type an argument: objects are handed over by their ids."""
        ref = self.ref(annotation, owner)
        inner = ref
        while "ofType" in inner:
            inner = inner["ofType"]
        if inner["kind"] not in {"OBJECT", "INTERFACE"}:
            return {"type": ref}
        expected = "Node" if inner["name"] == "Type" else inner["name"]
        inner |= {"kind": "SCALAR", "name": "ID"}
        return {"type": ref, "expectedType": expected}

    def ref(self, annotation: ast.expr | None, owner: str) -> Json:
        """Turn an annotation into a type reference."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return self.ref(ast.parse(annotation.value, mode="eval").body, owner)
        if isinstance(annotation, ast.BinOp):
            return dict(self.ref(annotation.left, owner)["ofType"])
        if isinstance(annotation, ast.Subscript):
            return _non_null({"kind": "LIST", "ofType": self.ref(annotation.slice, owner)})
        if not isinstance(annotation, ast.Name):
            raise TypeError(f"{owner}: an annotation that this script can not read: {annotation}")
        name = owner if annotation.id == "Self" else annotation.id
        if name in BUILTIN:
            return _non_null({"kind": "SCALAR", "name": BUILTIN[name]})
        # `Type`, the base of all objects, is how `node` says "any object".
        return _non_null({"kind": "OBJECT" if name == "Type" else self._kinds[name], "name": name})


def _called(calls: list[ast.Call], function: str) -> ast.Call | None:
    return next((call for call in calls if ast.unparse(call.func) == function), None)


def _text(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise TypeError(f"not a string in the SDK's source: {node}")


def _default(node: ast.expr) -> Json:
    """Spell a Python default as GraphQL; None is no default."""
    if isinstance(node, ast.Attribute):
        return {"defaultValue": node.attr}
    value = ast.literal_eval(node)
    return {} if value is None else {"defaultValue": json.dumps(value)}


def _members(node: ast.ClassDef) -> Iterator[Json]:
    """List an enum's names; a second name for a value says which value."""
    for line in node.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            name, value = line.targets[0].id, _text(line.value)
            alias = {} if name == value else {"value": value}
            yield {"name": name, "isDeprecated": False} | alias


def _implement(types: list[Json]) -> None:
    """Say which objects implement which interfaces: those that have all their fields."""
    for interface in [one for one in types if one["kind"] == "INTERFACE"]:
        wanted = {field["name"]: _shape(field) for field in interface["fields"]}
        interface["possibleTypes"] = possible = []
        for one in types:
            has = {field["name"]: _shape(field) for field in one.get("fields", ())}
            if one["kind"] == "OBJECT" and all(has.get(n) == s for n, s in wanted.items()):
                ref = {"kind": "OBJECT", "name": one["name"]}
                possible.append(ref)
                one["interfaces"].append({"kind": "INTERFACE", "name": interface["name"]})


def _shape(field: Json) -> str:
    """Give what two fields must share for one to implement the other."""
    required = [a for a in field["args"] if a["type"]["kind"] == "NON_NULL"]
    return json.dumps([field["type"], required], sort_keys=True)


def coverage() -> Iterator[str]:
    """Yield a line a type: what is implemented, and what is not."""
    from pipelines.engine.api.fields import FIELDS

    types = json.loads(TARGET.read_bytes())["data"]["__schema"]["types"]
    for one in types:
        if one["kind"] != "OBJECT":
            continue
        fields = [field["name"] for field in one["fields"]]
        done = [name for name in fields if name == "id" or name in FIELDS.get(one["name"], {})]
        missing = [name for name in fields if name not in done]
        if one["name"] in FIELDS:
            count = f"{len(done)}/{len(fields)}"
            yield f"{one['name']:<18} {count:>7}  not: {', '.join(missing) or '-'}"


def main(arguments: list[str]) -> int:
    """Write the schema, compare it (`--check`) or print the coverage (`--coverage`)."""
    if "--coverage" in arguments:
        print("\n".join(coverage()))
        return 0
    rendered = render(derive(sdk_source()))
    if "--check" in arguments:
        same = TARGET.read_bytes() == rendered
        print("the schema is current" if same else "the schema differs: run python -m ci.schema")
        return 0 if same else 1
    TARGET.write_bytes(rendered)
    print(f"{TARGET.name}: {len(rendered)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

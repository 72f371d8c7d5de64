# ruff: noqa: E501  # a query is read best on one line
import ast
import inspect
import json

import pytest
from gql.dsl import DSLSchema
from graphql import build_client_schema
from graphql.type import validate_schema

from ci import schema as derivation
from pipelines.engine.api.fields import FIELDS
from pipelines.engine.api.schema import MISSING, Ref, Schema, keyword
from pipelines.engine.errors import QueryError


@pytest.fixture(scope="module")
def served():
    return json.loads(Schema().introspection)["data"]


def test_the_file_is_what_the_installed_sdk_says():
    assert derivation.TARGET.read_bytes() == derivation.render(
        derivation.derive(derivation.sdk_source())
    )


def test_the_schema_is_a_valid_one(served):
    assert validate_schema(build_client_schema(served)) == []


def test_no_description_is_carried(served):
    types = served["__schema"]["types"]
    described = [*types, *(field for one in types for field in one.get("fields", ()))]
    assert not any("description" in one for one in described)


def test_the_sdks_query_builder_finds_every_field_and_argument(served):
    """Walk the SDK's source on its own: `DSLSchema` is what its methods build queries with."""
    schema = build_client_schema(served)
    dsl = DSLSchema(schema)
    found = 0
    for type_, field, names in _selected():
        getattr(getattr(dsl, type_), field)
        assert names <= set(schema.type_map[type_].fields[field].args), (type_, field)
        found += 1
    assert found > 700


def _selected():
    """Yield type, field and argument names of every method of the SDK's classes."""
    for node in ast.parse(derivation.sdk_source()).body:
        for method in getattr(node, "body", ()):
            calls = [n for n in ast.walk(method) if isinstance(n, ast.Call)]
            names = {c.args[0].value for c in calls if ast.unparse(c.func) == "Arg"}
            for call in calls:
                if ast.unparse(call.func) == "self._select":
                    name = node.name[1:-6] if node.name.startswith("_") else node.name
                    yield name, call.args[0].value, names


@pytest.mark.parametrize(
    ("type_", "field", "answer"),
    [
        ("Container", "sync", "ID!"),
        ("Container", "withExec", "Container!"),
        ("Container", "envVariable", "String"),
        ("Container", "envVariables", "[EnvVariable!]!"),
        ("Container", "platform", "Platform!"),
        ("Directory", "findUp", "String"),
        ("Query", "node", "Node!"),
        ("File", "size", "Int!"),
    ],
)
def test_a_field_answers_what_the_sdk_expects(type_, field, answer):
    assert str(Schema().type(type_).field(field).ref) == answer


@pytest.mark.parametrize(
    ("type_", "field", "argument", "ref", "default", "expected"),
    [
        ("Container", "withExec", "args", "[String!]!", MISSING, ""),
        ("Container", "withExec", "expect", "ReturnType", "SUCCESS", ""),
        ("Container", "withDirectory", "source", "ID!", MISSING, "Directory"),
        ("Container", "withDirectory", "exclude", "[String!]", (), ""),
        ("Container", "withFiles", "sources", "[ID!]!", MISSING, "File"),
        ("Container", "withMountedSecret", "mode", "Int", 256, ""),
        ("Container", "asTarball", "mediaTypes", "ImageMediaTypes", "OCIMediaTypes", ""),
        ("Directory", "diff", "other", "ID!", MISSING, "Directory"),
        ("Query", "loadFileFromID", "id", "FileID!", MISSING, ""),
        ("Query", "node", "id", "ID!", MISSING, "Node"),
    ],
)
def test_an_argument_is_typed(type_, field, argument, ref, default, expected):  # noqa: PLR0917
    found = Schema().type(type_).field(field).arguments[argument]
    assert (str(found.ref), found.default, found.expected) == (ref, default, expected)


def test_an_alias_of_an_enum_stands_for_the_value():
    values = Schema().type("ImageLayerCompression").values
    assert values["GZIP"] == values["Gzip"] == "Gzip"


def test_objects_implement_the_interfaces_whose_fields_they_have():
    assert Schema().type("File").interfaces == {"Exportable", "Node", "Syncer"}
    assert Schema().type("Secret").interfaces == {"Node"}


def test_an_unknown_type_is_named():
    with pytest.raises(QueryError, match=r"'Contaner'.*did you mean 'Container'"):
        Schema().type("Contaner")


def test_keywords_are_snake_case():
    assert [keyword(n) for n in ("useEntrypoint", "all", "id", "path")] == [
        "use_entrypoint",
        "all_",
        "id_",
        "path",
    ]


def test_a_list_reference_is_spelled_as_graphql_does():
    assert str(Ref("", True, Ref("Int", False))) == "[Int]!"


PAIRS = [(kind, name) for kind, table in FIELDS.items() for name in table]


SCHEMA = Schema()


@pytest.mark.parametrize(("kind", "name"), PAIRS, ids=[f"{k}.{n}" for k, n in PAIRS])
def test_a_field_takes_exactly_the_arguments_of_the_schema(kind, name):
    declared = {a.keyword for a in SCHEMA.type(kind).field(name).arguments.values()}
    function = FIELDS[kind][name]
    taken = inspect.signature(getattr(function, "found", function)).parameters.values()
    assert {p.name for p in taken if p.kind is p.KEYWORD_ONLY} == declared


ISSUE = {
    "Query": "container directory file host cacheVolume setSecret secret node version defaultPlatform",
    "Container": "from import withExec stdout stderr combinedOutput exitCode sync withDirectory withFile "
    "withFiles withNewFile withSymlink withMountedDirectory withMountedFile withMountedCache "
    "withMountedTemp withMountedSecret withSecretVariable withVolatileVariable rootfs withRootfs "
    "directory file envVariable envVariables label labels exists stat asTarball export",
    "Directory": "withDirectory withFile filter directory file entries glob digest diff export name sync "
    "exists stat chown withTimestamps withSymlink withNewDirectory findUp",
    "File": "contents name size digest export withName withTimestamps withReplaced chown stat sync",
    "Host": "directory file",
}


@pytest.mark.parametrize("kind", ISSUE)
def test_what_was_promised_is_implemented(kind):
    assert set(ISSUE[kind].split()) <= set(FIELDS[kind])


def test_coverage_names_what_is_missing():
    lines = {line.split()[0]: line for line in derivation.coverage()}
    assert "withDefaultTerminalCmd" in lines["Container"]
    assert "withExec" not in lines["Container"]
    assert lines["File"].split()[1] == f"{len(FIELDS['File']) + 1}/15"

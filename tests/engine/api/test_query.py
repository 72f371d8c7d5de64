# ruff: noqa: E501  # a query is read best on one line
import json

import anyio
import pytest
from graphql import build_client_schema, get_introspection_query

from pipelines.engine.api.query import answer


def test_a_chain_is_answered_under_its_aliases(asked):
    found = asked(
        '{c: container{w: withEnvVariable(name:"A",value:"b"){v: envVariable(name:"A")}}}'
    )
    assert found == {"data": {"c": {"w": {"v": "b"}}}}


def test_siblings_are_answered_in_their_order(asked):
    found = asked("{version container{platform user} x: defaultPlatform}")
    assert json.dumps(found["data"]) == (
        '{"version": "v0.21.11", "container": {"platform": "linux/amd64", "user": ""},'
        ' "x": "linux/amd64"}'
    )


def test_lists_of_objects_are_answered(asked):
    query = '{container{from(address:"alpine"){envVariables{name value}}}}'
    assert asked(query)["data"]["container"]["from"]["envVariables"] == [
        {"name": "PATH", "value": "/opt/bin:/bin"},
        {"name": "LANG", "value": "C=UTF"},
    ]


def test_an_id_finds_its_object(ask, asked):
    name = ask('{container{withLabel(name:"a",value:"b"){id}}}')
    found = asked(
        'query($id: ID!) {node(id: $id) {__typename ... on Container {label(name: "a")} ...N ... on File {size}}}'
        "fragment N on Node {same: id}",
        id=name,
    )
    assert found["data"]["node"] == {"__typename": "Container", "label": "b", "same": name}


def test_objects_of_a_list_have_ids(asked, ask):
    query = '{container{from(address:"alpine"){envVariables{id}}}}'
    ids = [one["id"] for one in asked(query)["data"]["container"]["from"]["envVariables"]]
    assert ask("query($i: ID!) {node(id: $i) {... on EnvVariable {value}}}", i=ids[1]) == "C=UTF"


def test_objects_load_from_legacy_ids(ask, refused):
    name = ask('{directory{withNewFile(path:"a",contents:"x"){id}}}')
    assert ask(f'{{loadDirectoryFromID(id:"{name}"){{entries}}}}') == ["a"]
    assert (
        "expected the id of a File"
        in refused(f'{{loadFileFromID(id:"{name}"){{size}}}}')["message"]
    )


def test_variables_stand_where_values_do(ask):
    query = 'query($n: String = "A", $v: String!) {container{withEnvVariable(name:$n,value:$v){envVariable(name:$n)}}}'
    assert ask(query, v="1") == "1"


def test_a_variable_without_a_value_is_an_argument_left_out(ask):
    assert ask("query($p: Platform) {container(platform: $p){platform}}") == "linux/amd64"


def test_fields_are_skipped_and_included(asked):
    query = "query($y: Boolean!) {version @skip(if: $y) a: version @include(if: $y) b: version @skip(if: false)}"
    assert set(asked(query, y=True)["data"]) == {"a", "b"}


def test_a_quoted_enum_and_a_lone_value_are_accepted(ask, engine):
    ask('{container{withExec(args:"true",expect:"ANY"){exitCode}}}')
    assert (engine.ran[0].args, engine.ran[0].expect) == (("true",), "ANY")


def test_omitted_null_and_default_are_the_same(ask):
    ids = {
        ask('{container{withExec(args:["a"]){id}}}'),
        ask('{container{withExec(args:["a"],expand:null,stdin:""){id}}}'),
        ask('{container{withExec(args:["a"],expect:SUCCESS,noInit:false){id}}}'),
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("query", "message", "path"),
    [
        (
            "{contaner{id}}",
            "Query has no field 'contaner'; did you mean 'container'?",
            ["contaner"],
        ),
        ("{x: container{nope}}", "Container has no field 'nope'", ["x", "nope"]),
        ('{container{from(adress:"a"){id}}}', "did you mean 'address'", ["container", "from"]),
        ("{container{from{id}}}", "'address' (String!) is missing", ["container", "from"]),
        ("{container{from(address:1){id}}}", "expected String!, got 1", ["container", "from"]),
        ('{file(name:"a",contents:"",permissions:true){id}}', "expected Int", ["file"]),
        (
            '{container{withExec(args:["a"],expect:NO){id}}}',
            "one of ANY",
            ["container", "withExec"],
        ),
        ('{node(id:"zz"){id}}', "ids live as long as their session", ["node"]),
        ('{container{withRootfs(directory:"zz"){id}}}', "unknown id", ["container", "withRootfs"]),
        ("{version", "syntax error at 1:9", []),
        ("{a:version a:defaultPlatform}", "'a' is selected twice", []),
        ("{...F}", "no fragment 'F'", []),
        ("{version @later}", "@later: expected @skip or @include", []),
        ("{container{... on Contaner{id}}}", "no type 'Contaner'", []),
    ],
)
def test_a_wrong_query_says_what_is_wrong(refused, query, message, path):
    error = refused(query)
    assert message in error["message"]
    assert error["path"] == path
    assert error["extensions"] == {"_type": "QUERY_ERROR"}


def test_a_field_that_is_not_implemented_is_named(refused):
    error = refused('{container{withDefaultTerminalCmd(args:"x"){id}}}')
    named = "Container.withDefaultTerminalCmd"
    assert error["extensions"] == {"_type": "UNSUPPORTED_FIELD", "field": named}
    assert "--engine dagger" in error["message"]


def test_a_failed_command_carries_what_the_sdk_reads(refused, engine):
    engine.fails = 3
    error = refused('{container{withExec(args:["go","test"]){stdout}}}')
    assert error["message"] == "exit code: 3"
    assert error["path"] == ["container", "withExec", "stdout"]
    assert error["extensions"] == {
        "_type": "EXEC_ERROR",
        "cmd": ["go", "test"],
        "exitCode": 3,
        "stdout": "out",
        "stderr": "err",
    }


def test_one_failing_sibling_is_one_error(refused, engine):
    engine.fails = 1
    error = refused(
        '{a:container{withExec(args:["a"]){stdout}} b:container{withExec(args:["b"]){stdout}}}'
    )
    assert error["message"] == "exit code: 1"
    assert error["path"] in (["a", "withExec", "stdout"], ["b", "withExec", "stdout"])


def test_siblings_run_at_the_same_time(asked, engine):
    both, running = anyio.Event(), set()

    async def resolve(ref, platform):
        running.add(ref)
        if len(running) == 2:
            both.set()
        with anyio.fail_after(10):
            await both.wait()
        return engine.images["alpine"]

    engine.resolve_image = resolve
    query = '{a:container{from(address:"1"){user}} b:container{from(address:"2"){user}}}'
    assert asked(query)["data"] == {"a": {"from": {"user": "app"}}, "b": {"from": {"user": "app"}}}


def test_a_defect_is_answered_as_one(refused, engine, caplog):
    engine.images["broken"] = None
    error = refused('{container{from(address:"broken"){id}}}')
    assert error["message"].startswith("internal error: AttributeError")
    assert "a field failed" in caplog.text


def test_a_cancelled_query_is_not_answered(session, engine):
    async def forever(ref, platform):
        await anyio.sleep_forever()

    async def cancelled():
        engine.resolve_image = forever
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(answer, session, '{a:version container{from(address:"a"){user}}}')
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        return scope.cancelled_caught

    assert anyio.run(cancelled)


def test_a_long_chain_is_no_problem(session):
    """Deeper than the interpreter's recursion limit, in both directions."""
    depth = 3000
    query = "{container" + '{withLabel(name:"a",value:"b")' * depth + "{user}" + "}" * depth + "}"
    found = anyio.run(answer, session, query)
    assert found.count(b'"withLabel"') == depth
    assert found.endswith(b'{"user":""' + b"}" * (depth + 3))


def test_the_sdks_introspection_is_canned(session):
    found = anyio.run(answer, session, get_introspection_query())
    assert found is session.schema.introspection
    assert "Container" in build_client_schema(json.loads(found)["data"]).type_map


def test_other_introspection_is_answered_from_the_same_document(asked):
    found = asked(
        '{__type(name:"EnvVariable"){kind n:name description fields{name type{kind ofType{name fields{name}}}}'
        ' ...T} none: __type(name:"No"){name}} fragment T on __Type {__typename}'
    )
    assert found["data"]["__type"] == {
        "kind": "OBJECT",
        "n": "EnvVariable",
        "description": None,
        "fields": [
            {"name": "id", "type": {"kind": "NON_NULL", "ofType": {"name": "ID", "fields": None}}},
            {
                "name": "name",
                "type": {"kind": "NON_NULL", "ofType": {"name": "String", "fields": None}},
            },
            {
                "name": "value",
                "type": {"kind": "NON_NULL", "ofType": {"name": "String", "fields": None}},
            },
        ],
        "__typename": "__Type",
    }
    assert found["data"]["none"] is None


def test_graphql_core_builds_a_schema_from_selected_introspection(asked):
    query = get_introspection_query(descriptions=False).replace("IntrospectionQuery", "Mine")
    assert "withExec" in build_client_schema(asked(query)["data"]).type_map["Container"].fields


@pytest.mark.filterwarnings("error")
def test_a_field_that_is_refused_leaves_no_sibling_waiting(refused):
    error = refused('{directory{entries glob(pattern:"*") nope}}')
    assert error["path"] == ["directory", "nope"]

# ruff: noqa: E501  # a query is read best on one line
"""Env files, JSON values, errors, addresses, sockets: objects that hold texts."""

import pytest

from pipelines.engine.accounts import Wanted
from pipelines.engine.api.socket import Socket
from pipelines.engine.op import HostTree, SocketMount

ENV = '{file(name:".env",contents:"A=1\\nB=\\"$A 2\\"\\nAPP_X=$A\\n"){asEnvFile{%s}}}'

READ = {
    "variables{name value}": [
        {"name": "A", "value": "1"},
        {"name": "APP_X", "value": "1"},
        {"name": "B", "value": "1 2"},
    ],
    "variables(raw:true){value}": [{"value": "1"}, {"value": "$A"}, {"value": '"$A 2"'}],
    'get(name:"B")': "1 2",
    'get(name:"B",raw:true)': '"$A 2"',
    'get(name:"no")': "",
    'exists(name:"A")': True,
    'exists(name:"no")': False,
    'withVariable(name:"A",value:"9"){get(name:"B")}': "9 2",
    'withoutVariable(name:"A"){exists(name:"A")}': False,
    'namespace(prefix:"app"){variables{name value}}': [{"name": "X", "value": "1"}],
    "asFile{contents}": 'A=1\nB="$A 2"\nAPP_X=$A\n',
    "asFile{name}": ".env",
}


@pytest.mark.parametrize("calls", READ)
def test_an_env_file_is_read_and_changed(ask, calls):
    assert ask(ENV % calls) == READ[calls]


def test_an_env_files_variables_become_a_containers(ask):
    made = ask('{envFile{withVariable(name:"A",value:"x$HOME"){id}}}')
    query = "query($e:ID!){container{withEnvFileVariables(source:$e){envVariables{name value}}}}"
    (variable,) = ask(query, e=made)
    assert variable["name"] == "A"
    assert variable["value"].startswith("x/")


def test_a_variable_of_several_lines_is_refused(refused):
    query = '{envFile{withVariable(name:"A",value:"1\\n2"){id}}}'
    assert "one line" in refused(query)["message"]


JSON = '{json{withContents(contents:"{\\"b\\":[1,\\"x\\",null],\\"a\\":{\\"c\\":true}}"){%s}}}'
DECODED = {
    "contents": '{"b":[1,"x",null],"a":{"c":true}}',
    "contents(pretty:true)": '{\n  "a": {\n    "c": true\n  },\n  "b": [\n    1,\n    "x",\n    null\n  ]\n}',
    "fields": ["a", "b"],
    'field(path:["a","c"]){asBoolean}': True,
    'field(path:["b"]){asArray{contents}}': [
        {"contents": "1"},
        {"contents": '"x"'},
        {"contents": "null"},
    ],
    'newString(value:"ä"){asString}': "ä",
    "newInteger(value:7){asInteger}": 7,
    "newBoolean(value:false){contents}": "false",
}


@pytest.mark.parametrize("calls", DECODED)
def test_a_json_value_is_decoded(ask, calls):
    assert ask(JSON % calls) == DECODED[calls]


def test_a_field_is_set_through_objects_that_are_made(ask):
    value = ask("{json{newInteger(value:1){id}}}")
    query = 'query($v:ID!){json{withField(path:["a","b"],value:$v){contents}}}'
    assert ask(query, v=value) == '{"a":{"b":1}}'


def test_a_file_is_read_as_json(ask):
    assert ask('{file(name:"f",contents:"[1]"){asJSON{asArray{asInteger}}}}') == [{"asInteger": 1}]


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ("asInteger", "is not an integer"),
        ('field(path:["no"]){contents}', "no such field"),
        ('field(path:["b","c"]){contents}', "not an object"),
        ('withContents(contents:"{"){contents}', "not JSON"),
        ('withContents(contents:"NaN"){contents}', "word of JavaScript"),
        ('field(path:["a","c"]){asInteger}', "is not an integer"),
    ],
)
def test_json_that_is_something_else_is_an_error(refused, calls, message):
    assert message in refused(JSON % calls)["message"]


def test_an_error_carries_values(ask):
    query = '{error(message:"no"){withValue(name:"code",value:"3"){message values{name value}}}}'
    assert ask(query) == {"message": "no", "values": [{"name": "code", "value": "3"}]}


# --- addresses ---------------------------------------------------------------------------


def test_an_address_is_what_it_is_asked_for_as(session, ask, tmp_path):
    directory = ask('{address(value:"file:///src"){directory(exclude:["x"]){id}}}')
    assert session.objects.find(directory).edge.op == HostTree("/src", "dir", (), ("x",))
    file = ask('{address(value:"go.mod"){file{id}}}')
    assert session.objects.find(file).edge.op == HostTree(str(tmp_path / "go.mod"), "file")
    socket = ask('{address(value:"unix:///run/s"){socket{id}}}')
    assert session.objects.find(socket) == Socket("/run/s")
    assert ask('{address(value:"alpine"){container{user}}}') == "app"
    assert ask('{address(value:"x"){value}}') == "x"


def test_a_port_is_a_service_of_the_host(session, ask):
    found = session.objects.find(ask('{address(value:"tcp://db.example.org:5432"){service{id}}}'))
    assert "db.example.org" in repr(found)
    assert "5432" in repr(found)


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("http://db:1", "service", "tcp://HOST:PORT"),
        ("tcp://db:port", "service", "tcp://HOST:PORT"),
    ],
)
def test_an_address_that_is_something_else_is_refused(refused, address, kind, message):
    assert message in refused(f'{{address(value:"{address}"){{{kind}{{id}}}}}}')["message"]


@pytest.mark.parametrize(
    ("address", "name"),
    [("TOKEN", "env://TOKEN"), ("env:TOKEN", "env://TOKEN"), ("env://T?cacheKey=k", "k")],
)
def test_a_secrets_address_may_be_a_bare_name(session, ask, address, name):
    found = session.objects.find(ask(f'{{address(value:"{address}"){{secret{{id}}}}}}'))
    assert found.ref.name == name


def test_an_empty_address_is_refused(refused):
    assert "empty" in refused('{address(value:""){value}}')["message"]


# --- host --------------------------------------------------------------------------------


def test_a_name_is_found_upwards_from_the_sessions_directory(ask, engine, tmp_path):
    (tmp_path / "found").write_text("")
    engine.workdir = tmp_path / "a" / "b"
    engine.workdir.mkdir(parents=True)
    assert ask('{host{findUp(name:"found")}}') == "../../found"
    assert ask('{host{findUp(name:"no-such-name-anywhere")}}') is None


def test_a_socket_is_keyed_by_its_path(session, ask, tmp_path):
    socket = ask('{host{unixSocket(path:"s.sock"){id}}}')
    query = 'query($s:ID!){container{withUnixSocket(path:"/run/s",source:$s,owner:"app"){%s}}}'
    made = session.objects.find(ask(query % "id", s=socket))
    assert made.mounts == (SocketMount("/run/s", str(tmp_path / "s.sock"), "app"),)
    assert ask(query % 'withoutUnixSocket(path:"/run/s"){mounts}', s=socket) == []


def test_an_image_is_taken_from_the_hosts_engine(ask, refused):
    assert ask('{host{containerImage(name:"known"){user}}}') == "imported"
    assert "none" in refused('{host{containerImage(name:"no"){user}}}')["message"]


# --- engine ------------------------------------------------------------------------------


def test_the_store_is_accounted_for(ask):
    assert ask("{engine{name}}") == "embedded"
    assert len(ask("{engine{clients}}")) == 1
    held = ask(
        "{engine{localCache{entrySet{entryCount diskSpaceBytes entries{recordType activelyUsed mostRecentUseTimeUnixNano}}}}}"
    )
    assert (held["entryCount"], held["diskSpaceBytes"]) == (2, 340)
    assert held["entries"][0] == {
        "recordType": "regular",
        "activelyUsed": True,
        "mostRecentUseTimeUnixNano": 2_500_000_000,
    }
    assert ask("{engine{localCache{maxUsedSpace reservedSpace minFreeSpace}}}") == {
        "maxUsedSpace": 1000,
        "reservedSpace": 100,
        "minFreeSpace": 50,
    }


def test_a_prune_says_what_to_reach(ask, engine):
    ask("{engine{localCache{prune}}}")
    ask('{engine{localCache{prune(useDefaultPolicy:true,maxUsedSpace:"1GB",targetSpace:"10%")}}}')
    assert engine.store.pruned == [Wanted(True), Wanted(False, "1GB", "", "", "10%")]

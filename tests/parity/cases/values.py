"""Small values: env files, JSON, errors, addresses."""

import json

import dagger

from tests.parity.case import Differs, Fails, Given, case

E, J = "EnvFile.", "JSONValue."


@case("Query.envFile", E + "withVariable", E + "get", E + "exists", E + "withoutVariable",
      gives=["1", True, False])  # fmt: skip
async def an_env_file_is_made_and_read(given: Given):
    it = given.dag.env_file().with_variable("A", "1").with_variable("B", "2").without_variable("B")
    return [await it.get("A"), await it.exists("A"), await it.exists("B")]


@case("Query.envFile", E + "variables", E + "get", gives=[[("A", "1"), ("B", "1 2")], "${A} 2"])
async def variables_of_an_env_file_are_expanded(given: Given):
    it = given.dag.env_file().with_variable("A", "1").with_variable("B", "${A} 2")
    listed = [(await one.name(), await one.value()) for one in await it.variables()]
    return [listed, await it.get("B", raw=True)]


@case("File.asEnvFile", E + "get", gives=["1", "two words", "1-x"])
async def a_file_is_read_as_an_env_file(given: Given):
    text = '# comment\nA=1\nB="two words"\nC=${A}-x\n'
    it = given.dag.file("env", text).as_env_file()
    return [await it.get(name) for name in ("A", "B", "C")]


@case(E + "asFile", "File.contents", gives="A=1\nB=2\n")
async def an_env_file_is_written(given: Given):
    it = given.dag.env_file().with_variable("A", "1").with_variable("B", "2")
    return await it.as_file().contents()


@case(E + "namespace", gives=["1", False])
async def a_namespace_is_chosen(given: Given):
    it = given.dag.env_file().with_variable("APP_A", "1").with_variable("B", "2")
    chosen = it.namespace("app_")
    return [await chosen.get("A"), await chosen.exists("B")]


@case(E + "get", gives="")
async def a_variable_that_is_not_in_an_env_file_is_empty(given: Given):
    return await given.dag.env_file().get("NOPE")


@case("Container.withEnvFileVariables", gives=["1", "2\n"])
async def a_container_takes_an_env_file(given: Given):
    source = given.dag.env_file().with_variable("A", "1").with_variable("B", "2")
    it = given.box.with_env_file_variables(source)
    ran = it.with_exec(["sh", "-c", "echo $B"])
    return [await it.env_variable("A"), await ran.stdout()]


@case(
    "File.asJSON", J + "fields", J + "field", J + "asString", J + "asInteger", J + "asBoolean",
    J + "asArray",
    gives=[["a", "b", "c"], "x", 2, True, [1, 2]],
)  # fmt: skip
async def json_is_read(given: Given):
    it = given.dag.file("f", '{"a": "x", "b": {"n": 2, "t": true}, "c": [1, 2]}').as_json()
    return [
        sorted(await it.fields()),
        await it.field(["a"]).as_string(),
        await it.field(["b", "n"]).as_integer(),
        await it.field(["b", "t"]).as_boolean(),
        [await one.as_integer() for one in await it.field(["c"]).as_array()],
    ]


@case(
    "Query.json", J + "withField", J + "newString", J + "newInteger", J + "newBoolean",
    J + "contents", J + "withContents",
    gives={"a": "x", "b": {"n": 2}, "c": False},
)  # fmt: skip
async def json_is_written(given: Given):
    new = given.dag.json()
    it = (
        new.with_contents(dagger.JSON("{}"))
        .with_field(["a"], new.new_string("x"))
        .with_field(["b", "n"], new.new_integer(2))
        .with_field(["c"], new.new_boolean(False))
    )
    return json.loads(await it.contents())


@case(J + "contents", gives='{\n  "a": 1\n}')
async def json_is_printed_for_people(given: Given):
    it = given.dag.json().with_contents(dagger.JSON('{"a":1}'))
    return str(await it.contents(pretty=True))


@case("File.asJSON", gives=Fails("(?i)json|invalid"))
async def what_is_no_json_is_an_error(given: Given):
    return await given.dag.file("f", "{").as_json().fields()


@case(J + "field", gives=Fails("nope"))
async def a_field_that_is_not_there_is_named(given: Given):
    it = given.dag.json().with_contents(dagger.JSON('{"a":1}'))
    return await it.field(["nope"]).as_string()


@case("Query.error", "Error.message", "Error.withValue", "Error.values", "ErrorValue.name",
      "ErrorValue.value", gives=["broken", [("why", "1")]])  # fmt: skip
async def an_error_is_made_and_read(given: Given):
    it = given.dag.error("broken").with_value("why", dagger.JSON("1"))
    values = [(await one.name(), str(await one.value())) for one in await it.values()]
    return [await it.message(), values]


@case("Query.address", "Address.value", "Address.directory", "Address.file",
      gives=[True, ["f"], "1"])  # fmt: skip
async def an_address_leads_to_files(given: Given):
    (given.path / "f").write_text("1")
    it = given.dag.address(str(given.path))
    file = given.dag.address(f"{given.path}/f").file()
    return [
        await it.value() == str(given.path),
        await it.directory().entries(),
        await file.contents(),
    ]


@case("Address.secret", gives="hidden-value")
async def an_address_leads_to_a_secret(given: Given):
    (given.path / "token").write_text("hidden-value")
    return await given.dag.address(f"file://{given.path}/token").secret().plaintext()


@case(
    "File.asEnvFile",
    E + "variables",
    gives=["B"],
    differs=Differs("A line that begins with `#` is a comment.", dagger=["#A", "B"]),
)
async def a_comment_is_no_variable(given: Given):
    it = given.dag.file("env", "#A=1\nB=set\n").as_env_file()
    return [await one.name() for one in await it.variables()]

"""Secrets: given to a command, hidden in its output, never in a key."""

import os

from tests.parity.case import Differs, Fails, Given, case

C = "Container."
HIDDEN = "correct-horse-battery"
SCRIPT = "head -c8 /dev/urandom | od -An -tx1"


@case("Query.setSecret", C + "withSecretVariable", C + "withMountedSecret",
      gives=["22", "21", "400"])  # fmt: skip
async def a_command_gets_it_as_a_variable_and_as_a_file(given: Given):
    secret = given.dag.set_secret("token", HIDDEN)
    it = given.box.with_secret_variable("TOKEN", secret).with_mounted_secret("/run/token", secret)
    script = "echo $TOKEN | wc -c; wc -c < /run/token; stat -c %a /run/token"
    return (await it.with_exec(["sh", "-c", script]).stdout()).split()


@case(C + "withSecretVariable", C + "stdout", C + "stderr", gives=["a***b\n", "***\n"])
async def output_is_scrubbed(given: Given):
    it = given.box.with_secret_variable("TOKEN", given.dag.set_secret("token", HIDDEN))
    ran = it.with_exec(["sh", "-c", "echo a${TOKEN}b; echo $TOKEN >&2"])
    return [await ran.stdout(), await ran.stderr()]


@case(C + "withMountedSecret", gives="***\n")
async def output_is_scrubbed_though_written_in_pieces(given: Given):
    it = given.box.with_mounted_secret("/s", given.dag.set_secret("token", HIDDEN))
    script = "head -c 9 /s; sleep 0.2; tail -c +10 /s; echo"
    return await it.with_exec(["sh", "-c", script]).stdout()


@case(C + "withMountedSecret", gives="77:77 440\n")
async def a_mounted_secret_has_an_owner_and_a_mode(given: Given):
    secret = given.dag.set_secret("token", HIDDEN)
    it = given.box.with_mounted_secret("/s", secret, owner="bob", mode=0o440)
    return await it.with_exec(["stat", "-c", "%u:%g %a", "/s"]).stdout()


@case(C + "withMountedSecret", gives=[])
async def a_mounted_secret_is_not_listed_with_the_mounts(given: Given):
    it = given.box.with_mounted_secret("/s", given.dag.set_secret("token", HIDDEN))
    return await it.mounts()


@case(C + "withMountedSecret", C + "file", gives=Fails("secret|/s"))
async def a_mounted_secret_is_not_read_from_outside(given: Given):
    it = given.box.with_mounted_secret("/s", given.dag.set_secret("token", HIDDEN))
    return await it.file("/s").contents()


@case(C + "withoutSecretVariable", gives="[]\n")
async def a_secret_variable_is_taken_away(given: Given):
    it = given.box.with_secret_variable("TOKEN", given.dag.set_secret("token", HIDDEN))
    it = it.without_secret_variable("TOKEN")
    return await it.with_exec(["sh", "-c", "echo [$TOKEN]"]).stdout()


@case(C + "withSecretVariable", C + "withEnvVariable", gives=Fails("TOKEN"))
async def a_secret_is_not_expanded(given: Given):
    it = given.box.with_secret_variable("TOKEN", given.dag.set_secret("token", HIDDEN))
    return await it.with_env_variable("A", "${TOKEN}", expand=True).env_variable("A")


@case(C + "withSecretVariable", C + "envVariable", gives=None)
async def a_secret_variable_is_not_in_the_configuration(given: Given):
    it = given.box.with_secret_variable("TOKEN", given.dag.set_secret("token", HIDDEN))
    return await it.env_variable("TOKEN")


@case("Query.setSecret", "Secret.name", "Secret.plaintext", gives=["token", HIDDEN])
async def a_secret_is_read_by_its_owner(given: Given):
    secret = given.dag.set_secret("token", HIDDEN)
    return [await secret.name(), await secret.plaintext()]


@case("Query.setSecret", gives=True)
async def another_value_does_not_run_a_command_again(given: Given):
    answers = []
    for value in ("one-of-them", "another-one"):
        secret = given.dag.set_secret("rotated", value)
        it = given.box.with_secret_variable("TOKEN", secret)
        answers.append(await it.with_exec(["sh", "-c", SCRIPT]).stdout())
    return answers[0] == answers[1]


@case("Query.secret", "Secret.uri", gives=[True, "22\n", HIDDEN])
async def a_secret_is_read_from_a_file_of_the_host(given: Given):
    (given.path / "token").write_text(HIDDEN)
    uri = f"file://{given.path}/token"
    secret = given.dag.secret(uri)
    it = given.box.with_secret_variable("TOKEN", secret)
    ran = it.with_exec(["sh", "-c", "echo $TOKEN | wc -c"])
    return [await secret.uri() == uri, await ran.stdout(), await secret.plaintext()]


@case("Query.secret", gives=True)
async def a_secret_is_read_from_the_environment(given: Given):
    return await given.dag.secret("env://HOME").plaintext() == os.environ["HOME"]


@case(
    "Query.secret",
    gives=Fails("PARITY_UNSET"),
    differs=Differs(
        "A variable's name is no secret, and it is what has to be mended.",
        dagger=Fails('not found: "PAR'),
    ),
)
async def a_variable_that_is_not_set_is_named(given: Given):
    it = given.box.with_secret_variable("T", given.dag.secret("env://PARITY_UNSET"))
    return await it.with_exec(["true"]).sync()


@case("Query.secret", gives=Fails("nonsense"))
async def an_address_of_no_known_kind_is_an_error(given: Given):
    return await given.dag.secret("nonsense://x").plaintext()


@case("Query.secret", gives=True)
async def a_cache_key_stands_for_the_value(given: Given):
    answers = []
    for value in ("one-of-them", "another-one"):
        (given.path / value).write_text(value)
        secret = given.dag.secret(f"file://{given.path}/{value}", cache_key="same")
        it = given.box.with_secret_variable("TOKEN", secret)
        answers.append(await it.with_exec(["sh", "-c", SCRIPT]).stdout())
    return answers[0] == answers[1]


@case(C + "withSecretVariable", gives=Fails("(?s)^(?!.*correct-horse).*exit code", "ExecError"))
async def an_error_does_not_tell_it(given: Given):
    it = given.box.with_secret_variable("TOKEN", given.dag.set_secret("token", HIDDEN))
    return await it.with_exec(["sh", "-c", "echo $TOKEN >&2; exit 1"]).sync()


@case(
    C + "withMountedSecret",
    gives="77:88 400\n",
    differs=Differs("A mounted secret is for the command's user to read.", dagger="0:0 400\n"),
)
async def a_mounted_secret_belongs_to_the_commands_user(given: Given):
    secret = given.dag.set_secret("token", HIDDEN)
    it = given.box.with_user("bob").with_mounted_secret("/s", secret)
    return await it.with_exec(["stat", "-c", "%u:%g %a", "/s"]).stdout()


@case(
    C + "withSecretVariable",
    gives="***\n***\n",
    differs=Differs("Each line of a secret is hidden by itself.", dagger="***\nsecond-line\n"),
)
async def the_lines_of_a_secret_are_hidden(given: Given):
    secret = given.dag.set_secret("lines", "first-line\nsecond-line\n")
    it = given.box.with_secret_variable("S", secret)
    return await it.with_exec(["sh", "-c", 'echo "$S"; echo second-line']).stdout()


@case(
    C + "withSecretVariable",
    gives="axb\n",
    differs=Differs("A secret of a letter or two would hide all output.", dagger="a***b\n"),
)
async def a_very_short_secret_is_hidden(given: Given):
    it = given.box.with_secret_variable("S", given.dag.set_secret("short", "x"))
    return await it.with_exec(["sh", "-c", "echo axb"]).stdout()

"""What a container's configuration holds, and how it is changed and read."""

import dagger

from tests.parity.case import Differs, Fails, Given, case

C = "Container."


@case(C + "withEnvVariable", C + "envVariable", gives=["1", "12", None])
async def variables_are_set_and_expanded(given: Given):
    it = given.box.with_env_variable("A", "1").with_env_variable("B", "${A}2", expand=True)
    return [await it.env_variable(name) for name in ("A", "B", "C")]


@case(C + "withEnvVariable", gives="${A}2")
async def a_variable_is_not_expanded_unless_asked_for(given: Given):
    it = given.box.with_env_variable("A", "1").with_env_variable("B", "${A}2")
    return await it.env_variable("B")


@case(C + "withEnvVariable", gives="[]")
async def an_unset_variable_expands_to_nothing(given: Given):
    return await given.box.with_env_variable("B", "[$NOPE]", expand=True).env_variable("B")


@case(C + "withEnvVariable", gives=["", "", r"\x", "x-", "a$", "a$ b", "x}", "$.x"])
async def expansion_knows_names_alone(given: Given):
    it = given.box.with_env_variable("A", "x")
    texts = ("${A:-d}", "${N-d}", r"\$A", "$A-$1", "a$", "a$ b", "$A}", "$.$A")
    made = [it.with_env_variable("B", text, expand=True) for text in texts]
    return [await one.env_variable("B") for one in made]


@case(C + "envVariables", "EnvVariable.name", "EnvVariable.value", gives=[("A", "3"), ("B", "2")])
async def variables_are_listed_in_the_order_of_their_first_setting(given: Given):
    it = given.dag.container().with_env_variable("A", "1").with_env_variable("B", "2")
    found = await it.with_env_variable("A", "3").env_variables()
    return [(await one.name(), await one.value()) for one in found]


@case(C + "withoutEnvVariable", gives=[None, "2\n"])
async def a_variable_is_unset(given: Given):
    it = given.box.with_env_variable("A", "1").with_env_variable("B", "2")
    it = it.without_env_variable("A")
    ran = it.with_exec(["sh", "-c", "echo $A$B"])
    return [await it.env_variable("A"), await ran.stdout()]


@case(C + "withVolatileVariable", C + "withoutVolatileVariable", gives=[None, "1-\n"])
async def a_volatile_variable_is_seen_by_commands_alone(given: Given):
    it = given.box.with_volatile_variable("V", "1").with_volatile_variable("W", "2")
    it = it.without_volatile_variable("W")
    ran = it.with_exec(["sh", "-c", "echo $V-$W"])
    return [await it.env_variable("V"), await ran.stdout()]


@case(C + "withVolatileVariable", gives=True)
async def a_volatile_value_does_not_run_a_command_again(given: Given):
    script = "head -c8 /dev/urandom | od -An -tx1"
    ran = [given.box.with_volatile_variable("V", value) for value in ("1", "2")]
    one, two = [await it.with_exec(["sh", "-c", script]).stdout() for it in ran]
    return one == two


@case(C + "withEnvVariable", C + "withVolatileVariable", gives=Fails("V"))
async def a_volatile_variable_is_not_expanded(given: Given):
    it = given.box.with_volatile_variable("V", "1")
    return await it.with_env_variable("B", "${V}", expand=True).env_variable("B")


@case(C + "withWorkdir", C + "workdir", C + "withoutWorkdir", gives=["/a", "/a/b", "/a/b\n", ""])
async def a_relative_working_directory_goes_on_from_the_last(given: Given):
    one = given.box.with_workdir("/a")
    two = one.with_workdir("b")
    return [
        await one.workdir(),
        await two.workdir(),
        await two.with_exec(["pwd"]).stdout(),
        await two.without_workdir().workdir(),
    ]


@case(C + "workdir", C + "user", gives=["", "", "/\n"])
async def without_a_working_directory_a_command_starts_at_the_root(given: Given):
    it = given.box
    return [await it.workdir(), await it.user(), await it.with_exec(["pwd"]).stdout()]


@case(C + "withWorkdir", gives="/home/x")
async def a_working_directory_is_expanded(given: Given):
    it = given.box.with_env_variable("D", "x").with_workdir("/home/${D}", expand=True)
    return await it.workdir()


@case(C + "withUser", C + "user", C + "withoutUser", gives=["bob", "77:88\n", ""])
async def a_user_is_looked_up_in_the_image(given: Given):
    it = given.box.with_user("bob")
    ran = it.with_exec(["sh", "-c", "echo $(id -u):$(id -g)"])
    return [await it.user(), await ran.stdout(), await it.without_user().user()]


@case(C + "withUser", gives="5:6\n")
async def a_user_may_be_numbers(given: Given):
    ran = given.box.with_user("5:6").with_exec(["sh", "-c", "echo $(id -u):$(id -g)"])
    return await ran.stdout()


@case(
    C + "withUser",
    gives=Fails("nope"),
    differs=Differs(
        "No command ran, so the error is no failure of a command with an exit code.",
        dagger=Fails("unable to find user nope", "ExecError"),
    ),
)
async def a_user_that_is_not_there_is_an_error(given: Given):
    return await given.box.with_user("nope").with_exec(["true"]).sync()


@case(
    C + "withEntrypoint", C + "entrypoint", C + "defaultArgs", C + "withDefaultArgs",
    gives=[["echo"], ["hi"], [], ["hi"]],
)  # fmt: skip
async def a_new_entrypoint_drops_the_default_arguments_unless_kept(given: Given):
    it = given.box.with_entrypoint(["echo"]).with_default_args(["hi"])
    dropped = it.with_entrypoint(["cat"])
    kept = it.with_entrypoint(["cat"], keep_default_args=True)
    return [
        await it.entrypoint(),
        await it.default_args(),
        await dropped.default_args(),
        await kept.default_args(),
    ]


@case(
    C + "withoutEntrypoint", C + "withoutDefaultArgs",
    gives=[[], [], ["hi"], ["echo"], []],
)  # fmt: skip
async def an_entrypoint_and_default_arguments_are_taken_away(given: Given):
    it = given.box.with_entrypoint(["echo"]).with_default_args(["hi"])
    bare, kept = it.without_entrypoint(), it.without_entrypoint(keep_default_args=True)
    no_args = it.without_default_args()
    return [
        await bare.entrypoint(),
        await bare.default_args(),
        await kept.default_args(),
        await no_args.entrypoint(),
        await no_args.default_args(),
    ]


@case(
    C + "withLabel", C + "label", C + "labels", C + "withoutLabel", "Label.name", "Label.value",
    gives=["2", None, [("b", "2")]],
)  # fmt: skip
async def labels_are_set_listed_and_removed(given: Given):
    it = given.dag.container().with_label("a", "1").with_label("b", "2").without_label("a")
    listed = [(await one.name(), await one.value()) for one in await it.labels()]
    return [await it.label("b"), await it.label("a"), listed]


@case(
    C + "withExposedPort", C + "exposedPorts", C + "withoutExposedPort", "Port.port",
    "Port.protocol", "Port.description", "Port.experimentalSkipHealthcheck",
    gives=[(53, "UDP", None, False), (8080, "TCP", "web", True)],
)  # fmt: skip
async def ports_are_exposed(given: Given):
    it = (
        given.dag.container()
        .with_exposed_port(8080, description="web", experimental_skip_healthcheck=True)
        .with_exposed_port(53, protocol=dagger.NetworkProtocol.UDP)
        .with_exposed_port(53)
        .without_exposed_port(53)
    )
    found = [
        (
            await one.port(),
            (await one.protocol()).value,
            await one.description(),
            await one.experimental_skip_healthcheck(),
        )
        for one in await it.exposed_ports()
    ]
    return sorted(found)


@case(
    C + "withExposedPort",
    gives=Fails("70000"),
    differs=Differs("A port that can not be is refused where it is written.", dagger=[70000]),
)
async def a_port_out_of_range_is_an_error(given: Given):
    return [await p.port() for p in await given.box.with_exposed_port(70000).exposed_ports()]


HEALTH = "HealthcheckConfig."


@case(
    C + "withDockerHealthcheck", C + "dockerHealthcheck", HEALTH + "args", HEALTH + "shell",
    HEALTH + "interval", HEALTH + "retries", HEALTH + "timeout", HEALTH + "startPeriod",
    HEALTH + "startInterval",
    gives=[["true"], True, "1m30s", "3s", 3, "1.5s", "0s"],
)  # fmt: skip
async def a_health_check_is_read_back(given: Given):
    made = given.box.with_docker_healthcheck(
        ["true"], shell=True, interval="90s", timeout="3s", retries=3, start_period="1500ms"
    )
    check = made.docker_healthcheck()
    return [
        await check.args(),
        await check.shell(),
        await check.interval(),
        await check.timeout(),
        await check.retries(),
        await check.start_period(),
        await check.start_interval(),
    ]


@case(
    C + "withDockerHealthcheck",
    C + "withoutDockerHealthcheck",
    gives=Fails("(?i)null", "InvalidQueryError"),
)
async def a_health_check_is_taken_away(given: Given):
    it = given.dag.container().with_docker_healthcheck(["true"]).without_docker_healthcheck()
    return await it.docker_healthcheck().args()


@case(C + "withDockerHealthcheck", gives=Fails("(?i)args"))
async def a_health_check_needs_a_command(given: Given):
    return await given.box.with_docker_healthcheck([]).sync()


@case(C + "withDockerHealthcheck", gives=Fails("(?i)single|exactly one"))
async def a_shell_reads_one_text(given: Given):
    return await given.box.with_docker_healthcheck(["echo", "hi"], shell=True).sync()


@case(C + "withDockerHealthcheck", gives=Fails("soon"))
async def a_duration_that_is_none_is_an_error(given: Given):
    return await given.box.with_docker_healthcheck(["true"], interval="soon").sync()


@case(C + "platform", "Query.defaultPlatform", "Query.container", gives=[True, "linux/arm64"])
async def a_platform_is_asked_for(given: Given):
    other = given.dag.container(platform=dagger.Platform("linux/arm64"))
    own = await given.dag.default_platform() == await given.dag.container().platform()
    return [own, await other.platform()]


@case(C + "platform", gives=Fails("nonsense"))
async def a_platform_that_is_none_is_an_error(given: Given):
    return await given.dag.container(platform=dagger.Platform("nonsense")).platform()


@case(C + "imageRef", gives=Fails("image"))
async def a_container_that_came_from_no_image_has_no_reference(given: Given):
    return await given.box.image_ref()


@case(
    C + "platform",
    gives=["linux/arm64", "linux/arm/v7"],
    differs=Differs("A platform's variant is told.", dagger=["linux/arm64", "linux/arm"]),
)
async def a_platform_is_normalised(given: Given):
    asked = (dagger.Platform(name) for name in ("linux/aarch64", "linux/arm"))
    return [await given.dag.container(platform=one).platform() for one in asked]

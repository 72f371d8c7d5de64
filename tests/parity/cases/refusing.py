"""What the embedded engine does not do: the error names it and says what does."""

from tests.parity.case import Differs, Fails, Given, case

C = "Container."
SAYS = "--engine dagger"


def refused(field: str) -> Fails:
    return Fails(f"(?s){field}.*{SAYS}")


@case(
    C + "withExec",
    gives=refused("insecureRootCapabilities"),
    differs=Differs(
        "A command gets power over the host only where the session allows it.", dagger="fine\n"
    ),
)
async def a_command_has_every_capability_of_the_host(given: Given):
    it = given.box.with_exec(["echo", "fine"], insecure_root_capabilities=True)
    return await it.stdout()


@case(
    C + "withDefaultTerminalCmd",
    gives=refused("withDefaultTerminalCmd"),
    differs=Differs("A session has no terminal of its own to offer.", dagger=""),
)
async def a_terminal_has_its_command(given: Given):
    return await given.box.with_default_terminal_cmd(["sh"]).user()


@case(
    C + "experimentalWithAllGPUs",
    gives=refused("experimentalWithAllGPUs"),
    differs=Differs("The sandbox hands no devices on.", dagger=""),
)
async def a_container_has_every_gpu(given: Given):
    return await given.box.experimental_with_all_gp_us().user()


@case(
    "Query.currentTypeDefs",
    gives=refused("currentTypeDefs"),
    differs=Differs("Modules run on the Dagger engine alone.", dagger=True),
)
async def types_of_modules_are_listed(given: Given):
    return len(await given.dag.current_type_defs()) > 10


@case(
    "Query.llm",
    "LLM.model",
    gives=refused("llm"),
    differs=Differs("Language models are talked to by the Dagger engine alone.", dagger="m"),
)
async def a_language_model_is_named(given: Given):
    return await given.dag.llm(model="m").model()

"""Dockerfiles. They start from scratch, with the busybox of the context: no registry is asked."""

import dagger

from tests.parity.case import Fails, Given, case

B = "Directory.dockerBuild"
BASE = "FROM scratch AS base\nCOPY root/ /\n"


def context(given: Given, text: str, **files: str) -> dagger.Directory:
    it = given.dag.directory().with_directory("root", given.box.rootfs())
    it = it.with_new_file("Dockerfile", BASE + text)
    for name, content in files.items():
        it = it.with_new_file(name.replace("__", "/"), content)
    return it


@case(B, gives=["1 2\n", "/w", "bob", ["echo"], ["hi"], "v", ["A", "PATH"], [80]])
async def an_image_is_built_with_its_configuration(given: Given):
    text = """
ENV A=1 PATH=/bin
WORKDIR /w
RUN echo $A ${B:-2} > out
USER bob
LABEL l=v
EXPOSE 80
ENTRYPOINT ["echo"]
CMD ["hi"]
"""
    it = context(given, text).docker_build()
    return [
        await it.file("/w/out").contents(),
        await it.workdir(),
        await it.user(),
        await it.entrypoint(),
        await it.default_args(),
        await it.label("l"),
        sorted([await one.name() for one in await it.env_variables()]),
        [await port.port() for port in await it.exposed_ports()],
    ]


@case(B, gives=["built\n", False])
async def stages_copy_from_each_other(given: Given):
    text = """
RUN echo built > /out && touch /left
FROM base
COPY --from=made /out /out
"""
    it = context(given, "FROM base AS made" + text).docker_build()
    return [await it.file("/out").contents(), await it.exists("/left")]


@case(B, gives=["one\n", "default\n"])
async def build_arguments_are_given(given: Given):
    text = "ARG V=default\nRUN echo $V > /out\n"
    given_one = context(given, text).docker_build(build_args=[dagger.BuildArg("V", "one")])
    default = context(given, text).docker_build()
    return [await one.file("/out").contents() for one in (given_one, default)]


@case(B, gives="first\n")
async def a_target_is_built_alone(given: Given):
    text = "FROM base AS first\nRUN echo first > /out\nFROM base AS second\nRUN false\n"
    return await context(given, text).docker_build(target="first").file("/out").contents()


@case(B, gives=Fails("nope"))
async def a_target_that_is_not_there_is_named(given: Given):
    return await context(given, "").docker_build(target="nope").sync()


@case(B, gives="other\n")
async def another_dockerfile_is_named(given: Given):
    it = context(given, "RUN false\n", docker__Other=BASE + "RUN echo other > /out\n")
    return await it.docker_build(dockerfile="docker/Other").file("/out").contents()


@case(B, gives=Fails("Nope"))
async def a_dockerfile_that_is_not_there_is_named(given: Given):
    return await context(given, "").docker_build(dockerfile="Nope").sync()


@case(B, gives=["a.txt", "sub"])
async def what_dockerignore_names_is_not_copied(given: Given):
    files = {"a.txt": "", "b.md": "", "sub__c": "", ".dockerignore": "*.md\nDockerfile\nroot2\n"}
    text = "COPY . /all\nRUN rm -r /all/root /all/.dockerignore; ls /all > /out\n"
    it = context(given, text, **files).docker_build()
    return (await it.file("/out").contents()).split()


@case(B, gives="755 7:8 /d/a.txt\n644 0:0 /e/a.txt\n644 0:0 /e/b.txt\n")
async def files_are_copied_with_owners_modes_and_wildcards(given: Given):
    text = """
COPY --chmod=755 --chown=7:8 a.txt /d/
COPY *.txt /e/
RUN stat -c '%a %u:%g %n' /d/a.txt /e/a.txt /e/b.txt > /out
"""
    files = {"a.txt": "", "b.txt": ""}
    return await context(given, text, **files).docker_build().file("/out").contents()


@case(B, gives="one\ntwo\nfile\n")
async def heredocs_are_scripts_and_files(given: Given):
    text = """
COPY <<EOF /file
file
EOF
RUN <<EOF
echo one > /out
echo two >> /out
EOF
RUN cat /file >> /out
"""
    return await context(given, text).docker_build().file("/out").contents()


@case(B, gives=["bound tmpfs\n", False])
async def mounts_are_there_for_one_command(given: Given):
    text = """
RUN --mount=type=bind,source=a.txt,target=/m/a --mount=type=tmpfs,target=/t \
    --mount=type=cache,target=/c sh -c 'echo $(cat /m/a) $(stat -f -c %T /t) > /out; touch /c/f'
"""
    it = context(given, text, **{"a.txt": "bound"}).docker_build()
    return [await it.file("/out").contents(), await it.exists("/c/f")]


@case(B, "Query.setSecret", gives=["13\n", False])
async def secrets_are_mounted(given: Given):
    text = "RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /out\n"
    secret = given.dag.set_secret("token", "hidden-value!")
    it = context(given, text).docker_build(secrets=[secret])
    return [await it.file("/out").contents(), await it.exists("/run/secrets/token")]


@case(B, gives=Fails("exit code: 3", "ExecError"))
async def a_command_that_fails_is_an_error(given: Given):
    return await context(given, "RUN exit 3\n").docker_build().sync()


@case(B, gives=Fails("(?i)unknown instruction.*NOSUCH|NOSUCH.*unknown"))
async def an_instruction_that_is_none_is_named(given: Given):
    return await context(given, "NOSUCH x\n").docker_build().sync()


@case(B, gives=Fails("nope"))
async def a_file_that_is_not_in_the_context_is_named(given: Given):
    return await context(given, "COPY nope /\n").docker_build().sync()


@case(B, gives=Fails("nope"))
async def a_stage_that_is_not_there_is_an_image(given: Given):
    return await context(given, "COPY --from=nope.invalid/nope:1 /a /\n").docker_build().sync()


@case(B, gives=["linux amd64 linux/amd64\n"])
async def platform_arguments_are_predefined(given: Given):
    text = "ARG TARGETOS\nARG TARGETARCH\nARG BUILDPLATFORM\n"
    text += "RUN echo $TARGETOS $TARGETARCH $BUILDPLATFORM > /out\n"
    return [await context(given, text).docker_build().file("/out").contents()]


@case(B, gives=["SHELL\n", "two\n"])
async def the_shell_is_changed(given: Given):
    text = 'SHELL ["/bin/sh", "-c", "echo SHELL > /out; eval \\"$0\\""]\nRUN echo two > /two\n'
    it = context(given, text).docker_build()
    return [await it.file("/out").contents(), await it.file("/two").contents()]


@case(B, "Container.dockerHealthcheck", "HealthcheckConfig.args", gives=["true", "1m30s"])
async def a_health_check_is_declared(given: Given):
    it = context(given, "HEALTHCHECK --interval=90s CMD true\n").docker_build()
    check = it.docker_healthcheck()
    return [(await check.args())[-1], await check.interval()]

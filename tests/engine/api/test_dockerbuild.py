"""Dockerfiles to containers, on the engine that keeps everything in memory."""

import pytest

from pipelines.engine import op as ops
from pipelines.engine.api.ids import identify
from pipelines.engine.op import CacheMount, DirMount, Edge, Exec, Lay, Put, SecretMount, TempMount


@pytest.fixture
def tree(session, engine):
    """Give the id of a host directory with these files."""

    def make(files):
        made = {}
        for path, text in files.items():
            made[path] = engine.entry(text.encode())
        from pipelines.engine.api.directory import Directory
        from pipelines.engine.tree import Tree

        engine.hosts["/src"] = Tree.of(made.items())
        return session.objects.remember(Directory(Edge(ops.HostTree("/src"))))

    return make


@pytest.fixture
def build(ask, session, tree):
    """Build a Dockerfile and give the container."""

    def built(dockerfile, arguments="", **files):
        named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
        directory = tree({"Dockerfile": dockerfile, **named})
        query = f'{{loadDirectoryFromID(id:"{directory}"){{dockerBuild{arguments}{{id}}}}}}'
        return session.objects.find(ask(query))

    return built


@pytest.fixture
def failed(refused, tree):
    def fails(dockerfile, arguments="", **files):
        directory = tree({"Dockerfile": dockerfile, **files})
        return refused(f'{{loadDirectoryFromID(id:"{directory}"){{dockerBuild{arguments}{{id}}}}}}')

    return fails


def execs(container):
    """The commands below a container, first to last."""
    found, stack = [], [container.rootfs.op]
    while stack:
        op = stack.pop()
        found += [op] if isinstance(op, Exec) and op not in found else []
        stack += [edge.op for edge in op.inputs]
    return found[::-1]


def scripts(container):
    return [op.args[-1] for op in execs(container)]


# --- stages ------------------------------------------------------------------------------


def test_only_what_the_target_needs_is_built(build):
    text = (
        "FROM alpine AS a\nRUN one\nFROM alpine AS b\nRUN two\nFROM scratch\nCOPY --from=a /x /x\n"
    )
    assert scripts(build(text)) == ["one"]
    assert scripts(build(text, '(target:"B")')) == ["two"]
    assert scripts(build(text, '(target:"1")')) == ["two"]


def test_a_stage_goes_on_from_a_stage(build):
    found = build("FROM alpine AS base\nARG V=1\nENV A=$V\nUSER u\nFROM base\nRUN x $A\n")
    assert dict(execs(found)[0].env)["V"] == "1"
    assert found.config.user == "u"


def test_copy_can_be_from_a_number_or_an_image(build):
    found = build("FROM alpine\nRUN a\nFROM scratch\nCOPY --from=0 /x /\nCOPY --from=alpine /y /\n")
    assert scripts(found) == ["a"]
    assert isinstance(found.rootfs.op.pieces[0].op.base.op, ops.Rootfs)


def test_the_platform_of_the_build_is_another_than_the_targets(build):
    text = (
        "FROM --platform=$BUILDPLATFORM alpine AS b\nARG TARGETOS TARGETARCH TARGETVARIANT\nRUN x\n"
        "FROM alpine\nCOPY --from=b /x /x\n"
    )
    found = build(text, '(platform:"linux/arm/v6")')
    (ran,) = execs(found)
    seen = {n: v for n, v in ran.env if n.startswith("TARGET")}
    assert (found.platform, ran.platform) == ("linux/arm/v6", "linux/amd64")
    assert seen == {"TARGETOS": "linux", "TARGETARCH": "arm", "TARGETVARIANT": "v6"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM a:1", "Dockerfile:1: a:1: not found"),
        (
            "FROM alpine AS build\nFROM biuld",
            "Dockerfile:2: biuld: not found (did you mean build?)",
        ),
        ("FROM ${nope}", "Dockerfile:1: FROM ${nope}: the name of the base is empty"),
        ("FROM alpine\nCOPY --from=b /x /\nFROM alpine AS b\nFROM 0", "not found"),
        ("FROM alpine AS a\nCOPY --from=a /x /", "Dockerfile:2: from=a: that stage comes later"),
        ("FROM alpine\nCOPY --from=3 /x /", "Dockerfile:2: from=3: there are 0 stages before"),
        ("FROM --platform=x alpine", "Dockerfile:1: FROM --platform=x"),
        ("FROM alpine\nRUN --mount=type=ssh x", "Dockerfile:2: RUN --mount=type=ssh: no ssh agent"),
        ("FROM alpine\nRUN --security=insecure x", "Dockerfile:2: RUN --security=insecure"),
        ("FROM alpine\nRUN --network=other x", "it is default, none or host"),
        (
            "FROM alpine\nRUN --mount=type=secret,id=t,required x",
            "'t' is required and was not given",
        ),
        ("FROM alpine\nCOPY https://example.com/x /", "only ADD takes what is on the web"),
        ("FROM alpine\nADD --checksum=sha256:0 x /", "it is for one file of the web"),
        ("FROM alpine\nADD --checksum=x https://a/b.git /", "name the commit"),
        ("FROM alpine\nCOPY --chmod=9 a b", "Dockerfile:2: --chmod=9"),
        ("FROM alpine\nEXPOSE x", "Dockerfile:2: EXPOSE x: it is a port"),
        ("FROM alpine\nSTOPSIGNAL kill it", "it is a name such as SIGTERM"),
        ("FROM alpine\nHEALTHCHECK --interval=x CMD y", "not a duration: 'x'"),
        ("FROM alpine\nENV a=${b:?missing}", "Dockerfile:2: b: missing"),
    ],
)
def test_an_error_has_its_line(failed, text, said):
    assert said in failed(text)["message"]


def test_a_target_that_is_not_there_is_said(failed):
    error = failed("FROM alpine AS build\nFROM alpine", '(target:"biuld")')
    assert "no stage 'biuld' (did you mean build?); stages: build, 1" in error["message"]
    assert error["extensions"]["_type"] == "DOCKERFILE_ERROR"


def test_a_dockerfile_that_is_not_there_is_said(failed):
    assert "there is no x/Dockerfile" in failed("FROM a", '(dockerfile:"x/Dockerfile")')["message"]


# --- arguments and variables -------------------------------------------------------------


def test_an_argument_keys_only_what_comes_after_it(build):
    text = "FROM alpine\nRUN before\nARG V=1\nRUN after\n"
    plain, other = (execs(build(text, f'(buildArgs:[{{name:"V",value:"{v}"}}])')) for v in "12")
    assert plain[0].digest == other[0].digest
    assert plain[1].digest != other[1].digest


def test_an_argument_of_all_stages_is_seen_where_it_is_declared(build):
    text = "ARG V=1\nARG W=$V-w\nFROM alpine\nRUN a\nARG W\nRUN b\n"
    before, after = execs(build(text))
    assert "W" not in dict(before.env)
    assert dict(after.env)["W"] == "1-w"
    changed = execs(build(text, '(buildArgs:[{name:"V",value:"2"}])'))
    assert dict(changed[1].env)["W"] == "2-w"


def test_a_variable_is_seen_by_the_next_instruction_only(build):
    found = build("FROM alpine\nENV A=1\nENV A=2 B=$A\nLABEL x=$B y='$B'\nARG A=3\nRUN x\n")
    assert dict(found.config.env)["B"] == "1"
    assert dict(found.config.labels) == {"one": "1", "x": "1", "y": "$B"}
    assert dict(execs(found)[0].env)["A"] == "3"
    assert dict(found.config.env)["A"] == "2"


def test_proxies_reach_commands_and_key_nothing(build):
    text = "FROM alpine\nRUN x\n"
    plain = execs(build(text))[0]
    found = execs(build(text, '(buildArgs:[{name:"HTTP_PROXY",value:"http://p:1"}])'))[0]
    assert found.volatile == (("HTTP_PROXY", "http://p:1"),)
    assert found.digest == plain.digest


def test_an_argument_that_nothing_declares_is_told(build, engine):
    build(
        "FROM alpine\nARG A\n",
        '(buildArgs:[{name:"A",value:"1"},{name:"B",value:"2"},{name:"no_proxy",value:"x"}])',
    )
    assert engine.warnings == ["Dockerfile: build arguments that no ARG declares: B"]


# --- configuration -----------------------------------------------------------------------


def test_the_configuration_is_what_the_instructions_say(build):
    found = build(
        "FROM scratch\nWORKDIR /a\nWORKDIR b\nUSER 1:2\nEXPOSE 80 53/udp 8000-8001\nVOLUME /v /w\n"
        'STOPSIGNAL SIGQUIT\nHEALTHCHECK --interval=5s CMD true\nSHELL ["/bin/ash", "-ec"]\n'
        "CMD run it\nMAINTAINER me\nONBUILD RUN x\n"
    ).config
    assert (found.workdir, found.user, found.stop_signal) == ("/a/b", "1:2", "SIGQUIT")
    assert [p.spelled for p in found.ports] == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
    assert found.volumes == ("/v", "/w")
    assert found.healthcheck.image() == {"Test": ["CMD-SHELL", "true"], "Interval": 5 * 10**9}
    assert found.default_args == ("/bin/ash", "-ec", "run it")
    assert (found.author, found.onbuild) == ("me", ("RUN x",))
    assert dict(found.env)["PATH"].startswith("/usr/local/sbin")


@pytest.mark.parametrize(
    ("lines", "entrypoint", "args"),
    [
        ("", ("/init",), ("sh",)),
        ('ENTRYPOINT ["/x"]', ("/x",), None),
        ('CMD ["y"]\nENTRYPOINT ["/x"]', ("/x",), ("y",)),
        ('ENTRYPOINT ["/x"]\nCMD y', ("/x",), ("/bin/sh", "-c", "y")),
        ("ENTRYPOINT []", (), None),
    ],
)
def test_an_entrypoint_resets_the_arguments_of_the_base(build, lines, entrypoint, args):
    found = build(f"FROM alpine\n{lines}\n").config
    assert (found.entrypoint, found.default_args) == (entrypoint, args)


def test_healthcheck_none_says_that_there_is_to_be_none(build):
    found = build("FROM alpine\nHEALTHCHECK NONE\n")
    assert found.config.healthcheck.image() == {"Test": ["NONE"]}


def test_onbuild_runs_in_the_child_and_is_gone_then(build, engine):
    engine.images["parent"] = type(engine.images["alpine"])(
        "sha256:" + "b" * 64, "parent", {"config": {"OnBuild": ["RUN trigger", "ENV A=1"]}}
    )
    found = build("FROM parent\nRUN own\n")
    assert scripts(found) == ["trigger", "own"]
    assert (dict(found.config.env)["A"], found.config.onbuild) == ("1", ())


def test_the_history_tells_every_instruction(build):
    found = build("FROM alpine\nARG V=1\nRUN x\nENV A=b\nCOPY Dockerfile /d\n")
    assert [(s.created_by, s.root is None) for s in found.config.history[1:]] == [
        ("ARG V=1", True), ("RUN |1 V=1 /bin/sh -c x", False),
        ("ENV A=b", True), ("COPY Dockerfile /d", False),
    ]  # fmt: skip


# --- commands ----------------------------------------------------------------------------


def test_run_has_a_shell_or_a_list_and_heredocs(build):
    found = build(
        'FROM alpine\nRUN a && b\nRUN ["c", "d"]\nRUN <<E\none\ntwo\nE\nRUN cat <<E\nx\nE\n'
    )
    assert [op.args for op in execs(found)] == [
        ("/bin/sh", "-c", "a && b"), ("c", "d"), ("/bin/sh", "-c", "one\ntwo\n"),
        ("/bin/sh", "-c", "cat <<E\nx\nE"),
    ]  # fmt: skip


def test_a_heredoc_with_an_interpreter_is_a_script_of_its_own(build):
    (ran,) = execs(build("FROM alpine\nRUN <<E\n#!/usr/bin/env python3\nprint(1)\nE\n"))
    (mount,) = ran.mounts
    assert ran.args[-1] == f"{mount.target}/E"
    assert (mount.source.op.contents, mount.source.op.mode) == (
        b"#!/usr/bin/env python3\nprint(1)\n",
        0o755,
    )


def test_mounts_become_mounts(build):
    (ran,) = execs(build(
        "FROM alpine\nWORKDIR /w\nRUN --mount=type=cache,target=/root/.cache,sharing=locked "
        "--mount=type=bind,target=. --mount=type=bind,source=sub/f,target=/f,rw "
        "--mount=type=tmpfs,target=/t,size=1k x\n", sub__f="",
    ))  # fmt: skip
    assert ran.workdir == "/w"
    by_target = {m.target: m for m in ran.mounts}
    cache, here, one, temp = (by_target[t] for t in ("/root/.cache", "/w", "/f", "/t"))
    assert isinstance(cache, CacheMount)
    assert (cache.volume.key, cache.volume.namespace, cache.volume.sharing) == (
        "/root/.cache",
        "dockerfile",
        "LOCKED",
    )
    assert isinstance(here, DirMount)
    assert (here.readonly, here.file) == (True, False)
    assert (one.readonly, one.file, one.source.op.path) == (False, True, "sub/f")
    assert isinstance(temp, TempMount)
    assert temp.size == 1024


def test_what_a_mount_is_from_is_built_and_keys_the_command(build):
    text = "FROM alpine AS a\nRUN {}\nFROM alpine\nRUN --mount=type=bind,from=a,target=/m x\n"
    found, other = build(text.format("one")), build(text.format("two"))
    assert scripts(found) == ["one", "x"]
    assert execs(found)[-1].digest != execs(other)[-1].digest


def test_secrets_are_found_by_name_and_address(ask, build):
    mine = ask('{setSecret(name:"token",plaintext:"x"){id}}')
    env = ask('{secret(uri:"env://NPM"){id}}')
    text = (
        "FROM alpine\nRUN --mount=type=secret,id=token --mount=type=secret,id=NPM,env=N "
        "--mount=type=secret,id=absent --mount=type=secret,id=token,target=/t,mode=0444,uid=5 x\n"
    )
    (ran,) = execs(build(text, f'(secrets:["{mine}","{env}"])'))
    assert [(m.target, m.mode, m.owner) for m in ran.mounts if isinstance(m, SecretMount)] == [
        ("/run/secrets/token", 0o400, "0:0"), ("/t", 0o444, "5:0"),
    ]  # fmt: skip
    assert [name for name, _ in ran.secret_env] == ["N"]


def test_network_none_is_another_command(build):
    (plain,) = execs(build("FROM alpine\nRUN x\n"))
    (alone,) = execs(build("FROM alpine\nRUN --network=none x\n"))
    assert (alone.network, plain.digest != alone.digest) == ("none", True)


# --- files -------------------------------------------------------------------------------


def paths(engine, container):
    import anyio

    return sorted(anyio.run(engine.tree, container.rootfs))


def test_copy_is_one_layer_of_everything_it_names(build, engine):
    found = build(
        "FROM scratch\nWORKDIR /w\nCOPY a.txt b* d ./\n", a_txt="1", b1="", b2="", d__e=""
    )
    assert isinstance(found.rootfs.op, Put)
    assert paths(engine, found) == ["w", "w/a.txt", "w/b1", "w/b2", "w/e"]


def test_a_heredoc_is_a_file_with_variables_in_it(build, engine):
    found = build("FROM scratch\nENV A=1\nCOPY <<x <<'y' /d/\n\"$A\"\nx\n$A\ny\n")
    assert paths(engine, found) == ["d", "d/x", "d/y"]
    contents = [piece.op.contents for piece in found.rootfs.op.pieces]
    assert contents == [b'"1"\n', b"$A\n"]


def test_link_makes_a_layer_that_no_base_changes(build):
    one = build("FROM alpine\nCOPY --link a /x/\n", a="")
    two = build("FROM alpine\nRUN x\nCOPY --link a /x/\n", a="")
    assert isinstance(one.rootfs.op, Lay)
    assert one.rootfs.op.upper == two.rootfs.op.upper


def test_what_is_ignored_is_not_copied(build, engine):
    files = {"a": "", "b": "", "c": "", "Dockerfile_dockerignore": "a\n"}
    found = build("FROM scratch\nCOPY . /\n", _dockerignore="*\n!b\n", a="", b="")
    assert paths(engine, found) == ["b"]
    assert "b" in paths(engine, build("FROM scratch\nCOPY . /\n", **files))
    assert "a" not in paths(engine, build("FROM scratch\nCOPY . /\n", **files))


def test_a_file_that_is_not_there_is_said_with_its_line(build, engine):
    from pipelines.engine.errors import PathError

    found = build("FROM scratch\n\nCOPY nope /\n")
    assert found.rootfs.op.pieces[0].op.where == "Dockerfile:3: COPY"
    with pytest.raises(PathError, match="nope: not found"):
        paths(engine, found)


def test_equal_builds_are_equal_containers(build):
    text = "FROM alpine\nRUN x\nCOPY a /\n"
    assert identify(build(text, a="1")) == identify(build("# a comment\n" + text, a="1"))


def test_what_is_ignored_on_the_host_is_not_even_read(build):
    found = build("FROM scratch\nCOPY . /\n", _dockerignore="/node_modules\n", a="")
    source = found.rootfs.op.pieces[0].op.base.op
    assert source == ops.HostTree("/src", exclude=("node_modules",))


@pytest.mark.parametrize("path", ["Dockerfile", "docker/Dockerfile"])
def test_a_dockerfile_may_be_behind_a_link(ask, session, engine, tree, path):
    from pipelines.engine.tree import Entry, Tree

    directory = tree({"real/Dockerfile": "FROM alpine\nRUN linked\n"})
    links = {"Dockerfile": "real/Dockerfile", "docker": "real"}
    made = {name: Entry("link", 0o777, target=target) for name, target in links.items()}
    engine.hosts["/src"] = Tree({**engine.hosts["/src"], **made})
    asked = f'{{loadDirectoryFromID(id:"{directory}"){{dockerBuild(dockerfile:"{path}"){{id}}}}}}'
    assert scripts(session.objects.find(ask(asked))) == ["linked"]

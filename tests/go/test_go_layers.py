"""The chains that Go's commands make, as the engine sees them."""

import re
from pathlib import Path

import anyio
import dagger
import pytest

from pipelines import Platform, SourceError, UsageError, connect, gather, go, matrix
from pipelines.go._project import go_version
from tests.fake_engine import TOKEN, ExecFails, FakeEngine

MODULE = {"go.mod": "module m\n\ngo 1.26\n", "main.go": "package main\n"}


def made(monkeypatch, call, files=MODULE, failing=()):
    """Give what forcing `call(source)` returns, and the chains that were forced."""
    for name in ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)
    with FakeEngine(files, failing).serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))

        async def main():
            async with connect():
                return await call(dagger.dag.host().directory("/s"))

        return anyio.run(main), engine.forced


def chain(monkeypatch, call, files=MODULE):
    return made(monkeypatch, call, files)[1][-1]


def test_the_layers_of_a_build_are_in_order(monkeypatch):
    platform = Platform("linux", "arm", "v6")
    calls = chain(monkeypatch, lambda s: go.build(s, platform, "./cmd/x"))
    order = [
        "from(address='golang:1.26')",
        "name='GOTOOLCHAIN', value='local'",
        "name='GOFLAGS', value=''",
        "withNewFile(path='/root/.config/go/telemetry/mode', contents='off'",
        "<cacheVolume(key='go-modules')>",
        "path='/src', source=<host.directory(path='/s').filter(exclude=['.git', '**/.git'], include=",  # noqa: E501
        "withExec(args=['go', 'mod', 'download'])",
        "path='/src', source=<host.directory(path='/s').filter(exclude=['.git', '**/.git'])>",
        "name='CGO_ENABLED', value='0'",
        "name='GOARM', value='6'",
        "<cacheVolume(key='go-build-1.26-linux-arm-v6')>",
        "withExec(args=['sh', '/go/kept.sh', '",
        "', 'go', 'build', '-trimpath', '-buildvcs=false', '-o', '/out/', './cmd/x'])",
        "directory(path='/out')",
    ]
    positions = [calls.index(part) for part in order]
    assert positions == sorted(positions)


def test_all_targets_share_the_download(monkeypatch):
    heads = {
        chain(monkeypatch, lambda s, p=p: go.build(s, p)).partition("'download'])")[0]
        for p in (Platform("linux", "amd64"), Platform("windows", "arm64"))
    }
    assert len(heads) == 1


def test_the_git_directory_is_no_input(monkeypatch):
    assert "exclude=['.git', '**/.git']" in chain(monkeypatch, go.build)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda s: go.build(s, tags="netgo"), "tags"),
        (lambda s: go.build(s, inputs="assets/**"), "inputs"),
        (lambda s: go.test(s, tags="integration"), "tags"),
        (lambda s: go.vet(s, tags="x"), "tags"),
        (lambda s: go.vet(s, inputs="x"), "inputs"),
        (lambda s: go.lint(s, flags="--fix"), "flags"),
        (lambda s: go.lint(s, inputs="x"), "inputs"),
        (lambda s: go.vulncheck(s, inputs="x"), "inputs"),
        (lambda s: go.generate(s, flags="-v"), "flags"),
        (lambda s: go.licenses(s, deny="MIT"), "deny"),
        (lambda s: go.licenses(s, allow="MIT"), "allow"),
        (lambda s: go.inputs(s, None, more="x"), "more"),
    ],
)
def test_a_text_is_not_taken_for_a_list_of_its_letters(monkeypatch, call, name):
    with pytest.raises(UsageError, match=f"{name} is a list of texts"):
        made(monkeypatch, call)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: go.build(s, "./cmd/x"), r"packages come after it .* got '\./cmd/x'"),
        (lambda s: go.build(s, "linux/arm64"), r"Platform\.parse.* got 'linux/arm64'"),
        (lambda s: go.inputs(s, "linux/arm64"), "platform is a Platform"),
        (
            lambda s: go.build(s, None, ["./a", "./b"]),
            r"packages are texts, each .* got \['./a', './b'\]",
        ),
        (lambda s: go.test(s, ["./..."]), "packages are texts, each an argument of its own"),
        (lambda s: go.build(s, version=1.26), r"version is a text, such as '1\.26'; got 1\.26"),
        (lambda s: go.build(s, module=None), "module is a text"),
        (lambda s: go.build(s, ldflags=["-s", "-w"]), r"ldflags is a text, such as '-s -w'"),
        (lambda s: go.test(s, run=["TestA"]), "run is a text"),
        (lambda _: go.build("."), r"source is a dagger\.Directory: .*directory\('\.'\)"),
        (lambda _: go.test(Path()), r"source is a dagger\.Directory"),
        (lambda _: go.version(None), r"source is a dagger\.Directory"),
        (lambda _: go.targets("x"), r"source is a dagger\.Directory"),
        (
            lambda s: go.build(s, image="golang:1"),
            r"image is a dagger\.Container, such as .*golang:1",
        ),
        (lambda s: go.build(s, stamp=["main.v=1"]), r"stamp is a mapping .* got \['main\.v=1'\]"),
        (lambda s: go.build(s, stamp={"main.v": 1}), "stamp is a mapping of texts to texts"),
        (lambda s: go.test(s, shard="1/3"), r"shard is a Shard, such as Shard\(1, 3\)"),
    ],
)
def test_an_argument_of_another_kind_is_wrong_use(monkeypatch, call, said):
    with pytest.raises(UsageError, match=said):
        made(monkeypatch, call)


def test_a_vendored_module_downloads_nothing(monkeypatch):
    files = {**MODULE, "vendor/modules.txt": ""}
    assert "download" not in chain(monkeypatch, go.build, files)


def test_a_directory_called_vendor_is_not_vendoring(monkeypatch):
    files = {**MODULE, "vendor/readme.md": ""}
    assert "download" in chain(monkeypatch, go.build, files)


def test_a_module_below_is_built_in_its_directory(monkeypatch):
    files = {"tools/go.mod": "module t\n\ngo 1.25.3\n"}
    calls = chain(monkeypatch, lambda s: go.build(s, module="tools"), files)
    assert "golang:1.25.3" in calls
    assert "withWorkdir(path='/src/tools')" in calls


def test_the_proxy_of_this_machine_is_passed_on_outside_of_keys(monkeypatch):
    async def build(source):
        monkeypatch.setenv("GOPROXY", "https://goproxy.example")
        return await go.build(source)

    calls = chain(monkeypatch, build)
    assert "withVolatileVariable(name='GOPROXY', value='https://goproxy.example')" in calls


def test_a_proxy_that_is_a_service_comes_before_that_of_this_machine(monkeypatch):
    async def build(source):
        monkeypatch.setenv("GOPROXY", "https://goproxy.example")
        forward = dagger.PortForward(backend=4873, frontend=80)
        return await go.build(source, proxy=dagger.dag.host().service([forward]))

    calls = chain(monkeypatch, build)
    bound = calls.index("withServiceBinding(alias='goproxy'")
    said = calls.index("withVolatileVariable(name='GOPROXY', value='http://goproxy,direct')")
    assert calls.index("goproxy.example") < bound < said < calls.index("'download'")


def test_private_modules_get_credentials_as_a_secret(monkeypatch):
    async def build(source):
        netrc = dagger.dag.set_secret("netrc", "machine example")
        return await go.build(source, goprivate="example.com/*", netrc=netrc)

    calls = chain(monkeypatch, build)
    assert calls.index("withMountedSecret(path='/root/.netrc'") < calls.index("'download'")
    assert "value='example.com/*'" in calls


def test_an_image_of_ones_own_replaces_the_stock_image(monkeypatch):
    async def build(source):
        return await go.build(source, image=dagger.dag.container().from_("mine"))

    calls = chain(monkeypatch, build)
    assert calls.startswith("container.from(address='mine')")
    assert "golang" not in calls


def test_tests_give_their_output(monkeypatch):
    output, forced = made(monkeypatch, go.test)
    assert output == "ok\n"
    assert forced[-1].endswith(
        "withExec(args=['go', 'test', '-trimpath', '-buildvcs=false', './...'])"
    )


@pytest.mark.parametrize(
    ("line", "options", "trimmed"),
    [
        ("x()", {}, True),
        ("runtime.Caller(0)", {}, False),
        ("runtime.CallersFrames(pcs)", {}, False),
        ("runtime.FuncForPC(pc).FileLine(pc)", {}, False),
        ("runtime.GOROOT()", {}, False),
        ("runtime.Caller(0)", {"trimpath": True}, True),
        ("x()", {"trimpath": False}, False),
    ],
)
def test_tests_keep_their_paths_where_the_source_asks_for_them(monkeypatch, line, options, trimmed):
    files = {**MODULE, "lib/lib.go": f"package lib\n\nvar v = {line}\n"}
    _, forced = made(monkeypatch, lambda source: go.test(source, **options), files)
    assert ("'-trimpath'" in forced[-1]) == trimmed


def place(monkeypatch, **options):
    calls = chain(monkeypatch, lambda s: go.build(s, **options))
    return calls.partition("'/go/kept.sh', '")[2].partition("'")[0]


def test_what_is_stamped_is_kept_in_one_place_and_flags_in_another(monkeypatch):
    one = place(monkeypatch, stamp={"main.version": "1"}, ldflags="-s")
    assert one == place(monkeypatch, stamp={"main.version": "2"}, ldflags="-s")
    assert one != place(monkeypatch, stamp={"main.version": "1"})
    assert one != place(monkeypatch, ldflags="-s", tags=["a"])


@pytest.mark.parametrize("option", ["cgo", "race"])
def test_nothing_is_kept_where_libraries_of_the_system_are_linked(monkeypatch, option):
    calls = chain(monkeypatch, lambda s: go.build(s, **{option: True}))
    assert "withExec(args=['go', 'build', " in calls


def volume(calls):
    return re.findall(r"cacheVolume\(key='(go-build[^']*)'\)", calls)


@pytest.mark.parametrize("command", [go.test, go.vet, go.build])
def test_what_runs_here_shares_the_build_cache_of_builds_for_here(monkeypatch, command):
    platform = Platform("linux", "amd64")
    build = chain(monkeypatch, lambda s: go.build(s, platform))
    assert volume(chain(monkeypatch, command)) == volume(build) == ["go-build-1.26-linux-amd64"]


def test_c_of_two_images_is_compiled_into_two_volumes(monkeypatch):
    names = [
        volume(chain(monkeypatch, lambda s, n=name: go.build(
            s, Platform("linux", "amd64"), cgo=True, image=dagger.dag.container().from_(n))))
        for name in ("gcc:1", "gcc:2")
    ]  # fmt: skip
    assert names[0] != names[1]


def test_vet_has_the_flags_of_builds(monkeypatch):
    assert "'go', 'vet', '-trimpath', '-buildvcs=false', './...'" in chain(monkeypatch, go.vet)


def test_a_failing_test_is_an_exec_error_with_its_output(monkeypatch):
    command = ["go", "test", "-trimpath", "-buildvcs=false", "./..."]
    with pytest.raises(dagger.ExecError) as caught:
        made(monkeypatch, go.test, failing=[command])
    assert caught.value.command == command
    assert caught.value.stderr == "main.go:3: no\n"


def test_a_source_without_go_mod_says_where_there_is_one(monkeypatch):
    with pytest.raises(SourceError, match="there is one in: sub: pass module="):
        made(monkeypatch, go.build, {"sub/go.mod": "go 1.26\n"})
    with pytest.raises(SourceError, match="right source directory"):
        made(monkeypatch, go.build, {"readme.md": ""})


def test_a_module_outside_of_the_source_is_an_error(monkeypatch):
    with pytest.raises(UsageError, match="inside of the source"):
        made(monkeypatch, lambda s: go.build(s, module="../other"))


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"go.mod": "module m\ngo 1.25.0\ntoolchain go1.26.8\n"}, "1.26.8"),
        ({"go.mod": "module m\ngo 1.27rc1 // soon\n"}, "1.27rc1"),
        ({"go.mod": "module m\ngo 1.21\n", "go.work": "go 1.26.1\nuse .\n"}, "1.26.1"),
        ({"go.work": "go 1.26\nuse ./a\n", "a/go.mod": "go 1.25\n"}, "1.26"),
        ({"go.mod": "module go\r\n\r\ngo 1.24\r\n"}, "1.24"),
        ({"go.mod": "module m\ngo 1.15\n"}, "1.21"),
        ({"go.mod": "module m\ngo 1.20\n"}, "1.21"),
        ({"go.mod": "module m\ngo 1.21\n"}, "1.21"),
        ({"go.mod": "module m\ngo 1.20\ntoolchain go1.22.3\n"}, "1.22.3"),
    ],
)
def test_the_version_is_the_one_that_the_source_says(monkeypatch, files, version):
    assert made(monkeypatch, go.version, files)[0] == version


def test_a_go_mod_without_a_version_is_an_error():
    with pytest.raises(SourceError, match="go mod edit"):
        go_version("module m\n// go 1.26\n")


def test_six_targets_ask_for_what_they_share_once(monkeypatch):
    platforms = matrix(Platform, os=["linux", "darwin", "windows"], arch=["amd64", "arm64"])
    monkeypatch.setenv("DAGGER_SESSION_TOKEN", TOKEN)
    with FakeEngine(MODULE).serving() as engine:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(engine.port))

        async def main():
            async with connect():
                source = dagger.dag.host().directory("/s")
                await gather({p: go.env(source, p) for p in platforms})

        anyio.run(main)
    # The schema, the entries, go.mod; the ids of one volume and one directory; the download.
    assert len(engine.spans) == 6


LIBRARY = {
    "go.mod": "module m\n\ngo 1.26\n",
    "README.md": "",
    "cmd/x/main.go": 'package main\n\nimport "m/lib"\n',
    "cmd/y/main.go": "package main\n",
    "lib/lib.go": "package lib\n",
    "lib/lib_test.go": "package lib\n",
}


def test_a_command_sees_what_it_can_read(monkeypatch):
    platform = Platform("linux", "amd64")
    calls = chain(monkeypatch, lambda s: go.build(s, platform, "./cmd/x"), LIBRARY)
    assert "include=['cmd/x/main.go', 'go.mod', 'lib/lib.go']" in calls
    assert "filter(exclude=['.git', '**/.git'])>" not in calls


def test_more_inputs_are_added_to_what_is_found(monkeypatch):
    calls = chain(monkeypatch, lambda s: go.test(s, "./lib", inputs=["assets/**"]), LIBRARY)
    assert "include=['go.mod', 'lib/lib.go', 'lib/lib_test.go', 'assets/**']" in calls


@pytest.mark.parametrize(
    "call",
    [
        lambda s: go.build(s, None, "./cmd/x", inputs=["**"]),
        lambda s: go.test(s, "./lib", flags=["-overlay=x.json"]),
        lambda s: go.test(s, "./lib", flags=["--coverpkg=./..."]),
        lambda s: go.test(s, "./lib", flags=["-tags=integration"]),
    ],
)
def test_the_whole_source_is_mounted_where_it_is_asked_for_or_may_be_read(monkeypatch, call):
    assert "path='/src', source=<host.directory(path='/s').filter(exclude=" in chain(
        monkeypatch, call, LIBRARY
    )


@pytest.mark.parametrize(("line", "known"), [("", True), ('var p = "../lib/x"\n', False)])
def test_gos_own_test_cache_is_left_out_where_it_does_not_look(monkeypatch, line, known):
    files = {
        **LIBRARY,
        "tools/go.mod": "module t\n\ngo 1.26\n",
        "tools/t_test.go": f"package t\n\n{line}",
    }
    calls = chain(monkeypatch, lambda s: go.test(s, module="tools"), files)
    assert ("name='GOFLAGS', value='-count=1'" not in calls) is known


@pytest.mark.parametrize("text", ["package lib\n", "//go:build arm\n\npackage lib\n"])
@pytest.mark.parametrize("call", [go.test, go.vet])
def test_nothing_is_added_for_files_of_other_targets_that_nobody_can_refuse(
    monkeypatch, call, text
):
    calls = chain(monkeypatch, lambda s: call(s, "./lib"), {**LIBRARY, "lib/x_windows.go": text})
    assert "overlay" not in calls


@pytest.mark.parametrize("call", [go.test, go.vet])
def test_files_of_other_targets_that_may_be_refused_count_and_their_age_does_not(monkeypatch, call):
    files = {**LIBRARY, "lib/x_windows.go": "//go:build arm\n//go:build arm64\n\npackage lib\n"}
    calls = chain(monkeypatch, lambda s: call(s, "./lib"), files)
    assert "name='GOFLAGS', value='-overlay=/pipelines/ignored/overlay.json'" in calls
    assert "withTimestamps(timestamp='2147483647')" in calls


def test_an_engine_that_can_not_search_gets_the_whole_source(monkeypatch):
    def refuse(*_):
        raise ExecFails(["search"])

    monkeypatch.setattr("tests.fake_engine.searched", refuse)
    calls = chain(monkeypatch, lambda s: go.build(s, None, "./cmd/x"), LIBRARY)
    assert "filter(exclude=['.git', '**/.git'])>" in calls

"""A tiny Go module through the library: what an edit runs again, and what errors look like.

The module has no dependencies, so nothing is fetched; `go mod download` runs all the same, and
is counted. One store for all of this file: the Go image is made once.
"""

import shutil
import struct
from pathlib import Path

import anyio
import dagger
import pytest

from pipelines import Platform, SourceError, StageFailed, connect, gather, go
from pipelines._session import Session

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

TARGETS = [Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("darwin", "arm64")]
MODULE = {
    "go.mod": "module example.com/tiny\n\ngo {version}\n",
    "go.sum": "",
    "main.go": "package main\n\nfunc main() { println(answer) }\n",
    "answer.go": "package main\n\nconst answer = 42\n",
    "main_test.go": (
        'package main\n\nimport "testing"\n\n'
        "func TestAnswer(t *testing.T) {\n"
        '\tif answer != 42 { t.Errorf("the answer is %d", answer) }\n}\n'
    ),
}


async def built(source):
    """Build every target in a session of its own; give what ran."""
    ran = []

    def hear(event):
        if event["event"] == "exec" and event["state"] == "started":
            words = event["name"].split()
            ran.append(" ".join(words[words.index("go") :][:3]).removesuffix(" -trimpath"))

    async with connect(session=Session.start(listen=hear)) as dag:
        tree = dag.host().directory(str(source))
        await gather({target: go.build(tree, target) for target in TARGETS})
    return sorted(ran)


async def test_an_edit_runs_what_it_must_and_no_more(source):
    builds = ["go build"] * len(TARGETS)
    assert await built(source) == [*builds, "go mod download"]
    assert await built(source) == []
    (source / "answer.go").write_text("package main\n\nconst answer = 43\n")
    assert await built(source) == builds
    # A comment is no code, but go.sum says what the modules are: downloaded once for all.
    (source / "go.sum").write_text(
        "example.com/unused v1.0.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    )
    assert await built(source) == [*builds, "go mod download"]


async def test_an_executable_that_is_the_same_is_not_linked_again(source, go_store):
    async def kept(text):
        (source / "notes.txt").write_text(text)
        async with connect(engine="embedded") as dag:
            await go.build(dag.host().directory(str(source)), output="same", inputs=["notes.txt"])
        [found] = go_store.glob("**/volumes/*/data/kept/*/bin/same")
        return found.stat().st_ino

    first = await kept("one")
    assert await kept("two") == first
    (source / "answer.go").write_text("package main\n\nconst answer = 44\n")
    assert await kept("three") != first


READS = """package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReads(t *testing.T) {
	for _, glob := range []string{"*", "testdata/*"} {
		if found, _ := filepath.Glob(glob); len(found) == 0 { t.Fatal(glob) }
	}
	if text, err := os.ReadFile("testdata/word"); err != nil || string(text) != "%s" {
		t.Fatalf("%%q %%v", text, err)
	}
}
"""


async def tested(source, **options):
    async with connect(engine="embedded") as dag:
        return await go.test(dag.host().directory(str(source)), **options)


async def test_go_keeps_the_results_of_tests_that_read_files_in_a_fresh_checkout(source, tmp_path):
    (source / "testdata").mkdir()
    (source / "testdata/word").write_text("hello")
    (source / "reads_test.go").write_text(READS % "hello")
    (source / "other").mkdir()
    (source / "other/file.txt").write_text("1")
    await tested(source)
    await anyio.sleep(2.1)  # Go caches no test that opened a file younger than two seconds
    (source / "other/file.txt").write_text("2")
    await tested(source)
    fresh = Path(shutil.copytree(source, tmp_path / "fresh", copy_function=shutil.copyfile))
    (fresh / "other/file.txt").write_text("3")
    assert "(cached)" in await tested(fresh)
    (fresh / "one-more.txt").write_text("")
    assert "(cached)" not in await tested(fresh)  # the test looks at the names beside it


async def test_go_runs_a_test_again_when_what_it_read_changed_in_place(source):
    (source / "testdata").mkdir()
    (source / "testdata/word").write_text("hello")
    (source / "reads_test.go").write_text(READS % "hello")
    await tested(source)
    (source / "testdata/word").write_text("jello")  # of the same size
    with pytest.raises(dagger.ExecError):
        await tested(source)


async def test_go_runs_a_test_again_when_two_files_of_one_size_changed_places(source):
    (source / "testdata").mkdir()
    (source / "testdata/word").write_text("hello")
    (source / "testdata/other").write_text("jello")
    (source / "reads_test.go").write_text(READS % "hello")
    await tested(source)
    await anyio.sleep(2.1)
    (source / "one-more.txt").write_text("")
    await tested(source)
    (source / "testdata/word").write_text("jello")
    (source / "testdata/other").write_text("hello")
    with pytest.raises(dagger.ExecError):
        await tested(source)


async def test_a_file_outside_of_the_module_that_tests_read_is_no_blind_spot(source):
    (tools := source / "tools").mkdir()
    (tools / "go.mod").write_text((source / "go.mod").read_text().replace("/tiny", "/tools"))
    text = (
        (READS % "hello")
        .replace("testdata/word", "../word")
        .replace("package main", "package tools")
    )
    (tools / "reads_test.go").write_text(text)
    (tools / "testdata").mkdir()
    (tools / "testdata/x").write_text("")
    (source / "word").write_text("hello")
    await tested(source, module="tools")
    await anyio.sleep(2.1)
    (tools / "testdata/y").write_text("")
    await tested(source, module="tools")
    (source / "word").write_text("other")
    with pytest.raises(dagger.ExecError):
        await tested(source, module="tools")


async def test_a_failing_test_is_shown_with_its_output(source):
    (source / "answer.go").write_text("package main\n\nconst answer = 41\n")
    async with connect(engine="embedded") as dag:
        with pytest.raises(dagger.ExecError) as caught:
            await go.test(dag.host().directory(str(source)))
    assert "the answer is 41" in caught.value.stdout
    assert caught.value.exit_code == 1


async def test_a_compile_error_has_file_and_line(source):
    (source / "answer.go").write_text("package main\n\nconst answer = undefinedName\n")
    async with connect(engine="embedded") as dag:
        with pytest.raises(dagger.ExecError) as caught:
            await go.build(dag.host().directory(str(source)))
    assert "answer.go:3:16: undefined: undefinedName" in caught.value.stderr
    assert caught.value.exit_code == 1


async def test_a_source_without_a_module_is_said(source):
    (source / "go.mod").rename(source / "go.mod.not")
    async with connect(engine="embedded") as dag:
        with pytest.raises(SourceError, match=r"no go\.mod at the root of the source"):
            await go.build(dag.host().directory(str(source)))


async def reported(source, **options):
    async with connect(engine="embedded") as dag:
        made = await go.report(dag.host().directory(str(source)), **options)
        return {name: await made.file(name).contents() for name in await made.entries()}


async def test_a_report_has_junit_events_and_coverage(source):
    files = await reported(source)
    assert 'name="TestAnswer"' in files["junit.xml"]
    assert '"Action":"pass"' in files["tests.json"]
    assert files["coverage.out"].startswith("mode: set\nexample.com/tiny/main.go:")


async def test_tests_that_fail_have_the_same_report_and_run_again_the_next_time(source):
    (source / "answer.go").write_text("package main\n\nconst answer = 41\n")
    for _ in range(2):
        async with connect(engine="embedded") as dag:
            with pytest.raises(go.TestsFailed, match=r"main_test\.go:6: the answer") as caught:
                await go.report(dag.host().directory(str(source)), rerun=1)
            outputs = caught.value.outputs
            assert {*await outputs.entries()} >= {"coverage.out", "junit.xml", "tests.json"}
            assert 'file="main_test.go" line="6"' in await outputs.file("junit.xml").contents()
            assert "example.com/tiny" in await outputs.file("coverage.out").contents()


async def test_a_flaky_test_fails_nothing_and_is_told_every_time(source):
    text = (
        'package main\n\nimport ("os"; "testing")\n\nfunc TestFlaky(t *testing.T) {\n'
        '\tif os.Getenv("PIPELINES_TEST_AGAIN") == "" { t.Fatal("the first time") }\n}\n'
    )
    (source / "flaky_test.go").write_text(text)
    for _ in range(2):
        assert "flakyFailure" in (await reported(source, rerun=1))["junit.xml"]


async def test_a_package_that_does_not_compile_is_reported_beside_the_others(source):
    (source / "bad").mkdir()
    (source / "bad/bad_test.go").write_text("package bad\n\nvar x = undefinedName\n")
    async with connect(engine="embedded") as dag:
        with pytest.raises(go.TestsFailed, match=r"bad/bad_test\.go:3: undefined") as caught:
            await go.report(dag.host().directory(str(source)))
        junit = await caught.value.outputs.file("junit.xml").contents()
    assert "the package could not be built" in junit or "undefined: undefinedName" in junit
    assert 'name="TestAnswer"' in junit


async def test_checks_pass_on_a_module_that_is_right(source):
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        assert await go.vet(tree) == ""
        assert await go.tidy(tree) == ""
        assert await go.generate(tree) == ""


async def test_checks_say_what_is_wrong_and_where(source):
    (source / "answer.go").write_text(
        'package main\n\nimport "fmt"\n\n//go:generate sh -c "echo made > made.txt"\n'
        'const answer = 42\n\nfunc say() { fmt.Printf("%d\\n", "x") }\n'
    )
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        with pytest.raises(StageFailed, match=r"answer\.go:8:.*Printf format %d"):
            await go.vet(tree)
        with pytest.raises(StageFailed, match=r"\+made"):
            await go.generate(tree)


async def test_a_go_mod_that_is_not_tidy_is_shown_with_its_difference(source):
    (source / "unused").mkdir()
    (source / "unused/go.mod").write_text("module example.com/unused\n")
    with (source / "go.mod").open("a") as file:
        file.write(
            "\nrequire example.com/unused v1.0.0\n\nreplace example.com/unused => ./unused\n"
        )
    async with connect(engine="embedded") as dag:
        with pytest.raises(StageFailed, match=r"\n-require example\.com/unused v1\.0\.0\n"):
            await go.tidy(dag.host().directory(str(source)))


async def test_a_universal_binary_holds_both_architectures(source):
    async with connect(engine="embedded") as dag:
        made = await go.universal(dag.host().directory(str(source)))
        await made.file("tiny").export(str(source / "tiny"))
    head = struct.unpack(">12I", (source / "tiny").read_bytes()[:48])
    assert head[:2] == (0xCAFEBABE, 2)
    assert (head[2], head[7]) == (0x01000007, 0x0100000C)  # x86-64, arm64
    thin = (source / "tiny").read_bytes()[head[4] : head[4] + 4]
    assert thin == bytes.fromhex("cffaedfe")


async def test_a_build_that_is_reproducible_is_given(source):
    async with connect(engine="embedded") as dag:
        made = await go.reproducible(dag.host().directory(str(source)))
        assert await made.entries() == ["tiny"]


async def test_a_build_that_is_not_reproducible_says_what_differs(source):
    async with connect(engine="embedded") as dag:
        with pytest.raises(StageFailed, match=r"not reproducible: tiny\n .*differ") as caught:
            await go.reproducible(dag.host().directory(str(source)), trimpath=False)
    assert "build 2" in str(caught.value) or "what Go says of them is equal" in str(caught.value)

"""Go tests through the library and the command: parts, choices, limits, reports of bad endings.

Small packages without dependencies, one store for the file. Whatever runs Go starts from the same
module, so its build cache is warm after the first test.
"""

import json
import shutil
import subprocess
import sys

import anyio
import dagger
import pytest

from pipelines import Shard, StageFailed, UsageError, connect, go
from tests.go.schema import validated

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

MODULE = {
    "go.mod": "module example.com/m\n\ngo {version}\n",
    "README.md": "",
    "a/a.go": "package a\n\nfunc A() int { return 1 }\n\nfunc Unused() int { return 3 }\n",
    "a/a_test.go": 'package a\n\nimport "testing"\n\n'
    "func TestA(t *testing.T) { if A() != 1 { t.Fatal(A()) } }\n",
    "b/b.go": 'package b\n\nimport "example.com/m/a"\n\nfunc B() int { return a.A() }\n',
    "b/b_test.go": 'package b\n\nimport "testing"\n\n'
    "func TestB(t *testing.T) { if B() != 1 { t.Fatal(B()) } }\n",
    "c/c.go": "package c\n",
    "win/win_windows.go": "package win\n",
}
CI = """
from dagger import Directory
from pipelines import Shard, go, stage

@stage
async def test(source: Directory, shard: Shard = Shard()) -> Directory:
    return await go.report(source, shard=shard)
"""


def put(root, name, text):
    """Write a file; a test file gets its first lines."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("_test.go") and not text.startswith("package"):
        text = f'package {path.parent.name}\n\nimport "testing"\n\n{text}'
    path.write_text(text)


async def reported(source, *packages, **options):
    """Run a report; give its files and the failure, if any."""
    async with connect(engine="embedded") as dag:
        failure = None
        try:
            made = await go.report(dag.host().directory(str(source)), *packages, **options)
        except go.TestsFailed as exc:
            made, failure = exc.outputs, exc
        return {name: await made.file(name).contents() for name in await made.entries()}, failure


def cases(files):
    return {
        f"{c.get('classname')}.{c.get('name')}"
        for c in validated(files["junit.xml"]).iter("testcase")
    }


async def test_shards_beside_each_other_give_the_report_of_one_run(source):
    one, _ = await reported(source)
    parts, _ = await reported(source, shards=2)
    assert parts["coverage.out"] == one["coverage.out"]
    assert parts["coverage.txt"].endswith("66.7 %\n")
    assert cases(parts) == cases(one) == {"example.com/m/a.TestA", "example.com/m/b.TestB"}
    assert set(json.loads(parts["timings.json"])["shards"]["2"].values()) == {0, 1}
    assert sorted(one) == sorted(parts)


async def test_the_shards_of_several_jobs_merge_to_the_report_of_one_run(source, tmp_path):
    put(source, "ci.py", CI)
    put(source, "b/b_test.go", "func TestB(t *testing.T) {\n\tif B() != 2 { t.Error(B()) }\n}\n")
    codes = {}
    for shard in ("1/3", "2/3", "3/3"):
        out = tmp_path / shard.replace("/", "-")
        codes[shard] = await command(source, "run", "test", "--shard", shard, "--export", out)
    assert sorted(codes.values()) == [0, 0, 1]
    parts = sorted(tmp_path.glob("?-3"))
    assert await command(source, "merge", *parts, "--export", tmp_path / "all") == 1
    whole = {path.name: path.read_text() for path in (tmp_path / "all").iterdir()}
    assert cases(whole) == {"example.com/m/a.TestA", "example.com/m/b.TestB"}
    assert 'file="b/b_test.go" line="6"' in whole["junit.xml"]
    assert whole["coverage.txt"].endswith("66.7 %\n")


async def command(source, *words):
    ran = await anyio.run_process(
        [sys.executable, "-m", "pipelines.cli.main", *map(str, words)],
        cwd=source, check=False, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return ran.returncode


async def test_only_what_a_change_reaches_is_tested_and_why_is_said(source, tmp_path):
    before = shutil.copytree(source, tmp_path / "before")
    (source / "README.md").write_text("new")
    (source / "b/b.go").write_text((before / "b/b.go").read_text() + "\n// edited\n")
    async with connect(engine="embedded") as dag:
        now, then = dag.host().directory(str(source)), dag.host().directory(str(before))
        said = await go.test(now, affected=then)
        assert said.startswith("affected: 1 packages\nexample.com/m/b: b/b.go changed\nok")
        assert await go.affected(now, now) == {}
        assert await go.test(then, affected=then) == "affected: 0 packages\n"


async def test_a_git_ref_is_a_base(source, tmp_path):
    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *identity, *words], cwd=source, check=True, capture_output=True)

    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "first")
    put(source, "a/a_test.go", "func TestOther(t *testing.T) {}\n")
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        found = await go.affected(tree, tree.as_git().branch("main"))
    assert found == {"example.com/m/a": "a/a_test.go changed"}
    git("switch", "-c", "feature")
    git("commit", "-am", "second")
    git("switch", "main")
    (source / "b/b.go").write_text("package b\n\nfunc B() int { return 1 }\n")
    git("commit", "-am", "third")  # which is no change of the feature's
    git("branch", "-m", "trunk")
    git("update-ref", "refs/remotes/origin/main", "trunk")
    git("switch", "feature")
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        assert len(await go.affected(tree, tree.as_git().branch("trunk"))) == 2
        for name in ("trunk", "main", "origin/main"):
            assert await go.affected(tree, name) == {"example.com/m/a": "a/a_test.go changed"}
        with pytest.raises(UsageError, match=r"affected='nope'[^\0]*there is no ref 'nope'"):
            await go.affected(tree, "nope")
        with pytest.raises(UsageError, match=r"needs the source's \.git"):
            await go.affected(tree.without_directory(".git"), "main")


async def test_a_package_that_takes_too_long_is_timed_out_and_the_others_go_on(source):
    put(source, "slow/slow_test.go",
        'import "time"\n\nfunc TestSlow(t *testing.T) { time.Sleep(time.Hour) }\n')  # fmt: skip
    files, failure = await reported(source, timeout={"...": 60, "./slow": 0.2})
    assert "example.com/m/slow TestSlow\n    timed out after 200ms" in str(failure)
    assert len(cases(files)) == 3
    root = validated(files["junit.xml"])
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    assert root.find(".//failure").get("message") == "timed out after 200ms"


async def test_a_failure_is_at_the_line_that_failed_and_not_at_one_that_logged(source):
    put(source, "logs/logs_test.go",
        'func TestLogs(t *testing.T) {\n'
        '\tt.Log("starting")\n'
        '\tt.Cleanup(func() { t.Log("stopped") })\n'
        '\tt.Error("\\n\\tError:\\n\\tnot equal")\n}\n'
        'func TestSkips(t *testing.T) { t.Log("looking")\n t.Skip("no docker") }\n')  # fmt: skip
    files, failure = await reported(source)
    assert "logs/logs_test.go:8: Error:\n      not equal\n    logs/logs_test.go:6" in str(failure)
    root = validated(files["junit.xml"])
    [failed] = [case for case in root.iter("testcase") if case.get("name") == "TestLogs"]
    assert failed.get("line") == "8"
    assert failed.find("failure").get("message") == "Error:\nnot equal"
    assert root.find(".//skipped").get("message") == "no docker"


async def test_a_test_that_looks_for_files_beside_its_source_finds_them(source):
    put(source, "own/testdata/x.txt", "x")
    put(source, "own/own_test.go",
        'import ("os"; "path/filepath"; "runtime")\n\n'
        'func TestOwn(t *testing.T) {\n'
        '\t_, file, _, _ := runtime.Caller(0)\n'
        '\tread(t, filepath.Join(filepath.Dir(file), "testdata/x.txt"))\n'
        '\tread(t, filepath.Join(runtime.GOROOT(), "src/fmt/print.go"))\n}\n'
        'func read(t *testing.T, name string) {\n'
        '\tif _, err := os.ReadFile(name); err != nil { t.Fatal(err) }\n}\n')  # fmt: skip
    files, failure = await reported(source)
    assert failure is None
    assert "example.com/m/own.TestOwn" in cases(files)


BAD = {
    "exits/exits_test.go": 'import "os"\n\nfunc TestMain(m *testing.M) { os.Exit(3) }\n',
    "leaks/leaks_test.go": (
        'import "os/exec"\n\nfunc TestLeak(t *testing.T) {\n'
        '\tcmd := exec.Command("sleep", "9999")\n'
        "\tif err := cmd.Start(); err != nil { t.Fatal(err) }\n}\n"
    ),
    "panics/panics_test.go": 'func TestPanic(t *testing.T) { panic("\\x00 <oh> \\xff") }\n',
    "odd/odd_test.go": (
        'import ("fmt"; "os")\n\nfunc TestOdd(t *testing.T) {\n'
        '\tfmt.Println(`{"Action":"fail","Package":"example.com/m/a"}`)\n'
        '\tfmt.Fprint(os.Stderr, "{\\"Action\\": no newline")\n'
        '\tt.Run("\\x00\\x1b[31m <&>\\xff", func(t *testing.T) {})\n}\n'
    ),
    "prints/prints_test.go": (
        'import ("fmt"; "strings")\n\nfunc TestPrints(t *testing.T) {\n'
        '\tline := strings.Repeat("x", 1000)\n\tfor range 8000 { fmt.Println(line) }\n'
        '\tt.Error("the end")\n}\n'
    ),
    "broken/broken_test.go": "func TestBroken(t *testing.T) { undefinedName() }\n",
    "cycle/cycle.go": 'package cycle\n\nimport _ "example.com/m/cycle/other"\n',
    "cycle/other/other.go": 'package other\n\nimport _ "example.com/m/cycle"\n',
    "cycle/cycle_test.go": "func TestCycle(t *testing.T) {}\n",
}


async def test_every_bad_end_is_in_the_report_and_hides_no_good_one(source):
    for name, text in BAD.items():
        put(source, name, text)
    files, failure = await reported(source, coverage=False)
    told = str(failure)
    for name in ("exits", "panics", "prints", "broken", "cycle"):
        assert f"example.com/m/{name}" in told, told
    for name in ("leaks", "odd", "a", "b"):
        assert f"example.com/m/{name}\n" not in told
        assert f"example.com/m/{name} " not in told
    assert "broken/broken_test.go:5: undefined: undefinedName" in told
    assert "import cycle not allowed" in told
    assert "prints/prints_test.go:10: the end" in told
    assert {"example.com/m/a.TestA", "example.com/m/leaks.TestLeak"} <= cases(files)
    assert len(files["tests.json"]) < 2_000_000
    assert "bytes left out" in files["tests.json"]


async def test_patterns_that_match_nothing_are_wrong_use(source):
    for options in ({}, {"shards": 2}):
        with pytest.raises(UsageError, match=r"no package matches \./nothing/\.\.\."):
            await reported(source, "./nothing/...", **options)


async def test_packages_without_tests_are_no_failure(source):
    for options in ({}, {"shards": 2}, {"shard": Shard(1, 2)}):
        files, failure = await reported(source, "./c", **options)
        assert failure is None
        assert cases(files) == set()


async def test_a_module_without_go_files_has_no_packages(source):
    for path in source.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    with pytest.raises(UsageError, match="no package matches"):
        await reported(source)


async def test_a_directory_that_is_not_there_is_said(source):
    for options in ({}, {"shards": 2}):
        with pytest.raises(UsageError, match=r"no package matches \./nowhere"):
            await reported(source, "./nowhere", **options)
    async with connect(engine="embedded") as dag:
        with pytest.raises(UsageError, match=r"\./nowhere: .*directory not found"):
            await go.test(dag.host().directory(str(source)), "./nowhere")


async def test_coverage_of_tests_and_of_a_program_is_one(source):
    main = 'package main\n\nimport "example.com/m/a"\n\nfunc main() { println(a.Unused()) }\n'
    put(source, "cmd/x/main.go", main)
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        tests = await go.report(tree, "./a")
        assert (await tests.file("coverage.txt").contents()).endswith(" 50.0 %\n")
        program = (await go.build(tree, None, "./cmd/x", cover=True)).file("x")
        ran = (
            (await go.env(tree)).with_directory("/covered", dag.directory())
            .with_env_variable("GOCOVERDIR", "/covered").with_file("/x", program)
            .with_exec(["/x"]).directory("/covered")
        )  # fmt: skip
        whole = await go.coverage(tests, ran, source=tree)
        lines = (await whole.file("coverage.txt").contents()).splitlines()
        assert [line.split() for line in lines] == [
            ["example.com/m/a", "100.0", "%"],
            ["example.com/m/cmd/x", "100.0", "%"],
            ["total", "100.0", "%"],
        ]
        assert "a.go" in await whole.file("coverage.html").contents()
        assert "Unused" in await whole.file("coverage.func.txt").contents()
        with pytest.raises(StageFailed, match=r"50\.0 % .* less than 80 %"):
            await go.coverage(tests, least=80)


FUZZ = """
func FuzzGood(f *testing.F) { f.Fuzz(func(t *testing.T, text string) {}) }

func FuzzBad(f *testing.F) {
	f.Add("seed")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) != 4 { t.Fatal("not of four bytes") }
	})
}
"""


async def test_fuzzing_keeps_what_it_found_and_shows_the_input_that_failed(source):
    put(source, "a/fuzz_test.go", FUZZ)
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        made = await go.fuzz(tree, "./a", "FuzzGood", seconds=0.5)
        assert {"corpus/", "crashers/", "fuzz.txt"} <= set(await made.entries())
        with pytest.raises(go.FuzzFailed, match=r"not of four bytes") as caught:
            await go.fuzz(tree, "./a", "FuzzBad", seconds=20)
        assert "go test fuzz v1\n    string(" in str(caught.value)
        [name] = await caught.value.outputs.glob("crashers/testdata/fuzz/FuzzBad/*")
        fixed = tree.with_file(
            f"a/{name.removeprefix('crashers/')}", caught.value.outputs.file(name)
        )
        with pytest.raises(go.TestsFailed, match="FuzzBad"):
            await go.report(fixed, "./a", coverage=False)
        with pytest.raises(UsageError, match=r"\./a has no fuzz test FuzzNone"):
            await go.fuzz(tree, "./a", "FuzzNone", seconds=1)


BENCH = """
var sink []byte

func BenchmarkMake(b *testing.B) {
	for range b.N { sink = make([]byte, %d) }
}
"""


async def test_benchmarks_are_run_in_turns_with_their_base_and_compared(source):
    put(source, "a/bench_test.go", BENCH % 8192)
    async with connect(engine="embedded") as dag:
        now = dag.host().directory(str(source))
        text = (source / "a/bench_test.go").read_text().replace("8192", "16")
        base = now.with_new_file("a/bench_test.go", text)
        # Long enough that the bytes which the runtime takes meanwhile are none an operation.
        made = await go.bench(now, "./a", base=base, times=4, seconds=0.1)
        table = (await made.file("compare.txt").contents()).splitlines()
        [memory] = [line for line in table if " B/op " in line]
        assert "+51100.00% (p=0.029 n=4+4)" in memory
        assert '"median": 8192' in await made.file("bench.json").contents()
        alone = await go.bench(now, "./a", times=1, seconds=0.001)
        assert sorted(await alone.entries()) == ["bench.json", "bench.txt"]
        with pytest.raises(UsageError, match=r"there are no benchmarks in \./b"):
            await go.bench(now, "./b", times=1)


async def test_files_of_other_platforms_are_vetted_again_when_they_change(source):
    file = source / "a/a_windows.go"
    file.write_text("package a\n")
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        assert await go.vet(tree) == ""
        await go.test(tree)
    file.write_text("package a\n\n//go:build windows\n")  # which an empty cache refuses
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        with pytest.raises(dagger.ExecError) as failed:
            await go.test(tree)
        assert "FAIL\texample.com/m/a [build failed]" in failed.value.stdout
        assert "a_windows.go:3:1: misplaced //go:build comment" in failed.value.stderr
        assert "ok  \texample.com/m/b\t(cached)" in failed.value.stdout
        with pytest.raises(StageFailed, match=r"a_windows.go:3:1: misplaced"):
            await go.vet(tree)
        _, refused = await reported(source, coverage=False)
        assert "a_windows.go:3" in str(refused)
    file.write_text("package a\n\nconst Text = `\n//go:build windows\n`\n")  # which seems odd
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        assert "ok  \texample.com/m/a\t(cached)" in await go.test(tree)
        assert await go.vet(tree) == ""


async def test_with_an_overlay_of_one_s_own_files_of_other_platforms_count_as_well(source):
    put(source, "other/a.json", '{"Replace": {"/src/a/extra.go": "/src/other/extra.txt"}}')
    put(source, "other/extra.txt", "package a\n\nconst extra = 1\n")
    options = {"flags": ["-overlay=/src/other/a.json"], "inputs": ["other/**"]}
    file = source / "a/a_windows.go"
    file.write_text("package a\n\nconst Text = `\n//go:build windows\n`\n")
    async with connect(engine="embedded") as dag:
        assert "ok  \texample.com/m/a\t" in await go.test(
            dag.host().directory(str(source)), "./a", **options
        )
    file.write_text("package a\n\n//go:build windows\n")
    async with connect(engine="embedded") as dag:
        with pytest.raises(dagger.ExecError) as failed:
            await go.test(dag.host().directory(str(source)), "./a", **options)
        assert "a_windows.go:3:1: misplaced //go:build comment" in failed.value.stderr
    put(source, "other/extra.txt", "package a\n\nconst extra = missing\n")
    file.write_text("package a\n")
    async with connect(engine="embedded") as dag:
        with pytest.raises(dagger.ExecError) as failed:
            await go.test(dag.host().directory(str(source)), "./a", **options)
        assert "other/extra.txt:3:15: undefined: missing" in failed.value.stderr

"""The script that lends Go the executables of the last build, run by this machine's shells."""

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest

from pipelines.go._kept import keeping, slot
from pipelines.go._project import Project

FILES = {
    "go.mod": "module example.com/kept\n\ngo 1.21\n",
    "cmd/a/main.go": 'package main\n\nvar version = "dev"\n\nfunc main() { println(version) }\n',
    "cmd/b/main.go": 'package main\n\nimport "example.com/kept/lib"\n\nfunc main() { lib.Say() }\n',
    "lib/lib.go": 'package lib\n\nfunc Say() { println("b") }\n',
    "cmd/b/tagged.go": '//go:build loud\n\npackage main\n\nfunc init() { println("loud") }\n',
}
ACTIONS = ("compile", "link")
SHELLS = (["busybox", "sh"], ["sh"])  # that of the package image comes first


class Builds:
    """A project with a build cache; every build has an empty directory for /out."""

    def __init__(self, root, cache, shell):
        self.root, self.source, self.shell = root, root / "source", shell
        self.cache, self.kept = cache, cache / "kept" / "slot"
        for name, text in FILES.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, *flags, lent=True):
        out = Path(tempfile.mkdtemp(dir=self.root))
        script = out.with_name(f"{out.name}.sh")
        text = files("pipelines.go").joinpath("kept.sh").read_text()
        script.write_text(text.replace("/out", str(out)))
        head = [*self.shell, str(script), "slot"] if lent else []
        line = ["go", "build", "-x", "-trimpath", "-buildvcs=false", *flags, "-o", f"{out}/",
                "./cmd/..."]  # fmt: skip
        ran = subprocess.run([*head, *line], cwd=self.source, env=environment(self.cache),
                             capture_output=True, text=True, stdin=subprocess.DEVNULL)  # fmt: skip
        made = {p.name: p.read_bytes() for p in out.iterdir()}
        said = ran.stderr.splitlines()
        return ran.returncode, made, [sum(f"/{t} -o" in x for x in said) for t in ACTIONS]

    def links(self, *flags):
        """Build, check that it is what a build with nothing kept gives; count what ran."""
        code, made, count = self.run(*flags)
        assert code == 0
        assert made == self.run(*flags, lent=False)[1]
        return tuple(count)


def environment(cache):
    return {**os.environ, "GOCACHE": str(cache), "CGO_ENABLED": "0", "GOFLAGS": ""}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Give a build cache with the standard library in it."""
    root = tmp_path_factory.mktemp("kept")
    (root / "go.mod").write_text("module m\n\ngo 1.21\n")
    (root / "main.go").write_text("package main\n\nfunc main() {}\n")
    if shutil.which("go") is None:
        pytest.skip("no Go on this host")
    line = ["go", "build", "-trimpath", "-o", "/dev/null", "."]
    subprocess.run(line, cwd=root, env=environment(root / "cache"), check=True)
    return root / "cache"


@pytest.fixture
def builds(cache, tmp_path):
    shutil.rmtree(cache / "kept", ignore_errors=True)
    made = Builds(tmp_path, cache, next(shell for shell in SHELLS if shutil.which(shell[0])))
    assert made.run()[2][1] == 2
    return made


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_nothing_is_linked_again_without_a_change(builds, shell):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this host")
    builds.shell = shell
    (builds.source / "cmd/a/main.go").write_text(FILES["cmd/a/main.go"].replace("dev", shell[0]))
    assert builds.links()[1] == 1
    assert builds.links() == (0, 0)


def test_only_what_changed_is_linked(builds):
    text = f'package main\n\nfunc main() {{ println("{builds.source}") }}\n'
    (builds.source / "cmd/b/main.go").write_text(text)
    assert builds.links() == (1, 1)
    assert builds.links() == (0, 0)


def test_a_comment_links_nothing(builds):
    with (builds.source / "lib/lib.go").open("a") as file:
        file.write(f"// {builds.source}\n")
    assert builds.links() == (1, 0)


def test_a_new_commit_links_and_compiles_nothing(builds):
    assert builds.links("-ldflags=-X main.version=one")[1] == 2
    assert builds.links("-ldflags=-X main.version=two") == (0, 2)


@pytest.mark.parametrize("flags", [["-ldflags=-s -w"], ["-tags=loud"]])
def test_flags_make_another_executable(builds, flags):
    assert builds.links(*flags)[1] == 2
    assert builds.links()[1] == 2
    assert builds.links() == (0, 0)


def damaged(path, how):
    data, times = path.read_bytes(), path.stat()
    match how:
        case "cut short":
            os.truncate(path, len(data) // 2)
        case "overwritten":
            with path.open("r+b") as file:
                file.seek(len(data) // 2)
                file.write(bytes(64))
        case "replaced":
            path.with_name("x").write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
            path.with_name("x").rename(path)
        case "a link":
            shutil.copy(path, path.parent.parent / "elsewhere")
            path.unlink()
            path.symlink_to("../elsewhere")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)


@pytest.mark.parametrize("how", ["cut short", "overwritten", "replaced", "a link"])
def test_what_was_touched_is_linked_anew(builds, how):
    damaged(builds.kept / "bin/a", how)
    assert builds.links() == (0, 1)
    assert builds.links() == (0, 0)


def test_a_file_without_its_own_proof_is_linked_anew(builds):
    (builds.kept / "proof/a").write_text((builds.kept / "proof/b").read_text())
    (builds.kept / "proof/b").unlink()
    assert builds.links() == (0, 2)


def test_a_command_that_is_gone_is_not_given(builds):
    shutil.rmtree(builds.source / "cmd/b")
    assert set(builds.run()[1]) == {"a"}
    assert not (builds.kept / "bin/b").exists()


def test_a_build_that_fails_gives_its_exit_code_and_keeps_nothing(builds):
    (builds.source / "lib/lib.go").write_text("package lib\n\nfunc Say() { none() }\n")
    assert builds.run()[0] == 1
    (builds.source / "lib/lib.go").write_text(FILES["lib/lib.go"])
    assert builds.links() == (0, 0)


def test_a_cache_that_can_not_be_written_fails_no_build(builds):
    shutil.rmtree(builds.kept)
    builds.kept.write_text("in the way")
    assert builds.links()[1] == 2


def test_builds_at_once_give_each_its_own(builds):
    flags = [f"-ldflags=-X main.version={n % 3}" for n in range(9)]
    wanted = {flag: builds.run(flag, lent=False)[1] for flag in set(flags)}
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(builds.run, flags))
    assert [found for _, found, _ in made] == [wanted[flag] for flag in flags]
    assert sorted(os.listdir(builds.kept)) == ["bin", "proof"]
    assert builds.links("-ldflags=-X main.version=1")[0] == 0


def test_a_slot_is_for_one_build_of_one_module():
    one = Project("1.26", path="example.com/a")
    command = ["go", "build", "-o", "/out/", "."]
    slots = {
        slot(one, command),
        slot(one, [*command, "./b"]),
        slot(Project("1.26", path="example.com/b"), command),
        slot(Project("1.26", "sub", path="example.com/a"), command),
    }
    assert len(slots) == 4
    assert keeping(command, "s") == ["sh", "/go/kept.sh", "s", *command]


def test_another_project_and_another_stage_compile_nothing_of_the_standard_library(builds):
    """The volume of a target is one, so the second project finds it compiled."""
    other = builds.root / "other"
    other.mkdir()
    (other / "go.mod").write_text("module example.com/other\n\ngo 1.21\n")
    text = f'package main\n\nfunc main() {{ println("{other}") }}\n'
    (other / "main.go").write_text(text)
    builds.source = other
    said = []
    for line in (["build", "-x", "-o", os.devnull, "."], ["vet", "-x", "."]):
        ran = subprocess.run(["go", line[0], "-trimpath", "-buildvcs=false", *line[1:]], cwd=other,
                             env=environment(builds.cache), capture_output=True, text=True,
                             check=True)  # fmt: skip
        said.append([x for x in ran.stderr.splitlines() if "/compile -o" in x])
    assert len(said[0]) == 1
    assert "-p main" in said[0][0]
    assert said[1] == []

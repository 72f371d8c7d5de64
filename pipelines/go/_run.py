"""Running `go test -json` so that its events are kept, also when it fails.

Theory of operation
    `go test -json` writes into a file of the container, so that its lines are nobody's progress. If
    it ends well, the file is an output of the command, cached with it. If not, the command has
    failed, and a failed command is never cached and leaves nothing: so before it ends it puts its
    files into a cache volume, under a name that only this run knows (a volatile variable: it keys
    nothing), and a second command takes them out. Both engines can do that.

    A test may print without end. Between Go and the file stands a filter that keeps the first and
    the last of each test's output and counts the rest, so that neither the disk nor who reads
    the events pays for it.

    A re-run of failed tests is keyed by the run as well: what passed once by chance may not answer
    for the next failure.
"""

import uuid
from collections.abc import AsyncIterator
from importlib.resources import files as resources

from pipelines._cache import Cache, mount
from pipelines._dagger import dagger
from pipelines.go._results import Results, parse
from pipelines.go._target import OUT

__all__ = ["COVERAGE", "EVENTS", "SCRIPTS", "anew", "equipped", "joined", "keeping", "read"]

EVENTS, COVERAGE = "tests.json", "coverage.out"
FAILED = Cache("go-failed-tests", "/go/failed-tests")
RUN, AGAIN = "PIPELINES_TEST_RUN", "PIPELINES_TEST_AGAIN"
PAGE = 50_000  # lines of events that are read at a time
MANY = 48 * 1024 * 1024  # bytes of events, above which their output is left out

# Programs of a few lines, for the image's shell. `$@` is the command.
SCRIPTS = "/pipelines/tests"
_SCRIPTS = {
    "run": f"""\
bound() {{
  if command -v awk > /dev/null 2>&1; then LC_ALL=C awk -f {SCRIPTS}/bound.awk; else cat; fi
}}
{{ "$@"; echo "$?" > {OUT}/code; }} | bound > {OUT}/{EVENTS}
read -r code < {OUT}/code; rm {OUT}/code
if [ "$code" != 0 ]; then
  mkdir -p "{FAILED.path}/${RUN}" && cp -r {OUT}/. "{FAILED.path}/${RUN}/"
fi
exit "$code"
""",
    # The package is the first word. What Go says it wrote stands below the package's directory.
    "fuzz": f"""\
package=$1; shift
"$@" > {OUT}/fuzz.txt 2>&1
code=$?
mkdir -p {OUT}/crashers {OUT}/corpus "$GOCACHE/fuzz"
at=$(go list -f '{{{{.Dir}}}}' "$package")
sed -n 's/^ *Failing input written to //p' {OUT}/fuzz.txt | while read -r input; do
  mkdir -p "{OUT}/crashers/${{input%/*}}" && cp "$at/$input" "{OUT}/crashers/$input"
done
cp -r "$GOCACHE/fuzz/." {OUT}/corpus/
if [ "$code" != 0 ]; then
  mkdir -p "{FAILED.path}/${RUN}" && cp -r {OUT}/. "{FAILED.path}/${RUN}/"
fi
exit "$code"
""",
    # How often, then the directory of the base, if any, and that of now, then the command.
    "bench": f"""\
count=$1; base=$2; now=$3; shift 3
while [ "$count" -gt 0 ]; do
  if [ -n "$base" ]; then (cd "$base" && "$@") >> {OUT}/base.txt || exit 1; fi
  (cd "$now" && "$@") >> {OUT}/bench.txt || exit 1
  count=$((count - 1))
done
""",
    "take": f"""\
cp -r "{FAILED.path}/${RUN}/." {OUT}/ && rm -r "{FAILED.path}/${RUN}"
""",
    "thin": f"""\
grep -v '"Action":"output"' {OUT}/{EVENTS} > {OUT}/thin && mv {OUT}/thin {OUT}/{EVENTS}
""",
    "join": f"""\
for part in /parts/*/{EVENTS}; do cat "$part"; done > {OUT}/{EVENTS}
""",
}


def equipped(container: dagger.Container) -> dagger.Container:
    """Add the place for reports, and the scripts."""
    scripts = dagger.dag.directory()
    for name, text in _SCRIPTS.items():
        scripts = scripts.with_new_file(name, text)
    bound = resources("pipelines.go").joinpath("bound.awk").read_text(encoding="utf-8")
    scripts = scripts.with_new_file("bound.awk", bound)
    container = container.with_(mount(FAILED)).with_directory(OUT, dagger.dag.directory())
    return container.with_directory(SCRIPTS, scripts)


async def keeping(
    container: dagger.Container, command: list[str], script: str = "run"
) -> tuple[dagger.Directory, dagger.ExecError | None]:
    """Run tests by a script; give the files that they left, and the error if they failed."""
    name = uuid.uuid4().hex
    running = container.with_volatile_variable(RUN, name)
    done = running.with_exec(["sh", f"{SCRIPTS}/{script}", *command])
    try:
        return await done.directory(OUT).sync(), None
    except dagger.ExecError as error:
        taking = container.with_env_variable(RUN, name).with_exec(["sh", f"{SCRIPTS}/take"])
        try:
            return await taking.directory(OUT).sync(), error
        except dagger.ExecError:
            raise error from None  # nothing was kept: the command did not come that far


def anew(container: dagger.Container) -> dagger.Container:
    """Give a container whose commands no record answers for."""
    return container.with_env_variable(AGAIN, uuid.uuid4().hex)


async def joined(container: dagger.Container, parts: list[dagger.Directory]) -> dagger.Directory:
    """Put the events of several runs into one file."""
    for number, part in enumerate(parts):
        container = container.with_mounted_directory(f"/parts/{number:06}", part)
    return await container.with_exec(["sh", f"{SCRIPTS}/join"]).directory(OUT).sync()


async def read(
    container: dagger.Container, files: dagger.Directory, module: str, root: str
) -> Results:
    """Read the events. Of very many, what tests printed is left out, not how they ended."""
    if await files.file(EVENTS).size() > MANY:
        thin = container.with_directory(OUT, files).with_exec(["sh", f"{SCRIPTS}/thin"])
        files = await thin.directory(OUT).sync()
    return parse([line async for line in _lines(files.file(EVENTS))], module, root)


async def _lines(file: dagger.File) -> AsyncIterator[str]:
    at = 0
    while True:
        text = await file.contents(offset_lines=at, limit_lines=PAGE)
        lines = text.splitlines()
        for line in lines:
            yield line
        at += len(lines)
        if len(lines) < PAGE:
            return

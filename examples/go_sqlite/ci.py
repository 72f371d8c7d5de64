"""Build a program with SQLite, which is C, for six platforms, and run what can be run."""

from dagger import Directory, dag

from pipelines import Platform, dist, gather, go, stage

__all__ = ["build", "release", "run"]

STATIC = go.Zig(libc="musl")
# What each is built with: glibc 2.17 or newer, or static with musl; Windows has its own.
TARGETS = {
    "linux-amd64": (Platform("linux", "amd64"), go.Zig(glibc="2.17")),
    "linux-amd64-static": (Platform("linux", "amd64"), STATIC),
    "linux-arm64": (Platform("linux", "arm64"), STATIC),
    "linux-arm": (Platform("linux", "arm", "v7"), STATIC),
    "windows-amd64": (Platform("windows", "amd64"), go.Zig()),
    "windows-arm64": (Platform("windows", "arm64"), go.Zig()),
}


@stage
async def build(source: Directory, target: str = "linux-amd64-static") -> Directory:
    """Build for one of the targets."""
    platform, zig = TARGETS[target]
    return await go.build(source, platform, cgo=zig, ldflags="-s -w", output="notes")


async def release(source: Directory) -> Directory:
    """Build for all targets."""
    return dist(await gather({name: build(source, name) for name in TARGETS}))


@stage
async def run(source: Directory) -> str:
    """Run the static programs, each on its platform; foreign ones are emulated."""
    names = [name for name, (_, zig) in TARGETS.items() if zig is STATIC]
    return "".join((await gather({name: _ran(source, name) for name in names})).values())


async def _ran(source: Directory, name: str) -> str:
    program = (await build(source, name)).file("notes")
    nothing = dag.container(platform=TARGETS[name][0])  # a static program needs no image
    return await nothing.with_file("/notes", program).with_exec(["/notes"]).stdout()

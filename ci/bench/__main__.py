"""The command: `python -m ci.bench [--quick] [--rounds N] [--only NAME …] [--keep DIR]`."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ci.bench import dockerfiles, files, images, pulls, sdk
from ci.bench.buildkit import buildkit
from ci.bench.contestants import Contestant, Host, Pipelines, goreleaser
from ci.bench.dockerd import Absent
from ci.bench.engines import Engine, dagger, embedded
from ci.bench.inputs import BUILDX, CRANE, PODINFO, go_version
from ci.bench.measure import BenchError
from ci.bench.projects import Course, Tester
from ci.bench.report import Report

__all__ = ["main"]

GROUPS = (
    "sdk",
    "files",
    "images",
    "pulls",
    "dockerfile",
    "policy",
    "ledger",
    "packs",
    "latency",
    "shards",
    "crane",
    "buildx",
    "podinfo",
)
GO = ("crane", "buildx")  # `--only go`
PROJECTS = {p.name: p for p in (CRANE, BUILDX, PODINFO)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, save what is asked for."""
    options = _options(arguments)
    report = Report(machine=_machine())
    scratch = options.keep or Path(tempfile.mkdtemp(prefix="pipelines-bench-"))
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        names = [n for o in options.only or GROUPS for n in (GO if o == "go" else (o,))]
        failed = _groups(report, names, scratch.resolve(), options)
    finally:
        if options.keep is None:
            _remove(scratch)
    print("\n" + report.markdown())
    if options.json:
        report.save(options.json)
    return 1 if failed else 0


def _groups(
    report: Report, names: Sequence[str], scratch: Path, options: argparse.Namespace
) -> bool:
    """Run the groups; one that fails is reported and does not stop the others."""
    engines, quick = _engines(report, scratch), options.quick
    rounds = options.rounds or (2 if quick else 5)
    failed = False
    for name in names:
        print(f"{name}:", flush=True)
        try:
            if name == "sdk":
                sdk.measure(report, engines, quick=quick)
            elif name == "files":
                files.measure(report, engines, scratch, quick=quick)
            elif name == "images":
                images.measure(report, engines, scratch, quick=quick)
            elif name == "pulls":
                pulls.measure(report, engines, scratch / "pulls", quick=quick)
            elif name in {"policy", "ledger", "packs", "latency", "shards"}:
                _with_go(report, name, scratch, quick=quick)
            elif name == "dockerfile":
                own = embedded(scratch / "dockerfile" / "store")
                dockerfiles.measure(report, own, scratch / "dockerfile", quick=quick)
            else:
                _project(report, name, engines, scratch, rounds, install=not quick)
        except BenchError as exc:
            failed = True
            print(f"{name} failed: {exc}", file=sys.stderr)
            report.skip(name, str(exc).splitlines()[0])
    return failed


def _with_go(report: Report, name: str, scratch: Path, *, quick: bool) -> None:
    if shutil.which("go") is None:
        report.skip(name, "no `go` on PATH: there is nothing to build")
        return
    from ci.bench import latency, ledger, packs, policy, shards

    modules = {
        "policy": policy,
        "ledger": ledger,
        "packs": packs,
        "latency": latency,
        "shards": shards,
    }
    modules[name].measure(report, scratch, quick=quick)


def _engines(report: Report, scratch: Path) -> list[Engine]:
    engines = [embedded(scratch / "store")]
    if other := dagger():
        engines.append(other)
    else:
        why = "_EXPERIMENTAL_DAGGER_RUNNER_HOST and _EXPERIMENTAL_DAGGER_CLI_BIN are not set"
        report.skip("Dagger engine", why)
    return engines


def _project(
    report: Report,
    name: str,
    engines: Sequence[Engine],
    scratch: Path,
    rounds: int,
    *,
    install: bool,
) -> None:
    if shutil.which("go") is None:
        report.skip(name, "no `go` on PATH: there is nothing to compare with")
        return
    # A store and caches of its own: "cold" means that nothing of another group is there.
    own = scratch / f"{name}-caches"
    host, ours = Host(own / "go"), Pipelines("pipelines", embedded(own / "store"))
    contestants: list[Contestant] = [ours, host]
    contestants += [Pipelines("dagger", engine) for engine in engines[1:]]
    testers: list[Tester] = [ours, host]
    # With the host's build cache, whoever comes second would only link.
    peer = goreleaser(Host(own / "goreleaser"), scratch, install=install)
    if isinstance(peer, str):
        report.skip(f"{name}: GoReleaser", peer)
    else:
        contestants.append(peer)
    with ExitStack() as stack:
        try:
            docker = stack.enter_context(buildkit(ours.engine, scratch))
            contestants.append(docker)
            testers.append(docker)
        except Absent as why:
            report.skip(f"{name}: BuildKit", str(why))
        place, project = scratch / name, PROJECTS[name]
        reach = "≤ 1.08 × host" if project is BUILDX else "≤ 1.15 × host"
        Course(report, project, contestants, testers, place, rounds, reach).run()


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    facts = {
        "load": f"{os.getloadavg()[0]:.1f}",
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
    }
    return facts | ({"Go": go_version()} if shutil.which("go") else {})


def _remove(scratch: Path) -> None:
    """Remove the bench's directory; Go's and the sandbox's caches hold read-only directories."""
    subprocess.run(["chmod", "-R", "u+rwX", str(scratch)], check=False, capture_output=True)
    shutil.rmtree(scratch, ignore_errors=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ci.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; good for a first look")
    parser.add_argument("--rounds", type=int, help="of the Go projects, instead of 5 (2: --quick)")
    parser.add_argument(
        "--only",
        action="append",
        choices=(*GROUPS, "go"),
        help="measure this group (may be repeated); go is crane and buildx",
    )
    parser.add_argument("--json", type=Path, help="save the numbers to this file")
    parser.add_argument("--keep", type=Path, help="work in this directory and leave it there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

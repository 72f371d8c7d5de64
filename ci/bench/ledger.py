"""Is the ledger right? What `pipelines cache report` says against a measured A/B.

    A   a fresh store, no travelling cache
    B   a fresh store, with the cache that another fresh store has filled

measured net = A - B; told net = the report's total after B. Both for unchanged inputs and for an
edit of one file.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from ci.bench.contestants import Pipelines
from ci.bench.engines import Engine, command, embedded
from ci.bench.inputs import PODINFO, Project, fetch
from ci.bench.measure import BenchError, run
from ci.bench.projects import edit
from ci.bench.report import Report, Row

__all__ = ["measure"]

CIS = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "TF_BUILD")
REACH = "within 10 %"


def measure(report: Report, scratch: Path, *, quick: bool) -> None:
    """Compare what is told with what is measured."""
    place = scratch / "ledger"
    project = replace(PODINFO, targets=PODINFO.targets[:1]) if quick else PODINFO
    source = fetch(project, place / "source")
    on = {"PIPELINES_CACHE_URL": str(place / "backend"), "PIPELINES_CACHE_SCOPE": "local"}
    _store(place / "filling")
    filled = _run(project, source, _fresh(place / "filling", on))
    report.add(Row("ledger", "a run that fills the cache", filled, "s", 1))
    for what in ("unchanged", "one-file edit"):
        if what != "unchanged":
            edit(source / project.leaves[0])
        without = _run(project, source, _fresh(_store(place / "without"), {}))
        engine = _fresh(_store(place / "with"), on)
        with_cache = _run(project, source, engine)
        told = json.loads(run([command(), "cache", "report", "--json"], env=engine.env)[1])
        net = float(told["total"]["net"])
        if without <= with_cache:
            raise BenchError(f"{what}: {with_cache:.1f} s with the cache, {without:.1f} s without")
        report.add(Row("ledger", f"{what}: run", with_cache, "s", 1, "no cache", without))
        row = Row("ledger", f"{what}: net", net, "s", 1, "measured", without - with_cache, REACH)
        report.add(row)


def _fresh(store: Path, more: dict[str, str]) -> Engine:
    engine = embedded(store)
    kept = {name: value for name, value in engine.env.items() if name not in CIS}
    return replace(engine, env={**kept, **more})


def _store(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _run(project: Project, source: Path, engine: Engine) -> float:
    out = source.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    return Pipelines("pipelines", engine).build(project, source, out).wall

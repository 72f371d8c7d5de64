"""The checks: each looks at a Dockerfile and says line, what is wrong and what it costs.

Measured figures are of go-containerregistry's `crane` for six targets on two cores, Go 1.26.8,
BuildKit 0.32 (Docker 20.10 for the naive file), 2026-11-23; see docs/guides/dockerfile.md.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.cli.dockerfile import reading
from pipelines.engine.dockerfile.instructions import (
    Arg,
    Copy,
    Dockerfile,
    Env,
    Instruction,
    Run,
)

__all__ = ["Finding", "find"]

_SECRET = re.compile(
    r"(^|_)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS?|NETRC)($|_)",
    re.IGNORECASE,
)
_ARCHIVE = re.compile(r"\.(tar|tar\.\w+|t[gbx]z)$")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is slow or wrong: line 0 is the file as a whole."""

    line: int
    rule: str
    what: str
    costs: str


def find(dockerfile: Dockerfile, *, ignored: bool) -> list[Finding]:
    """Find what makes a Dockerfile slow or wrong, by line; `ignored`: there is a .dockerignore."""
    found = [finding for check in _CHECKS for finding in check(dockerfile)]
    if not ignored and any(map(reading.copies_everything, _instructions(dockerfile))):
        found.append(
            Finding(
                0,
                "no-dockerignore",
                "there is no .dockerignore, and the whole context is copied",
                "every change of any file, .git and README included, runs all that follows again: "
                "a README edit costs what a code edit costs (120 s with -a, against 0.5 s)",
            )
        )
    return sorted(found)


def _instructions(dockerfile: Dockerfile) -> Iterator[Instruction]:
    for stage in dockerfile.stages:
        yield from stage.instructions


def _copy_before_download(dockerfile: Dockerfile) -> Iterator[Finding]:
    for stage in dockerfile.stages:
        everything: Instruction | None = None
        for one in stage.instructions:
            if everything is None and reading.copies_manifests(one):
                break
            if reading.copies_everything(one):
                everything = everything or one
            elif everything and isinstance(one, Run) and reading.go_commands(one):
                yield Finding(
                    everything.where.line,
                    "copy-before-download",
                    f"`{everything.text}` stands before the modules are downloaded",
                    "every edit downloads all modules again, once for every target; with go.mod "
                    "and go.sum copied first, only an edit of those does",
                )
                break


def _rebuild_all(dockerfile: Dockerfile) -> Iterator[Finding]:
    for run in _runs(dockerfile):
        text = reading.line_of(run)
        if re.search(r"\bgo\s+(build|install|test)\b[^&;|]*\s-a(\s|$)", text):
            yield Finding(
                run.where.line,
                "rebuild-all",
                "`go build -a` compiles everything each time, the standard library too",
                "216 CPU-seconds for every edit, 9.6 without it and with a build cache: "
                "119.9 s against 5.1 s",
            )
        if "-installsuffix" in text:
            yield Finding(
                run.where.line,
                "installsuffix",
                "`-installsuffix` has had no use since Go 1.10",
                "nothing by itself; it comes with -a, and goes with it",
            )


def _no_cache_mounts(dockerfile: Dockerfile) -> Iterator[Finding]:
    for run in _runs(dockerfile):
        commands = set(reading.go_commands(run))
        wanted = []
        if commands & {"build", "install", "test", "vet", "run"}:
            wanted = [reading.MODULE_CACHE, reading.BUILD_CACHE]
        missing = [path for path in wanted if path not in reading.mounted(run)]
        if missing:
            yield Finding(
                run.where.line,
                "no-cache-mounts",
                f"Go runs without a cache mount for {' and '.join(missing)}",
                "every edit compiles from nothing: 115.6 s, against 5.1 s with cache mounts",
            )


def _emulated(dockerfile: Dockerfile) -> Iterator[Finding]:
    for stage in dockerfile.stages:
        if not reading.builds_go(stage) or not reading.is_copied_from(stage, dockerfile):
            continue
        fixed = reading.cross_variables(stage).get("GOARCH", "$")
        if not reading.platform_of(stage, dockerfile):
            yield Finding(
                stage.begin.where.line,
                "emulated-build",
                f"`{stage.begin.text}` runs on the target's platform: the compiler is emulated "
                "for every other one",
                "Go cross-compiles by itself: users report 30 minutes becoming 2 for four "
                "platforms (not measured here)",
            )
        elif "$" not in fixed:
            yield Finding(
                stage.begin.where.line,
                "fixed-target",
                f"GOARCH={fixed} is fixed: every platform of the image gets that binary",
                "a wrong image for every other platform: take $TARGETOS and $TARGETARCH",
            )


def _moving_base(dockerfile: Dockerfile) -> Iterator[Finding]:
    names = {stage.begin.name for stage in dockerfile.stages}
    for stage in dockerfile.stages:
        base = stage.begin.base
        if base.lower() in names or base == "scratch" or "$" in base or "@" in base:
            continue
        if ":" not in base.rpartition("/")[2] or base.endswith(":latest"):
            yield Finding(
                stage.begin.where.line,
                "moving-base",
                f"`{base}` is whatever its latest version is on the day of the build",
                "two builds of one commit differ; a new base runs everything again",
            )


def _apt(dockerfile: Dockerfile) -> Iterator[Finding]:
    for run in _runs(dockerfile):
        text = reading.line_of(run)
        if reading.apt_leaves_lists(run):
            yield Finding(
                run.where.line,
                "apt-lists",
                "apt-get leaves its lists and packages in the layer",
                "tens of megabytes in the image, and all of it is fetched again when the line "
                "changes; cache mounts keep it outside",
            )
        if "update" in text and "install" not in text and re.search(r"\bapt(-get)?\b", text):
            yield Finding(
                run.where.line,
                "apt-update-alone",
                "`apt-get update` stands in a RUN of its own",
                "its layer is cached, and later installs ask for versions that are gone",
            )


def _add(dockerfile: Dockerfile) -> Iterator[Finding]:
    for one in _instructions(dockerfile):
        if isinstance(one, Copy) and one.add and not one.heredocs:
            remote = any("://" in source or source.startswith("git@") for source in one.sources)
            if not remote and not any(map(_ARCHIVE.search, one.sources)):
                yield Finding(
                    one.where.line,
                    "add",
                    f"`{one.text}` is ADD where COPY does",
                    "what looks like an archive is unpacked without a word",
                )


def _secrets(dockerfile: Dockerfile) -> Iterator[Finding]:
    given: list[tuple[Arg | Env, str]] = []
    for one in (*dockerfile.arguments, *_instructions(dockerfile)):
        if isinstance(one, Arg | Env):
            given += [(one, name) for name, _ in one.pairs if _SECRET.search(name)]
    for one, name in given:
        kind = "ARG" if isinstance(one, Arg) else "ENV"
        yield Finding(
            one.where.line,
            "secret",
            f"{kind} {name} looks like a secret",
            "it stands in the image's history, and a new value runs everything again; use "
            f"RUN --mount=type=secret,id={name.lower()}",
        )


def _runs(dockerfile: Dockerfile) -> Iterator[Run]:
    for stage in dockerfile.stages:
        yield from reading.runs(stage)


_CHECKS: tuple[Callable[[Dockerfile], Iterator[Finding]], ...] = (
    _copy_before_download,
    _rebuild_all,
    _no_cache_mounts,
    _emulated,
    _moving_base,
    _apt,
    _add,
    _secrets,
)

"""Licences of everything that a program is built from: found, judged, and collected.

The modules are those that the packages of the targets really import (`go list -deps`), so what only
tests or tools need is not among them; Go's own standard library, which is in every program, is.
Texts are told apart by Google's `licensecheck`, in a small program of ours (`licences/`) that the
stage builds. Every licence that is found in a module counts: of a module that may be had under one
of several, each has to be allowed, or the module is accepted by name.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Unpack

from pipelines._cache import mount
from pipelines._dagger import dagger
from pipelines._errors import StageFailed, UsageError
from pipelines._given import texts
from pipelines._platform import Platform
from pipelines.go._caches import caches
from pipelines.go._commands import Setup, part_of
from pipelines.go._diagnosis import explained
from pipelines.go._env import base, env, lent
from pipelines.go._target import tagged
from pipelines.go._tools import GO

__all__ = ["PERMISSIVE", "Licensed", "LicensesRefused", "licenses", "refused"]

PERMISSIVE = (
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT",
    "MIT-0", "Unlicense", "Zlib", "GooglePatentClause",
)  # fmt: skip
OUT = "/licenses"


class LicensesRefused(StageFailed):
    """A module's licence is not allowed; `outputs` has the report and the notices all the same."""

    def __init__(self, message: str, outputs: dagger.Directory) -> None:
        super().__init__(message)
        self.outputs = outputs


@dataclass(frozen=True, slots=True)
class Licensed:
    """A module and the licences in it: SPDX names, `unknown` for a text that is none, or `none`."""

    module: str
    version: str
    licenses: tuple[str, ...]
    files: tuple[str, ...] = ()


async def licenses(
    source: dagger.Directory,
    *packages: str,
    platforms: Sequence[Platform] = (),
    allow: Sequence[str] = PERMISSIVE,
    deny: Sequence[str] = (),
    accept: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
    **setup: Unpack[Setup],
) -> dagger.Directory:
    """Check the licences of all that packages are built from; give the report and the notices.

    The directory has `licenses.json`, `licenses.csv`, and in `notices/` the licence and notice
    files of each module, as they have to be passed on with a program.

    Args:
        source: The repository.
        packages: Packages or patterns; by default `./...`.
        platforms: What is built for; by default what Go runs on.
        allow: SPDX names of licences that are allowed, instead of the permissive ones; `*` is any.
        deny: Licences that are not, whatever `allow` says.
        accept: Modules that are accepted whatever was found, with the licence or a reason, such as
            `{"example.com/odd": "MIT, asked the author on 2026-01-01"}`.
        tags: Build tags.
        setup: The arguments of `env`.

    Raises:
        LicensesRefused: a licence is denied, not allowed or unknown; with module and licence.
        UsageError: `accept` names a module that is not there.
    """
    allow, deny, tags = texts("allow", allow), texts("deny", deny), texts("tags", tags)
    every = packages or ("./...",)
    one = platforms[0] if len(platforms) == 1 else None
    more = ("**",) if len(platforms) > 1 else ()
    part = await part_of(source, one, every, tags, more, setup)
    container = (await env(source, one, inputs=part, **setup)).with_exec(["mkdir", "-p", OUT])
    container = container.with_mounted_file("/usr/local/bin/licences", _program())
    targets = ",".join(str(platform) for platform in platforms)
    line = ["licences", OUT, targets, *tagged(tags), *every]
    with explained():
        made = await container.with_exec(line).directory(OUT).sync()
    found = read(await made.file("licenses.json").contents())
    made = made.with_new_file("licenses.csv", table(found))
    if problems := refused(found, allow, deny, accept or {}):
        said = "\n".join(problems)
        raise LicensesRefused(f"licences that are not allowed:\n{said}", await made.sync())
    return await made.sync()


def refused(
    found: Iterable[Licensed],
    allow: Sequence[str],
    deny: Sequence[str] = (),
    accept: Mapping[str, str] | None = None,
) -> list[str]:
    """Judge; one line for each licence that a module may not have.

    Raises:
        UsageError: a module is accepted that is not there: nobody would see when it comes back.
    """
    modules = tuple(found)
    accepted = dict(accept or {})
    if gone := sorted(accepted.keys() - {one.module for one in modules}):
        raise UsageError(f"accept names modules that are not used: {', '.join(gone)}; remove them")
    lines = []
    for one in modules:
        if one.module in accepted:
            continue
        for name in one.licenses:
            if name in deny:
                lines.append(f"  {one.module}@{one.version}: {name} is denied")
            elif name in {"none", "unknown"}:
                lines.append(f"  {one.module}@{one.version}: {_unclear(one, name)}")
            elif name not in allow and "*" not in allow:
                lines.append(f"  {one.module}@{one.version}: {name} is not allowed")
    return lines


def _unclear(one: Licensed, name: str) -> str:
    way = "look, and accept={module: licence} if it is right"
    if name == "none":
        return f"no licence file; {way}"
    return f"unknown licence in {', '.join(one.files)}; {way}"


def read(text: str) -> tuple[Licensed, ...]:
    """Read the report."""
    return tuple(
        Licensed(one["module"], one["version"], tuple(one["licenses"]), tuple(one["files"]))
        for one in json.loads(text)
    )


def table(found: Iterable[Licensed]) -> str:
    """Write the report as CSV: module, version, licences, files."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["module", "version", "licenses", "files"])
    for one in found:
        rows.writerow([one.module, one.version, " ".join(one.licenses), " ".join(one.files)])
    return out.getvalue()


def _program() -> dagger.File:
    """Build our own program with the module that it needs, pinned by its go.sum."""
    container = lent(base(GO)).with_(mount(*caches(GO)[1:])).with_workdir("/licences")
    for name in ("go.mod", "go.sum", "main.go"):
        text = files("pipelines.go").joinpath("licences", name).read_text(encoding="utf-8")
        container = container.with_new_file(f"/licences/{name}", text)
    container = container.with_env_variable("CGO_ENABLED", "0")
    return container.with_exec(["go", "build", "-trimpath", "-o", "/out/licences", "."]).file(
        "/out/licences"
    )

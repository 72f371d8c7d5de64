"""The state of an archive: its Release files, fetched and verified by the host's apt.

A Release file is signed anew several times a day although nothing changed. What decides which
packages are installed is the index of `main` for one architecture, and the Release file has
its digest: that is the state. The date is the main suite's, which changes with its content.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.aptsources import Archive
from pipelines.engine.images.packages.programs import Programs

__all__ = ["Offered", "Release", "Source", "fetch", "offered", "read", "read_all", "written"]

Offered = Mapping[str, str]  # packages to their newest versions

_FIELD = re.compile(r"([A-Za-z0-9-]+):\s*(.*)")
_HASH = re.compile(r" ([0-9a-f]{64})\s+\d+\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Source:
    """Suites of one archive."""

    archive: Archive
    suites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """What a Release file says; `indexes` maps architectures to digests of main's index."""

    origin: str
    codename: str
    version: str
    date: datetime
    indexes: Mapping[str, str]


def read(text: str) -> Release:
    """Read a Release file, signed inline or not.

    Raises:
        ImageError: it has no codename or no date.
    """
    fields: dict[str, str] = {}
    indexes: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if (field := _FIELD.match(line)) is not None:
            section = field[1].lower()
            fields.setdefault(section, field[2].strip())
        elif section == "sha256" and (entry := _HASH.match(line)) is not None:
            _, _, place = entry[2].partition("main/binary-")
            architecture, _, name = place.partition("/")
            if name == "Packages" and entry[2].startswith("main/"):
                indexes[architecture] = entry[1]
    try:
        date = parsedate_to_datetime(fields["date"])
    except (KeyError, ValueError) as exc:
        raise ImageError("reading a Release file: it has no date") from exc
    codename = fields.get("codename") or fields.get("suite", "")
    return Release(fields.get("origin", ""), codename, fields.get("version", ""), date, indexes)


def read_all(lists: Path) -> dict[str, Release]:
    """Read the Release files among apt's lists, by codename."""
    found = (*lists.glob("*_InRelease"), *lists.glob("*_Release"))
    releases = (read(path.read_text("utf-8", "replace")) for path in found)
    return {release.codename: release for release in releases}


def written(sources: Sequence[Source], keyring: str = "", *, public: bool = False) -> str:
    """Write sources in apt's deb822 form, for the host or, `public`, for an image."""
    text = []
    for source in sources:
        uri = source.archive.public if public else source.archive.uri
        signed = keyring if public else source.archive.keyring or keyring
        text.append(
            f"Types: deb\nURIs: {uri}\nSuites: {' '.join(source.suites)}\nComponents: main\n"
            + (f"Signed-By: {signed}\n" if signed else "")
        )
    return "\n".join(text)


def fetch(
    programs: Programs, apt: str, file: Path, scratch: Path, suite: str
) -> dict[str, Release]:
    """Let apt get and verify the Release files of a file of sources, and nothing else.

    Raises:
        ImageError: apt can not get one, or does not trust it.
    """
    return _update(programs, apt, file, scratch, f"the state of {suite}")


def offered(
    programs: Programs, apts: tuple[str, str], file: Path, scratch: Path, names: Sequence[str]
) -> tuple[dict[str, Release], Offered]:
    """Let apt get the package indexes too, and read the newest versions of packages.

    `apts` are the paths of apt-get and apt-cache.

    Raises:
        ImageError: apt can not get them.
    """
    releases = _update(programs, apts[0], file, scratch, "")
    command = [apts[1], "-c", str(scratch / "apt.conf"), "madison", *names]
    rows = programs.run(command, "reading Debian's package indexes").splitlines()
    found: dict[str, str] = {}
    for name, version, *_ in (map(str.strip, row.split("|")) for row in rows if "|" in row):
        found.setdefault(name, version)  # the newest comes first
    return releases, found


def _update(
    programs: Programs, apt: str, file: Path, scratch: Path, state: str
) -> dict[str, Release]:
    """Run apt's update; only for the Release files if it is for a `state`."""
    settings = "#clear Acquire::IndexTargets;\n" if state else ""
    lists = scratch / "lists"
    (lists / "partial").mkdir(parents=True)
    config = scratch / "apt.conf"
    config.write_text(
        "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
        f'{settings}Dir::State::Lists "{lists}";\nDir::Cache "{scratch}";\n'
        f'Dir::Etc::SourceList "{file}";\nDir::Etc::SourceParts "/dev/null";\n'
        'Dir::State::Status "/dev/null";\nAcquire::Languages "none";\n'
        'APT::Sandbox::User "";\nAPT::Update::Error-Mode "any";\n',
        "utf-8",
    )
    command = [apt, "-q", "-c", str(config), "update"]
    purpose = f"asking the host's Debian mirror for {state or 'its packages'}"
    programs.run(command, purpose, env={"LC_ALL": "C.UTF-8"})
    return read_all(lists)

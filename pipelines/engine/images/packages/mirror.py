"""The host's mirror of Debian, as the host's own apt is configured to use it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.aptsources import Mirrors, Stanza, mirrors, stanzas
from pipelines.engine.images.packages.programs import Programs
from pipelines.engine.images.packages.release import (
    Offered,
    Release,
    Source,
    fetch,
    offered,
    written,
)

__all__ = ["VARIABLE", "Mirror", "keyring_in"]

VARIABLE = "PIPELINES_DEBIAN_SOURCES"

_KEYRINGS = (
    "usr/share/keyrings/debian-archive-keyring.gpg",
    "usr/share/keyrings/debian-archive-keyring.pgp",
)
_ALIASES = frozenset(("oldoldstable", "oldstable", "stable", "testing", "unstable"))
_ROLLING = frozenset(("experimental", "sid"))  # have no updates and no security updates
_SETTING = re.compile(
    r'(Acquire::(?:https?::|Check-|Retries|Force)[\w:.-]*[\w]) "([^"]+)";', re.IGNORECASE
)
_DEB822 = re.compile(r"^types:", re.IGNORECASE | re.MULTILINE)
_SHELL = re.compile(r"(\w+)='(.*)'")


class Mirror:
    """Answers where Debian comes from here; `own` is a file of sources to use instead."""

    def __init__(self, programs: Programs, own: str = "") -> None:
        self._programs = programs
        self._own = own

    def releases(self, suite: str, room: Path, *, alone: bool) -> list[Release]:
        """Fetch a suite's Release files, its own first; `alone` without those of its updates.

        Raises:
            ImageError: no mirror is configured, it does not have the suite, or it is not Debian's.
        """
        if suite in _ALIASES:
            suite = self._fetch(self._sources(suite, alone=True), room / "alias")[0].codename
        found = self._fetch(self._sources(suite, alone=alone), room / "suite")
        return sorted(found, key=lambda release: release.codename != suite)

    def offered(
        self, suite: str, room: Path, names: Sequence[str]
    ) -> tuple[list[Release], Offered]:
        """Tell which versions of packages a suite has, and the state that says so."""
        file = room / "debian.sources"
        file.write_text(self.sources(suite, alone=False), "utf-8")
        apts = self._apt("apt-get"), self._apt("apt-cache")
        releases, found = offered(self._programs, apts, file, room, names)
        return list(releases.values()), found

    def main(self) -> tuple[str, str]:
        """Give the main archive's address and keyring."""
        archive = self._mirrors().main
        return archive.uri, archive.keyring or keyring_in(Path("/"))

    def sources(self, suite: str, *, alone: bool) -> str:
        """Write sources of a suite for apt on this host."""
        return written(self._sources(suite, alone=alone), keyring_in(Path("/")))

    def shown(self, suite: str, root: Path) -> str:
        """Write sources of a suite for apt in a root filesystem, without passwords."""
        return written(self._sources(suite, alone=False), keyring_in(root), public=True)

    def settings(self) -> Mapping[str, str]:
        """Give apt's settings of how to fetch: proxies, certificates, checks."""
        said = self._programs.run([self._apt("apt-config"), "dump", "Acquire"], _ASKING)
        return {found[1]: found[2] for found in map(_SETTING.fullmatch, said.splitlines()) if found}

    def _sources(self, suite: str, *, alone: bool) -> list[Source]:
        archives = self._mirrors()
        if alone or suite in _ROLLING:
            return [Source(archives.main, (suite,))]
        found = [Source(archives.main, (suite, f"{suite}-updates"))]
        if archives.security is not None:
            found.append(Source(archives.security, (f"{suite}-security",)))
        return found

    def _fetch(self, sources: Sequence[Source], room: Path) -> list[Release]:
        room.mkdir()
        file = room / "debian.sources"
        file.write_text(written(sources, keyring_in(Path("/"))), "utf-8")
        suite = sources[0].suites[0]
        found = list(fetch(self._programs, self._apt("apt-get"), file, room, suite).values())
        owners = {release.origin or "nobody" for release in found} or {"nobody"}
        if owners != {"Debian"}:
            raise ImageError(
                f"the archive in this host's apt sources is of {', '.join(sorted(owners))}, not "
                f"of Debian; write sources of Debian to a file, and name the file in {VARIABLE}"
            )
        return found

    def _mirrors(self) -> Mirrors:
        found = mirrors(one for file in self._files() for one in _read(file))
        if found is None:
            raise ImageError(
                "no mirror of Debian is configured in "
                f"{self._own or 'the apt sources of this host'}; write sources of Debian (a suite "
                f"with the component main) to a file, and name the file in {VARIABLE}"
            )
        return found

    def _files(self) -> list[Path]:
        if self._own:
            return [Path(self._own)]
        asked = [self._apt("apt-config"), "shell", "list", "Dir::Etc::sourcelist/f"]
        said = self._programs.run([*asked, "parts", "Dir::Etc::sourceparts/d"], _ASKING)
        paths = {found[1]: found[2] for found in map(_SHELL.fullmatch, said.splitlines()) if found}
        parts = sorted(Path(paths["parts"]).glob("*")) if paths.get("parts") else []
        known = [path for path in parts if path.suffix in {".list", ".sources"}]
        return [*([Path(paths["list"])] if "list" in paths else []), *known]

    def _apt(self, name: str) -> str:
        found = self._programs.find(name)
        if found is None:
            raise ImageError(
                f"Debian images are found through the host's {name}, which is not installed; "
                "install apt, import the image from an archive, or use --engine dagger"
            )
        return found


_ASKING = "asking apt for its configuration"


def keyring_in(root: Path) -> str:
    """Find Debian's keyring in a root filesystem; "" without one."""
    return next((f"/{name}" for name in _KEYRINGS if (root / name).exists()), "")


def _read(file: Path) -> Sequence[Stanza]:
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(stanzas(text, deb822=_DEB822.search(text) is not None))

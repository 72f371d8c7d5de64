"""Small objects that the API answers with: variables, labels, ports, health checks, stats."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError

__all__ = [
    "EnvVariable",
    "Healthcheck",
    "Label",
    "Port",
    "Stat",
    "fields_of",
    "nanoseconds",
    "spelled",
]

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS["h"] = 60 * _UNITS["m"]
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class EnvVariable:
    """An environment variable."""

    TYPE: ClassVar[str] = "EnvVariable"

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Label:
    """An image label."""

    TYPE: ClassVar[str] = "Label"

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Port:
    """An exposed port."""

    TYPE: ClassVar[str] = "Port"

    port: int
    protocol: str = "TCP"
    description: str | None = None
    experimental_skip_healthcheck: bool = False

    @property
    def spelled(self) -> str:
        """As an image config spells it: `8080/tcp`."""
        return f"{self.port}/{self.protocol.lower()}"

    @classmethod
    def parse(cls, text: str) -> "Port":
        """Read an image config's spelling."""
        number, _, protocol = text.partition("/")
        return cls(int(number), (protocol or "tcp").upper())


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """A container's health check; durations as Go prints them, `0s` where none was given.

    Without arguments it says that there is to be none, whatever the base image had.
    """

    TYPE: ClassVar[str] = "HealthcheckConfig"

    args: tuple[str, ...]
    shell: bool = False
    interval: str = ""
    timeout: str = ""
    start_period: str = ""
    start_interval: str = ""
    retries: int = 0

    @classmethod
    def of_texts(
        cls,
        args: tuple[str, ...],
        shell: bool,
        times: tuple[str | None, str | None, str | None, str | None],
        retries: int | None,
    ) -> "Healthcheck":
        """Read what somebody wrote; `times` are in the order of the fields.

        Raises:
            QueryError: not a duration.
        """
        interval, timeout, start_period, start_interval = (
            spelled(nanoseconds(text or "")) for text in times
        )
        return cls(args, shell, interval, timeout, start_period, start_interval, retries or 0)

    @classmethod
    def of_image(cls, document: Mapping[str, Any]) -> "Healthcheck":
        """Read the image config's form of it."""
        kind, *args = document.get("Test") or [""]
        return cls(
            tuple(args),
            kind == "CMD-SHELL",
            spelled(document.get("Interval", 0)),
            spelled(document.get("Timeout", 0)),
            spelled(document.get("StartPeriod", 0)),
            spelled(document.get("StartInterval", 0)),
            document.get("Retries", 0),
        )

    def image(self) -> dict[str, Any]:
        """Write the image config's form of it."""
        numbers = {
            "Interval": nanoseconds(self.interval),
            "Timeout": nanoseconds(self.timeout),
            "StartPeriod": nanoseconds(self.start_period),
            "StartInterval": nanoseconds(self.start_interval),
            "Retries": self.retries,
        }
        test = ["CMD-SHELL" if self.shell else "CMD", *self.args] if self.args else ["NONE"]
        return {"Test": test} | {name: number for name, number in numbers.items() if number}


def nanoseconds(text: str) -> int:
    """Read a duration as Go spells it (`1m30s`); "" is 0.

    Raises:
        QueryError: not a duration.
    """
    if _DURATION.sub("", text):
        raise QueryError(f"not a duration: {text!r}; write it like 1m30s or 500ms")
    return round(sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text)))


def spelled(number: int) -> str:
    """Spell nanoseconds as Go prints a duration (`1m30s`, `1.5s`, `200ms`, `0s`)."""
    for unit in ("ns", "µs", "ms"):
        if number < 1000 * _UNITS[unit]:
            return f"{_decimal(number, _UNITS[unit])}{unit}" if number else "0s"
    minutes, rest = divmod(number, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_decimal(rest, _UNITS['s'])}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = f"{rest:0{len(str(unit)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


@dataclass(frozen=True, slots=True)
class Stat:
    """What is at a path; `permissions` are the mode's lower bits, `size` is bytes."""

    TYPE: ClassVar[str] = "Stat"

    name: str
    file_type: str
    size: int
    permissions: int


Getter = Callable[[Session, Any], object]


def fields_of(*names: tuple[str, str]) -> dict[str, Getter]:
    """Make a table of fields (GraphQL name, attribute) that answer what an object holds."""

    def getter(attribute: str) -> Getter:
        return lambda _session, value: getattr(value, attribute)

    return {name: getter(attribute) for name, attribute in names}


NAMED = fields_of(("name", "name"), ("value", "value"))
PORT = fields_of(
    ("port", "port"),
    ("protocol", "protocol"),
    ("description", "description"),
    ("experimentalSkipHealthcheck", "experimental_skip_healthcheck"),
)
HEALTHCHECK = fields_of(
    ("args", "args"),
    ("shell", "shell"),
    ("interval", "interval"),
    ("timeout", "timeout"),
    ("startPeriod", "start_period"),
    ("startInterval", "start_interval"),
    ("retries", "retries"),
)
STAT = fields_of(
    ("name", "name"),
    ("fileType", "file_type"),
    ("size", "size"),
    ("permissions", "permissions"),
)

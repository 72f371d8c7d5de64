"""Image configuration: what a container says about its commands and its image.

Source: OCI image-spec config.md; Docker's Healthcheck extension of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.engine.api.values import Healthcheck, Port
from pipelines.engine.digest import canonical
from pipelines.engine.op import Edge

__all__ = ["Config", "Step", "put", "take"]

Pairs = tuple[tuple[str, str], ...]


def put(pairs: Pairs, name: str, value: str) -> Pairs:
    """Set a name: where it stands, or at the end."""
    return tuple({**dict(pairs), name: value}.items())


def take(pairs: Pairs, name: str) -> Pairs:
    """Remove a name."""
    return tuple(pair for pair in pairs if pair[0] != name)


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of an image's history.

    `root` is the root filesystem after it, if it may have made a layer. The first step is what
    all begins with, and no entry.
    """

    created_by: str
    root: Edge | None = None
    comment: str = ""

    def image(self) -> dict[str, Any]:
        """Write the image config's form."""
        row = {"created_by": self.created_by, "comment": self.comment}
        return row if self.root is not None else {**row, "empty_layer": True}


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration; None for entrypoint and arguments that nobody set.

    `history` tells what was done since the base image, if a Dockerfile says so.
    `chosen_args` says that the pipeline set the arguments, not the image.
    """

    env: Pairs = ()
    workdir: str = ""
    user: str = ""
    entrypoint: tuple[str, ...] | None = None
    default_args: tuple[str, ...] | None = None
    chosen_args: bool = False
    labels: Pairs = ()
    annotations: Pairs = ()
    ports: tuple[Port, ...] = ()
    healthcheck: Healthcheck | None = None
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    shell: tuple[str, ...] = ()
    onbuild: tuple[str, ...] = ()
    author: str = ""
    history: tuple[Step, ...] = ()

    @classmethod
    def of_image(cls, document: Mapping[str, Any]) -> "Config":
        """Read an OCI config document; absent and null are the same."""
        config = document.get("config") or {}
        env = (line.partition("=") for line in config.get("Env") or ())
        health = config.get("Healthcheck")
        return cls(
            env=tuple((name, value) for name, _, value in env),
            workdir=config.get("WorkingDir") or "",
            user=config.get("User") or "",
            entrypoint=_words(config.get("Entrypoint")),
            default_args=_words(config.get("Cmd")),
            labels=tuple((config.get("Labels") or {}).items()),
            ports=tuple(Port.parse(text) for text in config.get("ExposedPorts") or ()),
            healthcheck=Healthcheck.of_image(health) if health else None,
            volumes=tuple(config.get("Volumes") or ()),
            stop_signal=config.get("StopSignal") or "",
            shell=tuple(config.get("Shell") or ()),
            onbuild=tuple(config.get("OnBuild") or ()),
            author=document.get("author") or "",
        )

    def over(self, older: "Config") -> "Config":
        """Lay this image's configuration over that of the container it is loaded into."""
        mine = {port.spelled for port in self.ports}
        return replace(
            self,
            env=tuple((dict(older.env) | dict(self.env)).items()),
            labels=tuple((dict(older.labels) | dict(self.labels)).items()),
            annotations=older.annotations,
            ports=(*(p for p in older.ports if p.spelled not in mine), *self.ports),
        )

    def document(self, platform: str) -> str:
        """Write the OCI config document, canonical, without `rootfs`."""
        os, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        config: dict[str, Any] = {
            "Env": [f"{name}={value}" for name, value in self.env],
            "WorkingDir": self.workdir,
            "User": self.user,
            "Entrypoint": list(self.entrypoint or ()),
            "Cmd": list(self.default_args or ()),
            "Labels": dict(self.labels),
            "ExposedPorts": {port.spelled: {} for port in self.ports},
            "Healthcheck": self.healthcheck.image() if self.healthcheck else None,
            "Volumes": {path: {} for path in self.volumes},
            "StopSignal": self.stop_signal,
            "Shell": list(self.shell),
            "OnBuild": list(self.onbuild),
        }
        document: dict[str, Any] = {
            "os": os,
            "architecture": architecture,
            "config": {name: value for name, value in config.items() if value},
        }
        if variant:
            document["variant"] = variant
        if self.author:
            document["author"] = self.author
        if self.history:
            document["history"] = [step.image() for step in self.history[1:]]
        return canonical(document).decode()


def _words(value: Any) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)

"""Instructions that change the configuration, and WORKDIR.

Source: BuildKit `dockerfile2llb/convert.go`, for what resets what and for the history.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipelines.engine.api.config import put
from pipelines.engine.api.docker.state import Building, Options
from pipelines.engine.api.values import Healthcheck, Port
from pipelines.engine.dockerfile import instructions as ins
from pipelines.engine.dockerfile.source import Where
from pipelines.engine.errors import QueryError
from pipelines.engine.keys import absolute
from pipelines.engine.op import Edge, MakeDir

__all__ = ["SETTINGS", "default_shell"]

_PORT = re.compile(r"(?:.*:)?(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?")
_PORTS = 65535
_PROTOCOLS = ("tcp", "udp", "sctp")
_SIGNAL = re.compile(r"(?:SIG)?(?:RTM(?:IN(?:\+\d+)?|AX(?:-\d+)?)|[A-Z]+\d?)|\d+")


def default_shell(building: Building) -> tuple[str, ...]:
    """Give what runs shell forms."""
    return building.config.shell or ("/bin/sh", "-c")


def _command(building: Building, args: tuple[str, ...], shell: bool) -> tuple[str, ...]:
    return (*default_shell(building), " ".join(args)) if shell and args else args


def _quoted(args: tuple[str, ...]) -> str:
    return "[" + " ".join(json.dumps(arg, ensure_ascii=False) for arg in args) + "]"


def _arg(b: Building, one: ins.Arg, options: Options) -> Building:
    """Declare arguments: the value asked for, else the default, else that of all stages."""
    told = []
    for name, default in one.pairs:
        value = options.arguments.get(name)
        if value is None and default is not None:
            value = b.expand(default, one.where)
        if value is None:
            value = options.scope.get(name)
        if value is not None:
            b = b.variable(name, value)
        if name not in b.declared:
            b = replace(b, declared=(*b.declared, name))
        told.append(name if value is None else f"{name}={value}")
    return b.said("ARG " + " ".join(told))


def _env(b: Building, one: ins.Env, _options: Options) -> Building:
    pairs = [(b.expand(n, one.where), b.expand(v, one.where)) for n, v in one.pairs]
    for name, value in pairs:
        b = b.variable(name, value).configured(env=put(b.config.env, name, value))
    return b.said("ENV " + " ".join(f"{name}={value}" for name, value in pairs))


def _label(b: Building, one: ins.Label, _options: Options) -> Building:
    pairs = [(b.expand(n, one.where), b.expand(v, one.where)) for n, v in one.pairs]
    for name, value in pairs:
        b = b.configured(labels=put(b.config.labels, name, value))
    return b.said("LABEL " + " ".join(f"{name}={value}" for name, value in pairs))


def _workdir(b: Building, one: ins.Workdir, _options: Options) -> Building:
    path = absolute(b.expand(one.path, one.where), b.config.workdir)
    b = b.configured(workdir=path)
    if path == "/":
        return b.said("WORKDIR /")
    made = MakeDir(b.it.rootfs, path[1:], owner=b.config.user)
    return b.rooted(Edge(made)).said(f"WORKDIR {path}", empty=False)


def _user(b: Building, one: ins.User, _options: Options) -> Building:
    name = b.expand(one.name, one.where)
    return b.configured(user=name).said(f"USER {name}")


def _expose(b: Building, one: ins.Expose, _options: Options) -> Building:
    texts = [text for port in one.ports for text in b.words(port, one.where)]
    added = [port for text in texts for port in _ports(text, one.where)]
    ports = {port.spelled: port for port in (*b.config.ports, *added)}
    told = " ".join(port.spelled for port in added)
    return b.configured(ports=tuple(ports.values())).said(f"EXPOSE [{told}]")


def _ports(text: str, where: Where) -> list[Port]:
    match = _PORT.fullmatch(text)
    protocol = ((match and match[3]) or "tcp").lower()
    if match is None or protocol not in _PROTOCOLS:
        raise where.error(f"EXPOSE {text}: it is a port, such as 8080, 53/udp or 8000-8010")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 < first <= last <= _PORTS:
        raise where.error(f"EXPOSE {text}: ports are 1 to {_PORTS}, the lower one first")
    return [Port(number, protocol.upper()) for number in range(first, last + 1)]


def _cmd(b: Building, one: ins.Cmd, _options: Options) -> Building:
    args = _command(b, one.args, one.shell)
    b = replace(b.configured(default_args=args), cmd_given=True)
    return b.said(f"CMD {_quoted(args)}")


def _entrypoint(b: Building, one: ins.Entrypoint, _options: Options) -> Building:
    """Set the entrypoint; a CMD of the base image goes, one of this stage stays."""
    args = _command(b, one.args, one.shell)
    kept = b.config.default_args if b.cmd_given else None
    b = b.configured(entrypoint=args, default_args=kept)
    return b.said(f"ENTRYPOINT {_quoted(args)}")


def _healthcheck(b: Building, one: ins.Healthcheck, _options: Options) -> Building:
    times = (one.interval, one.timeout, one.start_period, one.start_interval)
    try:
        made = Healthcheck.of_texts(one.test, one.shell, times, one.retries)
    except QueryError as exc:
        raise one.where.error(f"HEALTHCHECK: {exc}") from exc
    return b.configured(healthcheck=made).said(f"HEALTHCHECK {_quoted(one.test or ('NONE',))}")


def _shell(b: Building, one: ins.Shell, _options: Options) -> Building:
    return b.configured(shell=one.args).said(f"SHELL [{' '.join(one.args)}]")


def _stopsignal(b: Building, one: ins.Stopsignal, _options: Options) -> Building:
    signal = b.expand(one.signal, one.where)
    if not _SIGNAL.fullmatch(signal):
        raise one.where.error(f"STOPSIGNAL {signal}: it is a name such as SIGTERM, or a number")
    return b.configured(stop_signal=signal).said(f"STOPSIGNAL {signal}")


def _volume(b: Building, one: ins.Volume, _options: Options) -> Building:
    paths = [b.expand(path, one.where) for path in one.paths]
    volumes = tuple(dict.fromkeys((*b.config.volumes, *paths)))
    return b.configured(volumes=volumes).said(f"VOLUME [{' '.join(paths)}]")


def _onbuild(b: Building, one: ins.Onbuild, _options: Options) -> Building:
    return b.configured(onbuild=(*b.config.onbuild, one.trigger))


def _maintainer(b: Building, one: ins.Maintainer, _options: Options) -> Building:
    return b.configured(author=one.name).said(f"MAINTAINER {one.name}")


SETTINGS: dict[type[ins.Instruction], Callable[[Building, Any, Options], Building]] = {
    ins.Arg: _arg,
    ins.Cmd: _cmd,
    ins.Entrypoint: _entrypoint,
    ins.Env: _env,
    ins.Expose: _expose,
    ins.Healthcheck: _healthcheck,
    ins.Label: _label,
    ins.Maintainer: _maintainer,
    ins.Onbuild: _onbuild,
    ins.Shell: _shell,
    ins.Stopsignal: _stopsignal,
    ins.User: _user,
    ins.Volume: _volume,
    ins.Workdir: _workdir,
}

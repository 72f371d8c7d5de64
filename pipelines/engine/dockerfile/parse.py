"""Statements to instructions: one function an instruction, in a table.

What is checked here needs no variable: names, numbers of arguments, flags. What a value means
is checked when it is known.
"""

import re
from collections.abc import Callable, Mapping

from pipelines.engine.dockerfile import words
from pipelines.engine.dockerfile.arguments import (
    command,
    did_you_mean,
    exactly_one,
    exec_form,
    flags_read,
    listed,
    pairs_read,
)
from pipelines.engine.dockerfile.instructions import (
    Arg,
    Cmd,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stage,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from pipelines.engine.dockerfile.source import Heredoc, Statement, Where, heredoc_of, read
from pipelines.engine.errors import DockerfileError

__all__ = ["parse", "parse_one"]

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")


def parse(text: str, file: str = "Dockerfile") -> Dockerfile:
    """Parse a Dockerfile; `file` is its name in messages.

    Raises:
        DockerfileError: it is not one: file, line and what is wrong there.
    """
    source = read(text, file)
    arguments: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for statement in source.statements:
        made = _instruction(statement)
        if isinstance(made, From):
            stages.append((made, []))
        elif stages:
            stages[-1][1].append(made)
        elif isinstance(made, Arg):
            arguments.append(made)
        else:
            raise statement.where.error(
                f"{statement.name} stands before the first FROM; only ARG may"
            )
    if not stages:
        raise DockerfileError(file, source.statements[-1].where.line, "there is no FROM")
    made_stages = (Stage(n, begin, tuple(rest)) for n, (begin, rest) in enumerate(stages))
    return Dockerfile(file, source.escape, tuple(arguments), tuple(made_stages))


def parse_one(text: str, where: Where) -> Instruction:
    """Parse one instruction that stands in an image: an ONBUILD trigger.

    Raises:
        DockerfileError: it is not one, or another than a trigger may be.
    """
    source = read(text, where.file)
    if len(source.statements) != 1:
        raise where.error(f"the ONBUILD trigger {text!r} is not one instruction")
    statement = source.statements[0]
    if statement.name in {"ONBUILD", "FROM", "MAINTAINER"}:
        raise where.error(f"{statement.name} can not be an ONBUILD trigger")
    moved = Statement(
        where,
        where.line,
        statement.name,
        statement.flags,
        statement.rest,
        statement.text,
        statement.escape,
        statement.heredocs,
    )
    return _instruction(moved)


def _instruction(statement: Statement) -> Instruction:
    read_it = _READERS.get(statement.name)
    if read_it is None:
        raise statement.where.error(
            f"unknown instruction {statement.name}{did_you_mean(statement.name, _READERS)}"
        )
    return read_it(statement)


# --- one instruction each ----------------------------------------------------------------


def _from(st: Statement) -> From:
    parts = words.split(st.rest)
    flags = flags_read(st, one="platform")
    if len(parts) == 1 and parts[0]:
        return From(st.where, st.text, parts[0], "", flags.get("platform"))
    if len(parts) != 3 or parts[1].lower() != "as":  # noqa: PLR2004
        raise st.where.error(f"FROM {st.rest}: it is FROM image, or FROM image AS name")
    name = parts[2].lower()
    if not _STAGE_NAME.fullmatch(name):
        raise st.where.error(
            f"FROM … AS {parts[2]}: a name begins with a letter and has letters, digits, - _ ."
        )
    return From(st.where, st.text, parts[0], name, flags.get("platform"))


def _arg(st: Statement) -> Arg:
    flags_read(st)
    pairs: list[tuple[str, str | None]] = []
    for word in words.words(st.rest, st.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise st.where.error(f"ARG {word}: the name is missing")
        pairs.append((name, value if equals else None))
    if not pairs:
        raise st.where.error("ARG needs a name")
    return Arg(st.where, st.text, tuple(pairs))


def _env(st: Statement) -> Env:
    flags_read(st)
    return Env(st.where, st.text, pairs_read(st))


def _label(st: Statement) -> Label:
    flags_read(st)
    return Label(st.where, st.text, pairs_read(st))


def _run(st: Statement) -> Run:
    flags = flags_read(st, one="network security", many="mount device")
    if flags.many["device"]:
        raise st.where.error("RUN --device: devices are not given to commands here")
    args, shell = command(st)
    if not args:
        raise st.where.error("RUN needs a command")
    return Run(
        st.where,
        st.text,
        args,
        shell,
        st.heredocs,
        flags.many["mount"],
        flags.get("network"),
        flags.get("security"),
    )


def _copy(st: Statement) -> Copy:
    add = st.name == "ADD"
    own = ("checksum", "keep-git-dir unpack") if add else ("from", "parents")
    one, on = f"chown chmod {own[0]}", f"link {own[1]}"
    flags = flags_read(st, one=one, many="exclude", on=on)
    parts = listed(st)
    if len(parts) < 2:  # noqa: PLR2004
        raise st.where.error(f"{st.name} {st.rest}: a source and a destination are needed")
    if heredoc_of(parts[-1]):
        raise st.where.error(f"{st.name}: the heredoc {parts[-1]} can not be the destination")
    sources, heredocs = _sources(st, parts[:-1])
    return Copy(
        st.where,
        st.text,
        sources,
        parts[-1],
        heredocs,
        add=add,
        from_=flags.get("from"),
        chown=flags.get("chown"),
        chmod=flags.get("chmod"),
        link=flags.on.get("link", False),
        parents=flags.on.get("parents", False),
        exclude=flags.many["exclude"],
        checksum=flags.get("checksum"),
        keep_git_dir=flags.on.get("keep-git-dir"),
        unpack=flags.on.get("unpack"),
    )


def _sources(st: Statement, parts: list[str]) -> tuple[tuple[str, ...], tuple[Heredoc, ...]]:
    named = {heredoc.name: heredoc for heredoc in st.heredocs}
    found = [(part, heredoc_of(part)) for part in parts]
    plain = tuple(part for part, heredoc in found if heredoc is None)
    return plain, tuple(named[heredoc[0]] for _, heredoc in found if heredoc is not None)


def _workdir(st: Statement) -> Workdir:
    flags_read(st)
    return Workdir(st.where, st.text, exactly_one(st))


def _user(st: Statement) -> User:
    flags_read(st)
    return User(st.where, st.text, exactly_one(st))


def _expose(st: Statement) -> Expose:
    flags_read(st)
    exactly_one(st)
    return Expose(st.where, st.text, tuple(sorted(words.split(st.rest))))


def _cmd(st: Statement) -> Cmd:
    flags_read(st)
    return Cmd(st.where, st.text, *command(st))


def _entrypoint(st: Statement) -> Entrypoint:
    flags_read(st)
    return Entrypoint(st.where, st.text, *command(st))


def _healthcheck(st: Statement) -> Healthcheck:
    flags = flags_read(st, one="interval timeout start-period start-interval retries")
    kind, *rest = re.split(r"\s+", st.rest, maxsplit=1)
    if kind.upper() == "NONE":
        if rest or st.flags:
            raise st.where.error("HEALTHCHECK NONE takes no flags and no arguments")
        return Healthcheck(st.where, st.text, ())
    if kind.upper() != "CMD":
        raise st.where.error(f"HEALTHCHECK {kind}: it is CMD or NONE")
    text = rest[0] if rest else ""
    listed = exec_form(st, text)
    test = (text,) if listed is None else tuple(listed)
    if not text or not test:
        raise st.where.error("HEALTHCHECK CMD needs a command")
    retries = flags.get("retries") or "0"
    if not retries.isdecimal():
        raise st.where.error(f"HEALTHCHECK --retries={retries}: it is a number")
    return Healthcheck(
        st.where,
        st.text,
        test,
        listed is None,
        flags.get("interval"),
        flags.get("timeout"),
        flags.get("start-period"),
        flags.get("start-interval"),
        int(retries),
    )


def _shell(st: Statement) -> Shell:
    flags_read(st)
    found = exec_form(st, st.rest)
    if not found:
        raise st.where.error(f'SHELL {st.rest}: it is a JSON list such as ["/bin/bash", "-c"]')
    return Shell(st.where, st.text, tuple(found))


def _stopsignal(st: Statement) -> Stopsignal:
    flags_read(st)
    return Stopsignal(st.where, st.text, exactly_one(st))


def _volume(st: Statement) -> Volume:
    flags_read(st)
    paths = [path.strip() for path in listed(st)]
    if not paths or not all(paths):
        raise st.where.error(f"VOLUME {st.rest}: a path is needed, and none may be empty")
    return Volume(st.where, st.text, tuple(paths))


def _onbuild(st: Statement) -> Onbuild:
    flags_read(st)
    trigger = exactly_one(st)
    name = words.split(trigger)[0].upper()
    if name in {"ONBUILD", "FROM", "MAINTAINER"}:
        raise st.where.error(f"ONBUILD {name}: {name} can not be a trigger")
    if name not in _READERS:
        raise st.where.error(f"unknown instruction {name}{did_you_mean(name, _READERS)}")
    documents = "".join(f"\n{heredoc.raw}{heredoc.name}" for heredoc in st.heredocs)
    return Onbuild(st.where, st.text, trigger + documents)


def _maintainer(st: Statement) -> Maintainer:
    return Maintainer(st.where, st.text, exactly_one(st))


_READERS: Mapping[str, Callable[[Statement], Instruction]] = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}

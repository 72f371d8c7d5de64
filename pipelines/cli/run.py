"""`pipelines run`: run stages at once, on one session; show progress; deliver their results.

The engine's process is started first of all, before the SDK and the user's module are imported: the
two take about as long, so one of them costs nothing.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipelines._choose import choose
from pipelines._errors import UsageError
from pipelines._session import Session, caches
from pipelines._shard import Shard
from pipelines._trust import DEMANDS, Trust, strictest
from pipelines.cli.discover import Stage, find, load, select, stages
from pipelines.cli.flags import Flag, assign, flags
from pipelines.cli.progress import display, finish
from pipelines.report.run import Run

__all__ = ["Call", "Options", "dealt", "main", "parse", "perform", "plan"]


@dataclass(frozen=True, slots=True)
class Options:
    """The command's own options. `words` are the stages' names, `rest` their flags, unread."""

    words: tuple[str, ...]
    rest: tuple[str, ...]
    file: str = ""
    engine: Literal["auto", "embedded", "dagger"] = "auto"
    jobs: int | None = None
    export: Path | None = None
    progress: str = "auto"
    fail_fast: bool = True
    lock: Literal["use", "locked", "update"] = "use"
    cache: Trust = "use"
    proxy: bool = False
    shard: Shard | None = None
    help: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A stage with the values of its parameters."""

    stage: Stage
    arguments: Mapping[str, Any]


def main(argv: Sequence[str]) -> int:
    """Run the stages that the arguments name; give the exit code."""
    options = parse(argv)
    if options.help and not options.words:
        sys.stdout.write(_parser().format_help())
        return 0
    if options.help:
        sys.stdout.write(_stage_help(_chosen(options)))
        return 0
    return perform(options)


def perform(options: Options, hear: Callable[[dict[str, Any]], None] | None = None) -> int:
    """Run the stages; `hear` is called with every event of the embedded engine, from threads."""
    if options.proxy:
        from pipelines.cli.proxy import beside

        if (who := choose(options.engine, os.environ, sys.platform)) != "embedded":
            raise UsageError(
                f"--proxy is for the embedded engine, whose commands reach this machine; this run "
                f"would go to: {who}. Set GOPROXY to a proxy that its commands reach"
            )
        with beside(Path.cwd()):
            return perform(replace(options, proxy=False), hear)
    run = Run(display(options.progress, sys.stderr))
    session = _session(options, run, hear)
    run.told = session is not None
    try:
        chosen = _chosen(options)
        session = _believing(session, chosen, options, run, hear)
        calls = plan(options, chosen, os.environ)
    except BaseException:
        run.close()
        if session:
            session.kill()
            session.close()
        raise
    from pipelines.cli.perform import perform as play

    code, failure = play(calls, options, run, session, lambda: _keep(run, ended=False))
    finish(run, options.progress, code, failure, sys.stderr)
    _keep(run)
    if options.shard and options.export:
        from pipelines.cli.part import leave

        leave(options.export, options.shard, run, code, failure)
    return code


def _keep(run: Run, *, ended: bool = True) -> None:
    """Keep the run for `pipelines explain`."""
    import time

    from pipelines.engine.store.layout import default_root
    from pipelines.report.history import save

    save(default_root(os.environ), Path.cwd(), run.rows(), time.monotonic(), ended=ended)


def parse(argv: Sequence[str]) -> Options:
    """Read the command's own options; what is left must be stages' names, then their flags.

    Raises:
        UsageError: a value is wrong, or a flag comes before the first name.
    """
    known, rest = _parser().parse_known_args(list(argv))
    words: list[str] = []
    while rest and not rest[0].startswith("-"):
        words.append(rest.pop(0))
    if rest and not words:
        raise UsageError(f"name a stage before its flags; the first word here is {rest[0]}")
    if not words and not known.help:
        raise UsageError("name at least one stage; `pipelines list` shows them")
    if known.jobs is not None and known.jobs < 1:
        raise UsageError(f"--jobs takes a number from 1 on; got {known.jobs}")
    fields = vars(known)
    fields["shard"] = Shard.parse(known.shard) if known.shard else None
    fields["export"] = Path(known.export).absolute() if known.export else None
    return Options(words=tuple(words), rest=tuple(rest), **fields)


def plan(options: Options, chosen: Sequence[Stage], environ: Mapping[str, str]) -> list[Call]:
    """Give every stage its values. A flag that several stages have goes to all of them.

    Raises:
        UsageError: a flag or a value is wrong.
    """
    from pipelines.cli.values import Reader

    wanted = {stage.name: flags(stage.name, stage.call) for stage in chosen}
    mine = dealt(chosen, wanted, options.shard or Shard())
    every: list[Flag] = [flag for its in wanted.values() for flag in its]
    given = assign(every, options.rest)
    reader = Reader(
        options.export and options.export.resolve(), environ, _caches(environ), options.shard
    )
    return [Call(stage, reader.values(wanted[stage.name], given)) for stage in mine]


def dealt(
    chosen: Sequence[Stage], wanted: Mapping[str, Sequence[Flag]], shard: Shard
) -> list[Stage]:
    """Give the stages of a shard: those that take one, and its part of those that do not."""
    sharing = {name for name, its in wanted.items() if any(f.kind == "Shard" for f in its)}
    whole = shard.pick(sorted(wanted.keys() - sharing))
    for stage in chosen:
        if stage.name not in sharing and stage.name not in whole:
            sys.stderr.write(f"{stage.name}: another shard than {shard} runs it\n")
    return [stage for stage in chosen if stage.name in sharing or stage.name in whole]


def _caches(environ: Mapping[str, str]) -> Path | None:
    """Give the directory where travelling caches are kept, if they are in one."""
    found = caches(Path.cwd(), environ)
    return found.place.resolve() if found and found.place else None


def _chosen(options: Options) -> list[Stage]:
    where, module = find(Path.cwd(), options.file)
    from pipelines._fastimport import import_dagger, import_transport

    import_dagger()
    import_transport()
    return select(stages(load(where, module)), list(options.words))


def _believing(
    session: Session | None,
    chosen: Sequence[Stage],
    options: Options,
    run: Run,
    hear: Callable[[dict[str, Any]], None] | None,
) -> Session | None:
    """Give a session that believes no more of what is cached than the stages allow."""
    demanded: list[Trust] = [getattr(stage.call, DEMANDS, "use") for stage in chosen]
    wanted = strictest(options.cache, *demanded)
    if session is None or session.cache == wanted:
        return session
    session.kill()
    session.close()
    return _session(replace(options, cache=wanted), run, hear)


def _session(
    options: Options, run: Run, hear: Callable[[dict[str, Any]], None] | None
) -> Session | None:
    who = choose(options.engine, os.environ, sys.platform)
    if who != "embedded":
        if options.lock != "use":
            raise UsageError(
                f"pipelines.lock is the embedded engine's; this run would go to: {who}. "
                "Leave --locked out, or name --engine embedded"
            )
        if options.cache != "use":
            raise UsageError(
                f"--cache {options.cache} is the embedded engine's; this run would go to: {who}"
            )
        return None

    def listen(event: dict[str, Any]) -> None:
        run.listen(event)
        if hear is not None:
            hear(event)

    return Session.start(jobs=options.jobs, listen=listen, lock=options.lock, cache=options.cache)


def _stage_help(chosen: Sequence[Stage]) -> str:
    import inspect

    parts = []
    for stage in chosen:
        usage = " ".join(flag.usage for flag in flags(stage.name, stage.call))
        text = inspect.getdoc(stage.call) or ""
        parts.append(f"usage: pipelines run {stage.name} {usage}".rstrip() + f"\n\n{text}\n")
    return "\n".join(parts)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "pipelines run",
        usage="pipelines run STAGE… [--flag value…] [options]",
        description="Run stages. `pipelines run STAGE --help` shows a stage's flags.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="show this, or a stage's flags")
    parser.add_argument(
        "-f", dest="file", metavar="FILE", default="", help="the Python file with the stages"
    )
    parser.add_argument("--export", metavar="DEST", help="where directories and files are written")
    parser.add_argument(
        "--shard", metavar="I/N", help="run this part of N; `pipelines merge` puts them together"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="commands at a time (cores)")
    parser.add_argument("--engine", choices=("auto", "embedded", "dagger"), default="auto")
    parser.add_argument("--progress", choices=("auto", "plain", "json"), default="auto")
    parser.add_argument(
        "--locked",
        dest="lock",
        action="store_const",
        const="locked",
        default="use",
        help="demand that pipelines.lock has every tag",
    )
    parser.add_argument(
        "--proxy", action="store_true", help="keep Go modules near: each is fetched once"
    )
    parser.add_argument(
        "--cache",
        choices=("use", "verify", "off"),
        default="use",
        help="make everything anew: and compare it (verify), or not (off)",
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--fail-fast", dest="fail_fast", action="store_true", default=True)
    pace.add_argument(
        "--keep-going", dest="fail_fast", action="store_false", help="let the other stages end"
    )
    return parser

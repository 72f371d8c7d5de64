"""Find the command and run it.

Start-up is counted in milliseconds here, so arguments are read with argparse (a framework for
commands takes as long to import as a cached run takes in all), and a command's modules are imported
when it is chosen. `--help`, `session` and `cache` import no SDK.
"""

import importlib
import sys
from collections.abc import Sequence

from pipelines._errors import PipelineError

__all__ = ["main"]

COMMANDS = {
    "list": ("pipelines.cli.listing", "Show the stages of this repository and their flags."),
    "run": ("pipelines.cli.run", "Run stages."),
    "merge": (
        "pipelines.cli.merge",
        "Put what the shards of a run made together, with one report.",
    ),
    "explain": ("pipelines.cli.explain", "Say what the last run here ran, and why."),
    "lock": ("pipelines.cli.lock", "Write what tags stand for now to pipelines.lock."),
    "cache": ("pipelines.cli.cache", "Look after the store, and after caches that travel."),
    "proxy": ("pipelines.cli.proxy", "Keep Go modules near, and serve them in an outage."),
    "doctor": ("pipelines.cli.doctor", "Say what works on this machine, and what is missing."),
    "session": (
        "pipelines.engine.session",
        "Serve Dagger's session protocol, for any SDK program.",
    ),
}

HELP = """\
usage: pipelines COMMAND [OPTION…]

Run CI pipelines: Python functions over Dagger types, on an engine that needs no daemon.

commands:
{commands}

`pipelines COMMAND --help` says more. Exit codes: 0 ok, 1 a stage failed, 2 usage, 3 cancelled,
4 timeout, 5 no engine, 6 infrastructure, 7 cache integrity, 70 internal error.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        from importlib.metadata import version

        sys.stdout.write(f"pipelines {version('pipelines')}\n")
        return 0
    if argv[0] not in COMMANDS:
        from pipelines.cli.words import did_you_mean

        sys.stderr.write(
            f"error: there is no command {argv[0]!r}{did_you_mean(argv[0], COMMANDS)}; "
            f"commands: {', '.join(COMMANDS)}\n"
        )
        return 2
    return _dispatch(argv[0], argv[1:])


def _dispatch(command: str, argv: list[str]) -> int:
    try:
        code: int = importlib.import_module(COMMANDS[command][0]).main(argv)
    except PipelineError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return code


def _help() -> str:
    lines = (f"  {name:9}{text}" for name, (_, text) in COMMANDS.items())
    return HELP.format(commands="\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())

"""Dockerfiles as values: text in, stages of instructions out. No graph, no input or output.

    source        lines to statements: directives, comments, continuations, heredocs
    words         a statement's words, JSON form and flags
    expand        `$NAME`, `${NAME:-word}` and the rest of it
    instructions  what a Dockerfile is made of
    arguments     what an instruction is given: flags, lists, pairs
    parse         statements to instructions
    mounts        what `RUN --mount=` says
    ignore        .dockerignore

Every error says the file, the line and the text that is wrong (`errors.DockerfileError`).

Source: the Dockerfile reference, and BuildKit's `frontend/dockerfile` where that is silent.
"""

from pipelines.engine.dockerfile.ignore import ignore_patterns
from pipelines.engine.dockerfile.instructions import Dockerfile, Stage
from pipelines.engine.dockerfile.parse import parse, parse_one

__all__ = ["Dockerfile", "Stage", "ignore_patterns", "parse", "parse_one"]

"""`pipelines doctor dockerfile`: what is found, and that the better file has less of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cli.dockerfile.better import better
from pipelines.cli.dockerfile.findings import find
from pipelines.cli.main import main
from pipelines.engine.dockerfile import parse

NAIVE = """\
# The service.
FROM golang:1.26 AS build
WORKDIR /src
ADD . .
RUN go mod download
# Build it.
RUN CGO_ENABLED=0 GOOS=linux \\
    go build -a -installsuffix cgo -ldflags "-s -w" \\
    -o /service .
FROM scratch
COPY --from=build /service /service
"""
GOOD = """\
# syntax=docker/dockerfile:1
# The service.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# Build it.
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod \\
    --mount=type=cache,target=/root/.cache/go-build \\
    CGO_ENABLED=0 \\
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w" \\
    -o /service .
FROM scratch
COPY --from=build /service /service
"""


INHERITED = """\
ARG V=x
FROM --platform=$BUILDPLATFORM a:1 AS base-x
FROM base-$V AS b
RUN go build
FROM scratch
COPY --from=b /x /
"""
FIXED_TARGET = """\
FROM --platform=$BUILDPLATFORM a:1 AS b
ENV GOARCH=amd64
RUN go build
FROM scratch
COPY --from=b /x /
"""


def rules(text, ignored=True):
    return [(f.line, f.rule) for f in find(parse(text), ignored=ignored)]


def improved(text):
    return better(text, find(parse(text), ignored=True))


def test_everything_that_is_wrong_is_found_with_its_line():
    assert rules(NAIVE, ignored=False) == [
        (0, "no-dockerignore"), (2, "emulated-build"), (4, "add"), (4, "copy-before-download"),
        (7, "installsuffix"), (7, "no-cache-mounts"), (7, "rebuild-all"),
    ]  # fmt: skip


def test_the_better_file_is_the_good_one_and_the_good_one_stays():
    assert improved(NAIVE) == GOOD
    assert rules(GOOD) == []
    assert improved(GOOD) == GOOD


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("FROM golang:latest", "moving-base"),
        ("FROM golang", "moving-base"),
        ("FROM a:1\nARG NPM_TOKEN", "secret"),
        ("FROM a:1\nENV DB_PASSWORD=x", "secret"),
        ("FROM a:1\nRUN apt-get update && apt-get install -y git", "apt-lists"),
        ("FROM a:1\nRUN apt-get update", "apt-update-alone"),
        ("FROM a:1\nADD x /x", "add"),
        ("FROM a:1\nRUN go test ./...", "no-cache-mounts"),
        (FIXED_TARGET, "fixed-target"),
    ],
)
def test_each_check_finds_what_it_is_for(line, rule):
    assert rule in [found for _, found in rules(line)]


@pytest.mark.parametrize(
    "text",
    [
        "FROM golang:1.26@sha256:0\nFROM scratch\nFROM registry:5000/a:1",
        "ARG V\nFROM a:$V\nARG TOKENIZER=x KEY=y",
        "FROM a:1\nRUN apt-get update && apt-get install git && rm -rf /var/lib/apt/lists/*",
        "FROM a:1\nRUN --mount=type=cache,target=/var/lib/apt apt-get update && apt install git",
        "FROM a:1\nADD x.tar.gz /\nADD https://example.com/x /",
        "FROM a:1\nRUN echo go build -a\nCOPY . .",
        INHERITED,
    ],
)
def test_what_is_fine_is_not_complained_of(text):
    assert [r for _, r in rules(text) if r not in {"rebuild-all", "no-cache-mounts"}] == []


LINES = st.sampled_from(
    ["COPY . .", "COPY go.mod go.sum ./", "RUN go mod download", "RUN go build -a -o /x .",
     "RUN apt-get update && apt-get install -y git", "ADD . /src", "WORKDIR /src", "# comment", "",
     "ENV GOARCH=amd64", "RUN cd x && GOOS=linux go install -a ./... && go vet ."]
)  # fmt: skip
FIXED = {
    "copy-before-download", "rebuild-all", "installsuffix", "no-cache-mounts", "emulated-build",
    "apt-lists", "add",
}  # fmt: skip


@given(st.lists(LINES, max_size=8))
def test_the_better_file_is_a_dockerfile_without_what_can_be_mended(lines):
    text = "\n".join(["FROM golang:1.26 AS b", *lines, "FROM scratch", "COPY --from=b /x /x", ""])
    made = improved(text)
    assert not {rule for _, rule in rules(made)} & FIXED
    assert made.count("# comment") == lines.count("# comment")
    assert improved(made) == made


def test_the_command_prints_findings_and_the_better_file(tmp_path, capsys):
    (tmp_path / "Dockerfile").write_text(NAIVE)
    assert main(["doctor", "dockerfile", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"{tmp_path}/Dockerfile:4: `ADD . .` stands before the modules" in said
    assert "216 CPU-seconds" in said
    assert GOOD in said
    assert "a .dockerignore to begin with" in said
    assert (tmp_path / "Dockerfile").read_text() == NAIVE


def test_fix_writes_what_would_be_printed(tmp_path, capsys):
    (tmp_path / "Dockerfile").write_text(NAIVE)
    assert main(["doctor", "dockerfile", "--fix", str(tmp_path / "Dockerfile")]) == 1
    assert (tmp_path / "Dockerfile").read_text() == GOOD
    assert (tmp_path / ".dockerignore").read_text().startswith(".git\n")
    assert main(["doctor", "dockerfile", str(tmp_path)]) == 0
    assert "nothing found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "No such file"), ("FROM a\nRUNN b", "Dockerfile:2: unknown instruction RUNN")],
)
def test_what_can_not_be_read_is_a_usage_error(tmp_path, capsys, text, said):
    if text is not None:
        (tmp_path / "Dockerfile").write_text(text)
    assert main(["doctor", "dockerfile", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err

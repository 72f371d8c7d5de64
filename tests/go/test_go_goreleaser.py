"""A GoReleaser configuration as a matrix."""

import json

import pytest

from pipelines import SourceError, go
from pipelines.go._goreleaser import read
from tests.go.test_go_layers import made


def targets(text, **values):
    return read(text, "app", values)


def platforms(text):
    return [str(target.platform) for target in targets(text)]


def test_without_builds_the_defaults_count():
    assert platforms("version: 2\n") == [
        "linux/386", "linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64",
        "windows/386", "windows/amd64", "windows/arm64",
    ]  # fmt: skip
    [first, *_] = targets("project_name: tool\n")
    assert (first.id, first.main, first.binary) == ("tool", ".", "tool")
    assert first.ldflags == "-s -w -X main.builtBy=goreleaser"


def test_stamps_are_made_of_what_is_given():
    [first, *_] = targets("", Version="1.2.0", Commit="abc", Date="now")
    assert first.ldflags == (
        "-s -w -X main.version=1.2.0 -X main.commit=abc -X main.date=now -X main.builtBy=goreleaser"
    )


def test_variants_are_spelled_as_platforms_are():
    text = "builds: [{goos: [linux], goarch: [arm, amd64], goarm: [6, '7'], goamd64: [v1, v3]}]"
    assert platforms(text) == ["linux/arm/v6", "linux/arm/v7", "linux/amd64", "linux/amd64/v3"]


def test_ignored_cells_are_left_out_by_every_key_of_a_rule():
    text = """
builds:
  - goos: [linux, windows]
    goarch: [amd64, arm, arm64]
    goarm: [6, 7]
    ignore:
      - {goos: windows, goarch: arm64}
      - {goos: linux, goarch: arm, goarm: 7}
"""
    assert platforms(text) == ["linux/amd64", "linux/arm/v6", "linux/arm64", "windows/amd64"]


def test_targets_replace_the_product():
    text = "builds: [{targets: [linux_amd64_v1, darwin_arm64, linux_arm_7]}]"
    assert platforms(text) == ["linux/amd64", "darwin/arm64", "linux/arm/v7"]


def test_a_build_has_its_own_main_flags_and_directory():
    text = """
builds:
  - {id: skipped, skip: true}
  - {id: rusty, builder: rust}
  - id: cli
    main: ./cmd/cli
    binary: "{{ .ProjectName }}-cli"
    dir: sub
    goos: [linux]
    goarch: [amd64]
    flags: [-trimpath]
    tags: [netgo]
    env: [CGO_ENABLED=1]
    ldflags: ["-s", "-X 'main.v={{ .Version }}'"]
    hooks: {post: echo}
"""
    [only] = targets(text)
    assert (only.main, only.binary, only.options) == (
        "./cmd/cli",
        "app-cli",
        {"output": "app-cli", "ldflags": "-s", "tags": ("netgo",), "module": "sub",
         "trimpath": True, "cgo": True},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ldflags", "left"),
    [
        ("-s -w -X main.version={{ .Version }} -X main.by=me", "-s -w -X main.by=me"),
        ("-s -X=main.version={{ .Version }} -w", "-s -w"),
        ("-X 'main.v={{ .Version }} of {{ .Commit }}' -w", "-w"),
        ("-X main.v={{ .Env.VERSION }} -X main.os={{ .Os }}-{{.Arch}}", "-X main.os=linux-amd64"),
        ('-X main.date={{ time "2006" }} -w', "-w"),
    ],
)
def test_a_stamp_whose_value_is_not_given_is_left_out_however_it_is_written(ldflags, left):
    text = f"builds:\n- goos: [linux]\n  goarch: [amd64]\n  ldflags:\n    - {json.dumps(ldflags)}\n"
    assert targets(text)[0].ldflags == left


def test_templates_know_their_target():
    text = """
builds:
  - goos: [linux, windows]
    goarch: [amd64, arm]
    goarm: [7]
    binary: "app-{{ .Os }}-{{ .Arch }}{{ .Amd64 }}{{ .Arm }}{{ .Ext }}"
    tags: ["{{ .Target }}"]
"""
    assert [(one.binary, one.tags[0]) for one in targets(text)] == [
        ("app-linux-amd64v1", "linux_amd64_v1"),
        ("app-linux-arm7", "linux_arm_7"),
        ("app-windows-amd64v1.exe", "windows_amd64_v1"),
    ]


def test_variables_of_the_configuration_and_those_given_are_filled_in():
    text = "env: [A=-s, 'B={{ .Version }}']\nbuilds: [{ldflags: '{{ .Env.A }} {{ .Env.B }}'}]"
    assert read(text, "app", {"Env.B": "-w"})[0].ldflags == "-s -w"
    with pytest.raises(SourceError, match=r'pass values={"Env\.B": "…"}'):
        read(text, "app")


def test_flags_that_say_what_keys_say_are_read_as_go_reads_them():
    text = (
        "builds: [{goos: [linux], goarch: [amd64], flags: [-trimpath, '-ldflags=-s', '-tags=a,b']}]"
    )
    [only] = targets(text)
    assert (only.tags, only.trimpath) == (("a", "b"), True)
    assert only.ldflags == "-s -w -X main.builtBy=goreleaser"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("builds: [{gobinary: go1.2}]", "not understood: gobinary"),
        ("builds: [{flags: [-race]}]", "flags: not understood: -race"),
        ("builds: [{env: [CC=zig]}]", "env: not understood: CC=zig"),
        ("builds: [{ldflags: ['-s {{ .Env.X }}']}]", r"needs what is not given"),
        ("builds: [{binary: '{{ .Version }}'}]", r"needs what is not given"),
        ("builds: [{goarch: [arm], goos: [linux], goarm: [9]}]", "not a variant of arm: '9'"),
        ("builds: [{targets: [linux_z80]}]", "Go knows no 'linux_z80'"),
        ("builds: {a: 1}", "not a list"),
        ("builds: [", "is not YAML"),
        ("[1]", "a mapping is wanted"),
    ],
)
def test_what_is_not_understood_is_named(text, why):
    with pytest.raises(SourceError, match=why):
        targets(text)


def test_a_source_is_asked_for_its_configuration(monkeypatch):
    files = {
        "go.mod": "module example.com/tool\n\ngo 1.26\n",
        ".goreleaser.yml": "builds: [{goos: [linux], goarch: [amd64]}]\n",
    }
    [only], _ = made(monkeypatch, go.targets, files)
    assert (only.binary, str(only.platform)) == ("tool", "linux/amd64")
    with pytest.raises(SourceError, match=r"no GoReleaser configuration: \.goreleaser\.yaml"):
        made(monkeypatch, go.targets, {"go.mod": "module m\n"})

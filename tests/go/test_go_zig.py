"""cgo by Zig: what C is compiled for, and the layers that it adds to a build."""

import subprocess

import dagger
import pytest

from pipelines import InfrastructureError, Platform, PlatformError, UsageError, go
from pipelines.go._zig import AT_ROOT, _not_had, chosen, triple, variables
from tests.go.test_go_layers import chain


@pytest.mark.parametrize(
    ("platform", "zig", "wanted"),
    [
        ("linux/amd64", go.Zig(), "x86_64-linux-gnu.2.28"),
        ("linux/amd64", go.Zig(glibc="2.17"), "x86_64-linux-gnu.2.17"),
        ("linux/arm64", go.Zig(libc="musl"), "aarch64-linux-musl"),
        ("linux/arm", go.Zig(), "arm-linux-gnueabihf.2.28"),
        ("linux/arm/v5", go.Zig(libc="musl"), "arm-linux-musleabi"),
        ("linux/arm/v6", go.Zig(libc="musl"), "arm-linux-musleabihf"),
        ("linux/386", go.Zig(), "x86-linux-gnu.2.28"),
        ("windows/arm64", go.Zig(libc="musl"), "aarch64-windows-gnu"),
        ("darwin/arm64", go.Zig(sdk="an SDK"), "aarch64-macos"),
    ],
)
def test_a_platform_is_spelled_as_zig_does(platform, zig, wanted):
    assert triple(zig, Platform.parse(platform)) == wanted


@pytest.mark.parametrize(
    ("platform", "what"),
    [
        ("darwin/arm64", r"cgo for darwin/arm64 needs .* a macOS SDK.* cgo=go\.Zig\(sdk="),
        ("freebsd/amd64", "for linux .*; got freebsd/amd64: build without"),
        ("linux/mips", "got linux/mips"),
    ],
)
def test_a_platform_that_c_can_not_be_compiled_for_is_refused(platform, what):
    with pytest.raises(PlatformError, match=what):
        triple(go.Zig(), Platform.parse(platform))


def test_c_is_compiled_for_the_processor_that_go_compiles_for():
    assert "-mcpu" not in variables(go.Zig(), Platform("linux", "amd64"))["CC"]
    v3 = variables(go.Zig(), Platform("linux", "amd64", "v3"))
    assert v3["CC"].endswith("-target x86_64-linux-gnu.2.28 -mcpu=x86_64_v3")
    assert v3["CXX"] == v3["CC"].replace(" cc ", " c++ ")


@pytest.mark.parametrize(
    ("words", "at_root"),
    [
        ("-o /b/a.out /b/x.o -O2 -g -lm -L/lib -Wl,-z,now", True),
        ("-c x.c -o /b/x.o", False),
        ("-E -dM -", False),
        ("-o out /b/x.o", False),
        ("-oout /b/x.o", False),
        ("-o /b/a.out here.o", False),
        ("-o /b/a.out -Lhere -lm", False),
        ("-o /b/a.out -Lgone -lm gone.o", True),
        ("-o /b/a.out @here.o", False),
        ("-o /b/a.out -Wl,--version-script=here.o", False),
        ("-o /b/a.out -Wl,-T,here.o,-z,now", False),
    ],
)
def test_programs_are_linked_in_one_place_unless_files_are_named_from_here(
    words, at_root, tmp_path
):
    (tmp_path / "zig").write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    (tmp_path / "zig").chmod(0o755)
    (tmp_path / "here").mkdir()
    (tmp_path / "here.o").write_text("")
    script = AT_ROOT.replace("ZIG", str(tmp_path / "zig"))
    ran = subprocess.run(
        ["sh", "-c", script, "sh", "cc", *words.split()], cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    where, *given = ran.stdout.splitlines()
    assert given == ["cc", *words.split()]
    assert where == ("/" if at_root else str(tmp_path))


def test_wrong_choices_are_refused():
    for wrong in ("musl", "gcc", None):
        with pytest.raises(UsageError, match=r'cgo is False, True, "zig" or a go\.Zig'):
            chosen(wrong)
    with pytest.raises(UsageError, match=r"such as 2\.28; got '2\.28\.0'"):
        go.Zig(glibc="2.28.0")
    with pytest.raises(UsageError, match="libc is gnu or musl"):
        go.Zig(libc="uclibc")


def test_a_build_has_zig_its_caches_and_its_target(monkeypatch):
    calls = chain(monkeypatch, lambda s: go.build(s, Platform("linux", "arm64"), cgo="zig"))
    order = [
        "withExec(args=['go', 'mod', 'download'])",
        "name='CGO_ENABLED', value='1'",
        "<cacheVolume(key='go-build-1.26-linux-arm64-zig')>",
        "path='/usr/local/zig', source=<container.from(address='ziglang:0.15.2').directory(",
        "value='/usr/local/lib/zig-at-root cc -target aarch64-linux-gnu.2.28'",
        "<cacheVolume(key='zig-0.15.2-at-root')>",
        "withMountedTemp(path='/tmp/zig')",
        "withExec(args=['go', 'build'",
    ]
    positions = [calls.index(part) for part in order]
    assert positions == sorted(positions)


def variants(monkeypatch):
    """Everything that a build by Zig depends on, and the same without meaning."""
    arm, zig = Platform("linux", "arm64"), go.Zig
    cases = {
        "as it is": (arm, "zig"),
        "said": (arm, zig()),
        "version": (arm, zig(version="0.14.1")),
        "glibc": (arm, zig(glibc="2.17")),
        "libc": (arm, zig(libc="musl")),
        "platform": (Platform("linux", "amd64"), zig()),
        "off": (arm, False),
        "the image's": (arm, True),
    }
    return {
        name: chain(monkeypatch, lambda s, c=case: go.build(s, c[0], cgo=c[1]))
        for name, case in cases.items()
    }


def test_zig_and_the_target_are_in_the_key_of_a_build(monkeypatch):
    made = variants(monkeypatch)
    assert made.pop("said") == made["as it is"]
    assert len(set(made.values())) == len(made)


def test_a_zig_of_ones_own_is_asked_of_nobody(monkeypatch):
    async def build(source):
        zig = go.Zig(toolchain=dagger.dag.directory())
        return await go.build(source, Platform("linux", "arm64"), cgo=zig)

    calls = chain(monkeypatch, build)
    assert "ziglang" not in calls
    assert "path='/usr/local/zig', source=<directory" in calls


def test_a_zig_that_is_not_there_is_told_from_a_network_that_is_not_there():
    gone = "ERROR: No matching distribution found for ziglang==9.9.9"
    assert isinstance(_not_had("9.9.9", gone), UsageError)
    assert isinstance(_not_had("0.15.2", "connection refused"), InfrastructureError)

"""What is said of a machine: by trying, with what does not work and how to get it."""

import os
import stat

import pytest

from pipelines.engine.checkup import Check, look, remedy
from pipelines.engine.errors import SandboxError


@pytest.fixture
def machine(tmp_path):
    """An environment whose programs are those of one directory."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def add(machine, name):
    path = f"{machine['PATH']}/{name}"
    with open(path, "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(path, stat.S_IRWXU)


def found(machine, start=lambda: "root"):
    return {check.name: check for check in look(machine, start)}


def refuse():
    raise SandboxError("namespaces are off; switch them on")


def test_what_a_session_needs_is_tried(machine):
    session = found(machine)["session namespace"]
    assert (session.ok, session.needed, session.seen) == (True, True, "root")


def test_a_machine_without_namespaces_says_what_the_kernel_said(machine):
    session = found(machine, refuse)["session namespace"]
    assert (session.ok, session.needed) == (False, True)
    assert session.seen == "namespaces are off; switch them on"
    assert "overlayfs" not in found(machine, refuse)


def test_a_single_id_is_a_shortcoming_and_no_failure(machine):
    ids = found(machine, lambda: "single")["user ids"]
    assert (ids.ok, ids.needed, ids.package) == (False, False, "uidmap")


def test_overlayfs_is_tried_where_the_store_is(machine):
    overlay = found(machine)["overlayfs"]
    assert overlay.ok or "overlayfs is refused" in overlay.seen or "Permission" in overlay.seen
    assert os.path.isdir(f"{machine['XDG_CACHE_HOME']}/pipelines")
    assert os.listdir(f"{machine['XDG_CACHE_HOME']}/pipelines/leases") == []


def test_a_store_that_can_not_be_looked_at_is_named(machine):
    with open(machine["XDG_CACHE_HOME"], "w"):
        store = found(machine, refuse)["store"]
    assert (store.ok, store.needed) == (False, True)
    assert machine["XDG_CACHE_HOME"] in store.seen


def test_a_program_that_is_there_is_shown_with_its_place(machine):
    add(machine, "git")
    assert found(machine)["git"] == Check(
        *("git", True, f"{machine['PATH']}/git", False),
        *("git sources (`git(url)`, `Directory.asGit`)", "git"),
    )


MISSING = [
    Check("git", ok=False, seen="", package="git"),
    Check("ssh", ok=False, seen="", package="openssh-client"),
    Check("uids", ok=False, seen="", package="uidmap"),
    Check("there", ok=True, seen="", package="other"),
    Check("disk", ok=False, seen=""),
]


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("dnf", "dnf install -y git openssh-clients shadow-utils"),
        ("pacman", "pacman -S --noconfirm git openssh shadow"),
    ],
)
def test_one_command_gets_all_that_is_missing(machine, program, command):
    add(machine, program)
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert remedy(MISSING, machine["PATH"]) == sudo + command


def test_without_a_known_installer_the_names_are_said(machine):
    assert remedy(MISSING, machine["PATH"]).startswith("install git, openssh-client, uidmap (")
    assert remedy(MISSING[3:], machine["PATH"]) == ""

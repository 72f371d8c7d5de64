"""What the host's git is asked, and with what."""

import os
import shutil

import pytest

from pipelines.engine.sources.gitremote import Remotes

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_settings_are_listed_without_the_secrets_of_the_session(tmp_path):
    seen, program = tmp_path / "seen", tmp_path / "git"
    git = shutil.which("git")
    program.write_text(f'#!/bin/sh\n[ "$1" = config ] && env > {seen}\nexec {git} "$@"\n')
    program.chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_COUNT": "0",
        "TOKEN": "of the session",
    }
    await Remotes(tmp_path, environ).git()
    told = seen.read_text()
    assert f"HOME={tmp_path}" in told
    assert "GIT_CONFIG_COUNT=0" in told
    assert "TOKEN" not in told

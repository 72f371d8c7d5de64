"""Snippets for CIs: they parse, their settings exist, actions are pinned, the guide agrees."""

import re
from pathlib import Path

import pytest
import yaml

from pipelines.caches.settings import read
from pipelines.cli.cache import main
from pipelines.cli.snippets import SNIPPETS

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "ci-caches.md"


@pytest.mark.parametrize("ci", SNIPPETS)
def test_the_guide_shows_what_the_command_prints(ci, capsys):
    main(["snippet", ci])
    printed = capsys.readouterr().out
    assert printed == SNIPPETS[ci]
    assert f"```yaml\n{printed}```" in GUIDE.read_text()


@pytest.mark.parametrize("ci", SNIPPETS)
def test_a_snippet_switches_caches_on_with_settings_that_exist(ci):
    (job,) = (found := yaml.safe_load(SNIPPETS[ci])).get("jobs", found).values()
    steps = [job, *job.get("steps", [])]
    environ = {}
    for step in steps:
        environ |= step.get("env", {}) | step.get("variables", {})
    settings = read({}, environ, directory=Path("/project"))
    assert settings.place == Path("/project/.pipelines-cache")


def test_every_action_is_pinned_by_digest():
    uses = re.findall(r"uses: (\S+)", SNIPPETS["github"])
    assert len(uses) == 4
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each) for each in uses)

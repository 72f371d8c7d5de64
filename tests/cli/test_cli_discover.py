"""Finding stages."""

import sys

import pytest

from pipelines import UsageError
from pipelines.cli.discover import find, load, select, stages

CODE = '''
"""A pipeline."""
from os.path import join
from anyio import sleep

async def build(n: int = 1) -> str:
    """Build it.

    More.
    """

async def _hidden(): ...
def builder(): ...
async def test() -> str: ...
'''


@pytest.fixture(autouse=True)
def clean_imports():
    """Let a test's `ci` be its own: this repository has one, which other tests import."""

    def taken():
        return {n: m for n, m in sys.modules.items() if n.split(".")[0] in ("ci", "other", "pipe")}

    path, modules = list(sys.path), taken()
    for name in modules:
        del sys.modules[name]
    yield
    sys.path[:] = path
    for name in taken():
        del sys.modules[name]
    sys.modules.update(modules)


def loaded(tmp_path, code, file="ci.py"):
    (tmp_path / file).write_text(code)
    return load(*find(tmp_path))


def test_stages_are_the_public_coroutine_functions_defined_there(tmp_path):
    found = stages(loaded(tmp_path, CODE))
    assert list(found) == ["build", "test"]
    assert (found["build"].help, found["test"].help) == ("Build it.", "")


def test_all_says_otherwise(tmp_path):
    found = stages(loaded(tmp_path, CODE + "__all__ = ['sleep', 'build', 'join']\n"))
    assert list(found) == ["sleep", "build"]


def test_a_wrong_name_in_all_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="'nope'"):
        stages(loaded(tmp_path, "__all__ = ['nope']\n"))


def test_the_configuration_comes_first_then_ci_py(tmp_path):
    (tmp_path / "ci.py").write_text("")
    assert find(tmp_path)[1] == "ci"
    (tmp_path / "pyproject.toml").write_text("[tool.pipelines]\nmodule = 'other'\n")
    assert find(tmp_path)[1] == "other"


def test_a_package_is_found(tmp_path):
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "__init__.py").write_text(CODE)
    assert list(stages(load(*find(tmp_path)))) == ["build", "test"]


def test_a_file_can_be_named(tmp_path):
    (tmp_path / "pipe.py").write_text(CODE)
    assert list(stages(load(*find(tmp_path, str(tmp_path / "pipe.py"))))) == ["build", "test"]


def test_nothing_to_find_says_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match=r"no ci\.py.*-f FILE"):
        find(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        find(tmp_path, "none.py")
    (tmp_path / "pyproject.toml").write_text("[tool.pipelines\n")
    with pytest.raises(UsageError, match="cannot read"):
        find(tmp_path)


def test_an_error_in_the_module_is_shown_with_its_line(tmp_path):
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, "x = 1\nraise KeyError('deep')\n")
    assert "line 2" in str(caught.value)
    assert "KeyError: 'deep'" in str(caught.value)
    assert "discover.py" not in str(caught.value)


def test_loading_leaves_nothing_in_the_source_directory(tmp_path):
    loaded(tmp_path, CODE)
    assert [path.name for path in tmp_path.iterdir()] == ["ci.py"]


def test_a_wrong_stage_name_gets_a_suggestion(tmp_path):
    found = stages(loaded(tmp_path, CODE))
    with pytest.raises(UsageError, match="'biuld', did you mean build"):
        select(found, ["biuld"])
    assert [stage.name for stage in select(found, ["test", "build", "test"])] == ["test", "build"]

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = "import pytest\n@pytest.mark.sandbox\ndef test_a(): pytest.skip('no namespaces here')\n"
PASSED = "@pytest.mark.sandbox\ndef test_b(): pass\n"
PLAIN = "def test_c(): pass\n"


def outcome(directory: Path, text: str, *flags: str) -> tuple[int, str]:
    (directory / "test_it.py").write_text(text)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = sandbox: x\n")
    command = [sys.executable, "-m", "pytest", "-p", "ci.sandbox_ran", "-q", *flags]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True)
    return ran.returncode, ran.stdout


def test_a_run_whose_sandbox_tests_all_skipped_fails_and_says_why(tmp_path):
    code, printed = outcome(tmp_path, SKIPPED + PLAIN)
    assert code == 1
    assert "not one sandbox test ran" in printed
    assert "no namespaces here" in printed


def test_one_that_ran_is_enough(tmp_path):
    assert outcome(tmp_path, SKIPPED + PASSED)[0] == 0


def test_a_narrowed_run_is_not_held_to_it(tmp_path):
    assert outcome(tmp_path, SKIPPED + PLAIN, "-k", "test_a or test_c")[0] == 0


def test_a_run_without_sandbox_tests_is_not_held_to_it(tmp_path):
    assert outcome(tmp_path, PLAIN)[0] == 0


def test_several_processes_are_one_run(tmp_path):
    (tmp_path / "test_more.py").write_text("import pytest\n" + PASSED + PLAIN)
    assert outcome(tmp_path, SKIPPED + PLAIN, "-n", "2", "--dist", "loadfile")[0] == 0
    (tmp_path / "test_more.py").unlink()
    code, printed = outcome(tmp_path, SKIPPED + PLAIN, "-n", "2", "--dist", "loadfile")
    assert code == 1
    assert "no namespaces here" in printed

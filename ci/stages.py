"""Our own pipeline, written with the library: lint, types, test, docs, wheel.

The stages run on a `debian:bookworm` image, whose Python 3.11 is the oldest that we support. The
embedded engine makes that image with mmdebstrap, which has to be installed. Each stage is also a
plain command that needs no image: `make lint`, `make types`, and so on.
"""

from dagger import Container, Directory, dag

from pipelines import Cache, gather, mount, stage

__all__ = ["check", "docs", "lint", "test", "types", "wheel"]

IMAGE = "debian:bookworm"
APT = "apt-get update -qq && apt-get install -y -qq --no-install-recommends"
PACKAGES = "git make python3-venv"
WHEELS = Cache("ci-pip", "/root/.cache/pip")
PYTHON = "/venv/bin/python"
LOCK = "/locks/requirements/dev.txt"


def env(source: Directory) -> Container:
    """Give a container with the locked tools, then the source: an edit reinstalls nothing."""
    locks = source.filter(include=["requirements/*.txt"])
    install = f"{PYTHON} -m pip install -q --require-hashes --only-binary :all: -r {LOCK}"
    return (
        dag.container()
        .from_(IMAGE)
        .with_exec(["sh", "-c", f"{APT} {PACKAGES} && rm -rf /var/lib/apt/lists"])
        .with_(mount(WHEELS))
        .with_directory("/locks", locks)
        .with_exec(["sh", "-c", f"python3 -m venv /venv && {install}"])
        .with_directory("/src", source.without_directory(".git"))
        .with_workdir("/src")
        .with_env_variable("PYTHONPATH", "/src")
    )


@stage(timeout=600)
async def lint(source: Directory) -> str:
    """Check style and formatting."""
    checked = env(source).with_exec([PYTHON, "-m", "ruff", "check", "."])
    return await checked.with_exec([PYTHON, "-m", "ruff", "format", "--check", "."]).stdout()


@stage(timeout=600)
async def types(source: Directory) -> str:
    """Check types."""
    return await env(source).with_exec([PYTHON, "-m", "mypy"]).stdout()


@stage(timeout=1200)
async def test(source: Directory) -> str:
    """Run the tests that need no sandbox of their own: a sandbox gives no namespaces away."""
    plain = "not sandbox and not e2e and not network and not root"
    return await env(source).with_exec([PYTHON, "-m", "pytest", "-q", "-m", plain]).stdout()


@stage(timeout=600)
async def docs(source: Directory) -> str:
    """Check the documentation: links and names."""
    return (
        await env(source).with_exec([PYTHON, "-m", "pytest", "-q", "tests/test_docs.py"]).stdout()
    )


@stage(timeout=600)
async def wheel(source: Directory) -> Directory:
    """Build the wheel."""
    built = env(source).with_exec([PYTHON, "-m", "hatchling", "build", "-t", "wheel", "-d", "/out"])
    return built.directory("/out")


async def check(source: Directory) -> None:
    """Run every check."""
    await gather(
        {"lint": lint(source), "types": types(source), "test": test(source), "docs": docs(source)}
    )

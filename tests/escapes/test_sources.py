"""Sources that name what is not theirs: trees of git repositories, names in addresses."""

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagger
import pytest

from tests.escapes.test_paths_of_images import outcome

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

Tree = list[tuple[str, str, object]]


class Repository:
    """A bare repository whose one commit has any tree, as git itself would never make it."""

    def __init__(self, at, guard) -> None:
        self.at = at
        at.mkdir()
        self.git("init", "-q", "--bare")
        self.blobs = {
            "blob": self.git("hash-object", "-w", "--stdin", given=b"new"),
            "link": self.git("hash-object", "-w", "--stdin", given=str(guard).encode()),
        }

    def git(self, *arguments: str, given: bytes = b"") -> str:
        environment = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null"}
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *who, *arguments]
        done = subprocess.run(
            command, cwd=self.at, input=given, env=environment, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def tree(self, entries: Tree) -> str:
        body = b""
        for mode, name, what in entries:
            digest = self.tree(what) if isinstance(what, list) else self.blobs[what]
            body += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(digest)
        return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=body)

    def commit(self, entries: Tree) -> None:
        made = self.git("commit-tree", self.tree(entries), "-m", "x")
        self.git("update-ref", "refs/heads/main", made)


FILE, LINK, DIR = "100644", "120000", "40000"
TREES = {
    "a directory named ..": [(DIR, "..", [(FILE, "x", "blob")])],
    "a name with a slash": [(FILE, "../x", "blob")],
    "an absolute name": [(FILE, "{guard}/new", "blob")],
    "a link, and a directory of the same name": [
        (LINK, "l", "link"),
        (DIR, "l", [(FILE, "new", "blob")]),
    ],
    "a link to the host": [(LINK, "l", "link")],
    "hooks": [(DIR, ".git", [(DIR, "hooks", [(FILE, "post-checkout", "blob")])])],
    "a file named .git": [(FILE, ".git", "blob")],
    "no name": [(FILE, "", "blob")],
    "the name .": [(FILE, ".", "blob")],
}


async def test_no_tree_of_a_repository_leaves_its_directory(dag, guard, tmp_path):
    for number, (name, entries) in enumerate(TREES.items()):
        repository = Repository(tmp_path / f"r{number}", guard)
        repository.commit([(m, n.format(guard=guard), what) for m, n, what in entries])
        tree = dag.git(f"file://{repository.at}").branch("main").tree(discard_git_dir=True)
        said = await outcome(tree.glob("**"))
        assert said.startswith("error: ") is ("link" not in name), name
        assert (await outcome(tree.file("l/canary").contents())).startswith("error: ")
        await outcome(tree.export(str(tmp_path / f"out{number}")))
        assert not (tmp_path / "x").exists()
        guard.check()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.send_header("Content-Disposition", 'attachment; filename="../../named"')
        self.end_headers()
        self.wfile.write(b"new")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/..", "/%2e%2e/%2e%2e/x", "/a/..%2f..%2fx", "/"])
async def test_a_download_is_named_by_one_name(dag, guard, server, tmp_path, path):
    file = dag.http(f"{server}{path}")
    out = tmp_path / "out"
    out.mkdir()
    said = await outcome(file.export(str(out), allow_parent_dir_path=True))
    assert said.startswith("error: ") or len(os.listdir(out)) == 1
    assert sorted(os.listdir(tmp_path)) == ["cache", "guarded", "out"]


async def test_a_name_that_is_given_is_one_name(dag, guard, server):
    for name in ("../x", "a/b", "..", ""):
        try:
            made = await dag.http(server + "/ok", name=name).name()
        except dagger.QueryError:
            continue
        assert "/" not in made
        assert made not in {"", ".", ".."}

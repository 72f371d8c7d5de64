"""Checks that build programs of others: licences; if asked, govulncheck and golangci-lint.

These two take minutes to build, so they run with PIPELINES_TEST_PROGRAMS=1. The weak module and its
vulnerability are invented, vendored and in a database of our own: nothing is asked of the network
but the modules of the programs.
"""

import json
import os

import pytest

from pipelines import StageFailed, connect, go

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

LONG = pytest.mark.skipif(
    not os.environ.get("PIPELINES_TEST_PROGRAMS"),
    reason="builds golangci-lint or govulncheck, which takes minutes; PIPELINES_TEST_PROGRAMS=1",
)
ISC = (
    "Copyright (c) 2026 Nobody\n\nPermission to use, copy, modify, and/or distribute this software "
    "for any purpose with or without fee is hereby granted, provided that the above copyright "
    "notice and this permission notice appear in all copies.\n\n"
    'THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS '
    "SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL "
    "THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY "
    "DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF "
    "CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE "
    "OR PERFORMANCE OF THIS SOFTWARE.\n"
)
MODULE = {
    "go.mod": "module example.com/app\n\ngo {version}\n\nrequire example.com/weak v1.0.0\n",
    "main.go": (
        'package main\n\nimport "example.com/weak"\n\nfunc main() { println(weak.Parse("x")) }\n'
    ),
    "vendor/modules.txt": "# example.com/weak v1.0.0\n## explicit\nexample.com/weak\n",
    "vendor/example.com/weak/weak.go": (
        "package weak\n\n// Parse is weak.\nfunc Parse(s string) int { return len(s) }\n"
    ),
    "vendor/example.com/weak/LICENSE": ISC,
}
WEAK = {
    "schema_version": "1.3.1",
    "id": "GO-2026-9999",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "Invented",
    "details": "Invented.",
    "database_specific": {"url": "https://example.invalid/GO-2026-9999"},
    "affected": [{
        "package": {"name": "example.com/weak", "ecosystem": "Go"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.1.0"}]}],
        "ecosystem_specific": {"imports": [{"path": "example.com/weak", "symbols": ["Parse"]}]},
    }],
}  # fmt: skip


@pytest.fixture
def database(tmp_path):
    """A vulnerability database in files, as govulncheck reads them."""
    root = tmp_path / "database"
    stamp = {"modified": WEAK["modified"]}
    one = {"id": WEAK["id"], "fixed": "1.1.0"} | stamp
    documents = {
        "index/db.json": stamp,
        "index/modules.json": [{"path": "example.com/weak", "vulns": [one]}],
        f"ID/{WEAK['id']}.json": WEAK,
    }
    for name, document in documents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(document))
    return root


async def test_licences_are_found_judged_and_collected(source):
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        made = await go.licenses(tree)
        assert (
            "\nexample.com/weak,v1.0.0,ISC,LICENSE\n" in await made.file("licenses.csv").contents()
        )
        kept = made.file("notices/example.com/weak@v1.0.0/LICENSE")
        assert await kept.contents() == ISC
        with pytest.raises(go.LicensesRefused, match=r"weak@v1\.0\.0: ISC is denied") as caught:
            await go.licenses(tree, deny=["ISC"])
        assert "licenses.json" in await caught.value.outputs.entries()
        assert caught.value.exit_code == 1


@LONG
async def test_a_vulnerability_that_is_reached_is_told_with_its_place(source, database):
    async with connect(engine="embedded") as dag:
        known = dag.host().directory(str(database))
        with pytest.raises(StageFailed, match=r"GO-2026-9999[^\0]*main\.go:5:\d+: .*weak\.Parse"):
            await go.vulncheck(dag.host().directory(str(source)), database=known)
    (source / "main.go").write_text("package main\n\nfunc main() {}\n")
    async with connect(engine="embedded") as dag:
        known = dag.host().directory(str(database))
        said = await go.vulncheck(dag.host().directory(str(source)), database=known)
    assert "No vulnerabilities found" in said


@LONG
async def test_a_finding_of_golangci_lint_has_its_place(source):
    (source / "main.go").write_text(
        'package main\n\nimport "os"\n\nfunc main() {\n\tos.Remove("x")\n}\n'
    )
    async with connect(engine="embedded") as dag:
        with pytest.raises(StageFailed, match=r"main\.go:6:\d+: .*os\.Remove.*errcheck"):
            await go.lint(dag.host().directory(str(source)))

"""Paths of the module proxy protocol, GOPROXY, and the hashes of go.sum."""

import zipfile

import pytest

from pipelines._errors import UsageError
from pipelines.proxy.protocol import parse
from pipelines.proxy.sums import Refused, check, mod_sum, read_sums, zip_sum
from pipelines.proxy.upstream import Chain, configured, split


@pytest.mark.parametrize(
    ("target", "kind", "module", "version", "constant"),
    [
        ("/example.com/a/@v/list", "list", "example.com/a", "", False),
        ("/example.com/a/@latest", "latest", "example.com/a", "", False),
        ("/example.com/a/@v/v1.2.3.info", "info", "example.com/a", "v1.2.3", True),
        ("/example.com/a/@v/main.info", "info", "example.com/a", "main", False),
        ("/example.com/%21big/@v/v1.0.0-!r!c1.mod", "mod", "example.com/Big", "v1.0.0-RC1", True),
        ("/a.b/c/v2/@v/v2.0.0+incompatible.zip", "zip", "a.b/c/v2", "v2.0.0+incompatible", True),
        ("/sumdb/sum.example/supported", "sums", "", "", False),
        ("/sumdb/sum.example/lookup/example.com/a@v1.0.0", "sums", "", "", True),
        ("/sumdb/sum.example/tile/8/0/x001/234", "sums", "", "", True),
    ],
)
def test_a_path_says_what_it_is_for(target, kind, module, version, constant):
    found = parse(target)
    assert (found.kind, found.module, found.version, found.constant) == (
        kind, module, version, constant,
    )  # fmt: skip


STRANGE = [
    "/",
    "/x",
    "/../etc/passwd/@v/list",
    "/a//b/@v/list",
    "/a/@v/main.zip",
    "/a/@v/v1.0.0.exe",
    "/a/@v/x/y.info",
    "/@v/list",
    "/a%252e/@v/list",
    "/%2e%2e/a/@v/list",
    "/sumdb/x/other",
    "/" + "a/" * 600 + "@latest",
]


@pytest.mark.parametrize("target", STRANGE)
def test_other_paths_are_nobodys(target):
    assert parse(target) is None


@pytest.mark.parametrize(
    ("goproxy", "urls", "rest"),
    [
        ("https://one", (("https://one", False),), ""),
        ("https://one/,direct", (("https://one", False),), ",direct"),
        ("https://one|https://two|off", (("https://one", True), ("https://two", True)), "|off"),
        ("https://one,https://two", (("https://one", False), ("https://two", False)), ""),
        ("file:///x,https://two,direct", (("file:///x", False), ("https://two", False)), ",direct"),
    ],
)
def test_goproxy_is_a_chain_and_the_rest_is_the_clients(goproxy, urls, rest):
    assert split(goproxy) == Chain(urls, rest)


@pytest.mark.parametrize("goproxy", ["direct", "off", "", "direct,https://one"])
def test_a_chain_without_a_server_is_a_usage_error(goproxy):
    with pytest.raises(UsageError, match="names no server"):
        split(goproxy)


def test_a_machine_that_does_not_say_where_modules_come_from_is_told_how():
    with pytest.raises(UsageError, match="set GOPROXY"):
        configured({"PATH": "/nonexistent"})


def module(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_zip_has_the_hash_that_go_computes(tmp_path):
    files = {
        "example.com/a@v1.0.0/go.mod": "module example.com/a\n",
        "example.com/a@v1.0.0/a.go": "",
    }
    made = zip_sum(module(tmp_path / "a.zip", files), "example.com/a@v1.0.0/")
    again = zip_sum(
        module(tmp_path / "b.zip", dict(reversed(files.items()))), "example.com/a@v1.0.0/"
    )
    assert made == again
    assert made.startswith("h1:")


def test_go_sum_is_read_and_held_to(tmp_path):
    content = b"module example.com/a\n"
    (tmp_path / "go.sum").write_text(
        f"example.com/a v1.0.0/go.mod {mod_sum(content)}\nnonsense\nexample.com/b v1 h2:x\n"
    )
    sums = read_sums([tmp_path / "go.sum"])
    wanted = parse("/example.com/a/@v/v1.0.0.mod")
    (tmp_path / "mod").write_bytes(content)
    check(wanted, tmp_path / "mod", sums)
    (tmp_path / "mod").write_bytes(content + b"// more\n")
    with pytest.raises(Refused, match=r"go\.sum has h1:"):
        check(wanted, tmp_path / "mod", sums)


def test_a_zip_of_another_module_is_refused(tmp_path):
    path = module(tmp_path / "a.zip", {"example.com/evil@v1.0.0/a.go": "x"})
    with pytest.raises(Refused, match="has an entry"):
        zip_sum(path, "example.com/a@v1.0.0/")


@pytest.mark.parametrize("cut", [10, 60, 120])
def test_a_damaged_zip_is_refused(tmp_path, cut):
    path = module(tmp_path / "a.zip", {"m@v1.0.0/a.go": "x" * 100})
    content = bytearray(path.read_bytes())
    content[cut] ^= 0xFF
    path.write_bytes(content if cut == 60 else content[:cut])
    with pytest.raises(Refused, match="damaged"):
        zip_sum(path, "m@v1.0.0/")

"""Every kind of mutation: small functions that change a `Site`."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from ci.mutate.site import Impossible, Site
from ci.mutate.trees import Node

__all__ = ["KINDS", "QUIET"]

Kind = Callable[[Site], None]
_DOCUMENT = (".md", "LICENSE", "COPYING", "AUTHORS", ".yml", ".yaml", ".gitignore")


def constant(site: Site) -> None:
    """Change a number in a Go file."""
    name = site.choose(site.sources())
    site.swap(name, r"\b[1-9]\d?\b(?!\.)", lambda found: str(int(found[0]) + 1))


def string(site: Site) -> None:
    """Change a text in a Go file."""
    name = site.choose(site.sources())
    site.swap(name, r'"[a-z][a-z %]+"', lambda found: found[0][:-1] + f'{site.word}"')


def statement(site: Site) -> None:
    """Add code that runs."""
    name, word = site.choose(site.sources()), site.word
    site.append(
        name,
        f'\nvar {word} bool\n\nfunc init() {{\n\tif {word} {{\n\t\tprintln("{word}")\n\t}}\n}}\n',
    )


def comment(site: Site) -> None:
    """Add a comment."""
    site.append(site.choose(site.sources()), f"\n// {site.word} says nothing.\n")


def whitespace(site: Site) -> None:
    """Add empty lines after the package clause."""
    name = site.choose(site.sources())
    site.swap(name, r"(?m)^package .*$", lambda found: found[0] + "\n" * site.rng.randint(1, 5))


def broken(site: Site) -> None:
    """Break compilation."""
    site.append(site.choose(site.sources()), f"\nvar _ = {site.word}\n")


def unformatted(site: Site) -> None:
    """Break syntax."""
    site.append(site.choose(site.sources()), "\nfunc {\n")


def failing(site: Site) -> None:
    """Add a test that fails."""
    name, word = site.choose(site.sources(tests=True)), site.word
    if '"testing"' not in site.files[name].text:
        raise Impossible
    site.append(name, f'\nfunc Test{word.title()}(t *testing.T) {{ t.Fatal("{word}") }}\n')


def passing(site: Site) -> None:
    """Add a test that passes."""
    name, word = site.choose(site.sources(tests=True)), site.word
    if '"testing"' not in site.files[name].text:
        raise Impossible
    site.append(name, f'\nfunc Test{word.title()}(t *testing.T) {{ t.Log("{word}") }}\n')


def test_text(site: Site) -> None:
    """Change a text or a number in a test file."""
    name = site.choose(site.sources(tests=True))
    site.swap(name, r'"[a-z][a-z %]+"|\b[1-9]\d?\b', lambda f: (
        str(int(f[0]) + 1) if f[0].isdigit() else f[0][:-1] + f'{site.word}"'))  # fmt: skip


def add_file(site: Site) -> None:
    """Add a file to a package."""
    beside, word = site.choose(site.sources()), site.word
    name = posixpath.join(posixpath.dirname(beside), f"{word}.go")
    site.put(name, f'package {site.clause(beside)}\n\nfunc init() {{ _ = "{word}" }}\n')


def add_test(site: Site) -> None:
    """Add a test file to a package, which may be its first."""
    beside, word = site.choose(site.sources()), site.word
    name = posixpath.join(posixpath.dirname(beside), f"{word}_test.go")
    head = f'package {site.clause(beside)}\n\nimport "testing"\n\n'
    site.put(name, f"{head}func Test{word.title()}(t *testing.T) {{}}\n")


def remove_file(site: Site) -> None:
    """Remove a Go file."""
    del site.files[site.choose([*site.sources(), *site.sources(tests=True)])]


def rename_file(site: Site) -> None:
    """Rename a Go file within its package."""
    name = site.choose([*site.sources(), *site.sources(tests=True)])
    ending = "_test.go" if name.endswith("_test.go") else ".go"
    site.rename(name, posixpath.join(posixpath.dirname(name), f"{site.word}{ending}"))


def move_file(site: Site) -> None:
    """Move a Go file to another package."""
    name = site.choose(site.sources())
    site.rename(name, posixpath.join(site.choose(site.packages()), posixpath.basename(name)))


def build_tag(site: Site) -> None:
    """Put a constraint before a Go file."""
    name = site.choose(site.sources())
    tag = site.choose(
        ["linux", "windows", "!windows", "ignore", "never", "never || amd64", "!never"]
    )
    site.put(name, f"//go:build {tag}\n\n{site.files[name].text}")


def platform_name(site: Site) -> None:
    """Rename a file so that it belongs to a platform, or no longer does."""
    name = site.choose(site.sources())
    stem = name.removesuffix(".go")
    bare = re.sub(r"_(linux|windows|amd64|arm64|unix)$", "", stem)
    ending = site.choose(["_linux", "_windows", "_amd64", "_arm64", "_windows_amd64", "_unix"])
    site.rename(name, (f"{stem}{ending}" if bare == stem else bare) + ".go")


def misplaced_tag(site: Site) -> None:
    """Put a constraint where `go vet` refuses it, in a file of another platform."""
    beside = site.choose(site.sources())
    name = posixpath.join(posixpath.dirname(beside), f"{site.word}_plan9.go")
    site.put(name, f"package {site.clause(beside)}\n\n//go:build plan9\n\nvar _ = 1\n")


def unloadable_test(site: Site) -> None:
    """Spoil the top of a test file, which Go reads in builds too."""
    name = site.choose(site.sources(tests=True))
    text = site.files[name].text
    other = re.sub(r"(?m)^package .*$", f"package {site.word}", text)
    twice = f"//go:build linux\n//go:build !windows\n\n{text}"
    site.put(name, site.choose(["", other, twice, f"//go:build linux &&\n\n{text}"]))


def hidden_file(site: Site) -> None:
    """Add a file that Go passes over."""
    place = site.choose(site.packages())
    base = site.choose([f"_{site.word}.go", f".{site.word}.go", f"{site.word}.txt"])
    site.put(
        posixpath.join(place, base), site.choose(["package x {", "nothing\n", "package main\n"])
    )


def assembly(site: Site) -> None:
    """Change an assembly file: a comment, or an instruction more."""
    name = site.choose(site.names(lambda n: n.endswith(".s") and "testdata" not in n))
    if site.rng.random() < 0.4:
        site.append(name, f"// {site.word}\n")
    else:
        site.swap(name, r"(?m)^\s+RET\b.*$", lambda found: f"\n\tNOP\n{found[0]}")


def embedded(site: Site) -> list[str]:
    """List files that `//go:embed` lines name."""
    found = []
    for name in site.sources():
        for line in re.findall(r"^\s*//go:embed\s+(.*)$", site.files[name].text, re.MULTILINE):
            for pattern in line.split():
                at = posixpath.normpath(posixpath.join(posixpath.dirname(name), pattern.strip('"')))
                at = at.replace("all:", "").partition("*")[0].rstrip("/")
                found += site.names(lambda n, at=at: n == at or n.startswith(f"{at}/"))  # type: ignore[misc]
    return found


def embed_edit(site: Site) -> None:
    """Change an embedded file."""
    site.append(site.choose(embedded(site)), f"# {site.word}\n")


def embed_add(site: Site) -> None:
    """Add a file beside an embedded one, or take one away."""
    name = site.choose(embedded(site))
    if site.rng.random() < 0.5:
        del site.files[name]
    else:
        site.put(posixpath.join(posixpath.dirname(name), f"{site.word}.txt"), "more\n")


def embed_new(site: Site) -> None:
    """Embed a directory where nothing was embedded."""
    beside, word = site.choose(site.sources()), site.word
    place = posixpath.dirname(beside)
    head = f'package {site.clause(beside)}\n\nimport "embed"\n\n'
    site.put(
        posixpath.join(place, f"{word}.go"), f"{head}//go:embed {word}/*.txt\nvar {word} embed.FS\n"
    )
    site.put(posixpath.join(place, word, "a.txt"), f"{word}\n")


def _testdata(site: Site) -> list[str]:
    return site.names(lambda n: "testdata/" in n)


def testdata_edit(site: Site) -> None:
    """Change a file of testdata."""
    site.append(site.choose(_testdata(site)), f"# {site.word}\n")


def testdata_add(site: Site) -> None:
    """Add a file to testdata, or take one away."""
    name = site.choose(_testdata(site))
    if site.rng.random() < 0.5:
        del site.files[name]
    else:
        ending = posixpath.splitext(name)[1]
        site.put(
            posixpath.join(posixpath.dirname(name), f"{site.word}{ending}"), site.files[name].data
        )


def testdata_swap(site: Site) -> None:
    """Swap two files of one size: names, sizes and times say nothing."""
    by_size: dict[int, list[str]] = {}
    for name in _testdata(site):
        by_size.setdefault(len(site.files[name].data), []).append(name)
    one, *others = site.choose([names for names in by_size.values() if len(names) > 1])
    others = [n for n in others if site.files[n] != site.files[one]]
    other = site.choose(others)
    site.files[one], site.files[other] = site.files[other], site.files[one]


def golden(site: Site) -> None:
    """Add a test that reads a file of testdata and demands what is in it."""
    beside, word = site.choose(site.sources()), site.word
    place = posixpath.dirname(beside)
    head = f'package {site.clause(beside)}\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
    body = (
        f"func Test{word.title()}(t *testing.T) {{\n"
        f'\tfor name, want := range map[string]string{{"a": "1", "b": "2"}} {{\n'
        f'\t\tif got, err := os.ReadFile("testdata/{word}/" + name); string(got) != want {{\n'
        "\t\t\tt.Fatal(name, string(got), err)\n\t\t}\n\t}\n}\n"
    )
    site.put(posixpath.join(place, f"{word}_test.go"), head + body)
    for name, text in (("a", "1"), ("b", "2")):
        site.put(posixpath.join(place, "testdata", word, name), text)


def golden_edit(site: Site) -> None:
    """Change what such a test reads, to something of the same size."""
    name = site.choose(
        site.names(lambda n: re.search(r"testdata/m[0-9a-f]{10}/[ab]$", n) is not None)
    )
    site.put(name, str((int(site.files[name].text) + 1) % 10))
    site.same_times = site.rng.random() < 0.5


def same_times(site: Site) -> None:
    """Change a Go file, and leave its size and its times as they were."""
    name = site.choose([*site.sources(), *site.sources(tests=True)])
    site.swap(name, r"\b[1-8]\b(?!\.)", lambda found: str(int(found[0]) + 1))
    site.same_times = True


def touch(site: Site) -> None:
    """Give files new times."""
    names = sorted(site.files)
    site.touched = tuple(site.rng.sample(names, min(len(names), 20)))


def mode(site: Site) -> None:
    """Make a file executable, or no longer."""
    name = site.choose(
        [*site.sources(), *_testdata(site), *site.names(lambda n: n.endswith(".md"))]
    )
    node = site.files[name]
    site.files[name] = replace(node, mode=node.mode ^ 0o111)


def link(site: Site) -> None:
    """Add a symbolic link in testdata to a file beside it, or elsewhere."""
    name = site.choose(_testdata(site))
    place = posixpath.dirname(name)
    target = site.choose([name, *_testdata(site), *site.names(lambda n: n.endswith(".md"))])
    to = posixpath.relpath(target, place)
    site.files[posixpath.join(place, f"{site.word}.txt")] = Node(b"", 0o777, to)


def retarget(site: Site) -> None:
    """Point a symbolic link elsewhere."""
    links = sorted(n for n, node in site.files.items() if node.link and "testdata/" in n)
    name = site.choose(links)
    target = site.choose(site.names(lambda n: n.startswith(posixpath.dirname(name) + "/")))
    to = posixpath.relpath(target, posixpath.dirname(name))
    site.files[name] = Node(b"", 0o777, to)


def document(site: Site) -> None:
    """Change a document or a file that no Go command reads."""
    name = site.choose(site.names(lambda n: n.endswith(_DOCUMENT) and "testdata" not in n))
    site.append(name, f"{site.word}\n")


def new_document(site: Site) -> None:
    """Add a document somewhere."""
    site.put(posixpath.join(site.choose(["", "docs", *site.packages()]), f"{site.word}.md"), "#\n")


def mod_comment(site: Site) -> None:
    """Add a comment to go.mod."""
    site.append("go.mod", f"\n// {site.word}\n")


def mod_line(site: Site) -> None:
    """Change the go line of go.mod."""
    site.swap("go.mod", r"(?m)^go \S+", lambda f: site.choose(
        [v for v in ("go 1.24.0", "go 1.25.0", "go 1.26.0") if v != f[0]]))  # fmt: skip


def mod_replace(site: Site) -> None:
    """Add a module below the source, replace a path by it, and import it."""
    name, word = site.choose(site.sources()), site.word
    path = f"example.com/{word}"
    site.put(f"third/{word}/go.mod", f"module {path}\n\ngo 1.17\n")
    site.put(f"third/{word}/{word}.go", f"package {word}\n\nconst Answer = 42\n")
    site.append("go.mod", f"\nrequire {path} v0.0.0\n\nreplace {path} => ./third/{word}\n")
    head = f'package {site.clause(name)}\n\nimport "{path}"\n\n'
    user = posixpath.join(posixpath.dirname(name), f"{word}.go")
    site.put(user, f"{head}var _ = {word}.Answer\n")


def sum_lines(site: Site) -> None:
    """Turn the lines of go.sum round, or add one that nothing needs."""
    lines = site.files.get("go.sum", Node()).text.splitlines()
    if len(lines) > 1 and site.rng.random() < 0.5:
        site.put("go.sum", "\n".join(lines[1:] + lines[:1]) + "\n")
    else:
        more = f"example.com/{site.word} v1.0.0/go.mod h1:{'A' * 43}="
        site.put("go.sum", "\n".join([*lines, more]) + "\n")


def new_package(site: Site) -> None:
    """Add a package and import it."""
    name, word = site.choose(site.sources()), site.word
    place = posixpath.join("internal", word)
    site.put(f"{place}/{word}.go", f'package {word}\n\nvar Text = "{word}"\n')
    head = f'package {site.clause(name)}\n\nimport "{site.module()}/{place}"\n\n'
    user = posixpath.join(posixpath.dirname(name), f"{word}.go")
    site.put(user, f"{head}func init() {{ _ = {word}.Text }}\n")


def new_import(site: Site) -> None:
    """Import one more package of this module."""
    name, path = site.choose(site.sources()), site.choose(site.packages())
    at = f"{site.module()}/{path}" if path else site.module()
    user = posixpath.join(posixpath.dirname(name), f"{site.word}.go")
    site.put(user, f'package {site.clause(name)}\n\nimport _ "{at}"\n')


def restored(site: Site) -> None:
    """Go back to what the source was some rounds ago."""
    then = site.choose([s for s in site.past if s.tree != site.before.tree])
    site.files, site.options = dict(then.tree), then.options


def tags(site: Site) -> None:
    """Set or clear a build tag."""
    chosen = [t for t in ("", "never", "never,other") if t != site.options.tags]
    site.options = replace(site.options, tags=site.choose(chosen))


def stamp(site: Site) -> None:
    """Stamp another version."""
    site.options = replace(site.options, stamp=site.word)


def private(site: Site) -> None:
    """Change a variable of Go's environment."""
    site.options = replace(site.options, private=f"{site.word}.example.com")


def checkout(site: Site) -> None:
    """Take a fresh checkout in another place."""
    site.moved = True


def checkout_and_edit(site: Site) -> None:
    """Take a fresh checkout in another place, with an edit."""
    statement(site)
    site.moved = True


KINDS: Mapping[Kind, int] = {
    constant: 3, string: 3, statement: 3, comment: 2, whitespace: 1, broken: 2, unformatted: 1,
    failing: 3, passing: 2, test_text: 3, add_file: 2, add_test: 2, remove_file: 2, rename_file: 2,
    move_file: 1, build_tag: 2, platform_name: 2, misplaced_tag: 2, hidden_file: 2, assembly: 3,
    unloadable_test: 2, embed_edit: 2, embed_add: 2, embed_new: 1, testdata_edit: 2,
    testdata_add: 2, testdata_swap: 2, golden: 2, golden_edit: 3, same_times: 3, touch: 2, mode: 2,
    link: 2, retarget: 1, document: 3, new_document: 1, mod_comment: 1, mod_line: 1,
    mod_replace: 2, sum_lines: 2, new_package: 2, new_import: 1, restored: 5, tags: 2, stamp: 2,
    private: 1, checkout: 3, checkout_and_edit: 2,
}  # fmt: skip

QUIET = frozenset({"touch", "checkout"})
"""Kinds that change nothing that may count: whatever runs after them is wrong."""

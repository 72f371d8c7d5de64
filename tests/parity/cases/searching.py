"""Searches in directories and files."""

import dagger

from tests.parity.case import Fails, Given, case

R = "SearchResult."


def some(given: Given) -> dagger.Directory:
    return (
        given.dag.directory()
        .with_new_file("a.txt", "one\nTwo two\n")
        .with_new_file("sub/b.go", "two\nthree.\nfour\n")
        .with_new_file(".hidden", "two\n")
    )


async def shown(results: list[dagger.SearchResult]) -> list[tuple[str, int, str]]:
    found = [
        (await one.file_path(), await one.line_number(), await one.matched_lines())
        for one in results
    ]
    return sorted(found)


@case(
    "Directory.search", R + "filePath", R + "lineNumber", R + "matchedLines",
    gives=[(".hidden", 1, "two\n"), ("a.txt", 2, "Two two\n"), ("sub/b.go", 1, "two\n")],
)  # fmt: skip
async def a_pattern_is_found_in_every_file(given: Given):
    return await shown(await some(given).search("two"))


@case(
    "Directory.search", R + "submatches", "SearchSubmatch.text", "SearchSubmatch.start",
    "SearchSubmatch.end", R + "absoluteOffset",
    gives=[4, [("Two", 0, 3), ("two", 4, 7)]],
)  # fmt: skip
async def matches_are_told_by_their_places(given: Given):
    (one,) = await some(given).search("two", insensitive=True, paths=["a.txt"])
    places = [(await s.text(), await s.start(), await s.end()) for s in await one.submatches()]
    return [await one.absolute_offset(), places]


@case(
    "Directory.search",
    gives=[
        [("sub/b.go", 2, "three.\n")],
        [("sub/b.go", 1, "two\n")],
        [("a.txt", 2, "Two two\n"), ("sub/b.go", 1, "two\n")],
        [("sub/b.go", 1, "two\nthree.\n")],
    ],
)
async def a_search_is_narrowed(given: Given):
    it = some(given)
    return [
        await shown(await it.search("e.", literal=True)),
        await shown(await it.search("two", globs=["*.go"])),
        await shown(await it.search("two", skip_hidden=True)),
        await shown(await it.search("two.three", multiline=True, dotall=True)),
    ]


@case("Directory.search", gives=[["a.txt", "sub/b.go"], 1])
async def files_alone_are_told(given: Given):
    found = await some(given).search("two", files_only=True, skip_hidden=True)
    limited = await some(given).search("two", limit=1)
    return [sorted([await one.file_path() for one in found]), len(limited)]


@case("Directory.search", gives=[])
async def what_is_nowhere_is_not_found(given: Given):
    return await some(given).search("nowhere")


@case("Directory.search", gives=Fails("(?i)regex|pattern|unclosed|parenthes"))
async def a_pattern_that_is_none_is_an_error(given: Given):
    return await some(given).search("(")


@case("File.search", R + "lineNumber", gives=[("b.go", 1, "two\n")])
async def a_file_is_searched(given: Given):
    return await shown(await some(given).file("sub/b.go").search("two"))

# ruff: noqa: E501  # a query is read best on one line
import pytest

TREE = '{directory{withNewFile(path:"a.go",contents:"package a\\nfunc Run() {}\\n"){withNewFile(path:"sub/b.go",contents:"func run() {}\\n"){withNewFile(path:".hidden/c.go",contents:"func c()\\n"){withNewFile(path:".gitignore",contents:"sub\\n"){withNewFile(path:"bin",contents:"func\\u0000"){%s}}}}}}}'


def lines(found):
    return [(one["filePath"], one["lineNumber"]) for one in found]


CASES = {
    'pattern:"func"': [(".hidden/c.go", 1), ("a.go", 2), ("sub/b.go", 1)],
    'pattern:"func",skipHidden:true': [("a.go", 2), ("sub/b.go", 1)],
    'pattern:"func",skipIgnored:true': [(".hidden/c.go", 1), ("a.go", 2)],
    'pattern:"run",insensitive:true': [("a.go", 2), ("sub/b.go", 1)],
    'pattern:"Run()",literal:true': [("a.go", 2)],
    'pattern:"func",limit:1': [(".hidden/c.go", 1)],
    'pattern:"func",limit:0': [],
    'pattern:"func",paths:["sub"]': [("sub/b.go", 1)],
    'pattern:"func",paths:["a.go","/sub"]': [("a.go", 2), ("sub/b.go", 1)],
    'pattern:"func",paths:["bin"]': [("bin", 1)],
    'pattern:"func",globs:["*.go","!sub"]': [(".hidden/c.go", 1), ("a.go", 2)],
    'pattern:"func",globs:["sub/**"]': [("sub/b.go", 1)],
    'pattern:"func",globs:["!*.go"]': [],
    'pattern:"func",filesOnly:true,skipHidden:true': [("a.go", 0), ("sub/b.go", 0)],
    'pattern:"nowhere"': [],
}


@pytest.mark.parametrize("arguments", CASES)
def test_a_directory_is_searched(ask, arguments):
    assert lines(ask(TREE % f"search({arguments}){{filePath lineNumber}}")) == CASES[arguments]


def test_a_result_says_where_and_what(ask):
    query = 'search(pattern:"Run"){filePath lineNumber absoluteOffset matchedLines submatches{text start end}}'
    assert ask(TREE % query) == [
        {
            "filePath": "a.go",
            "lineNumber": 2,
            "absoluteOffset": 10,
            "matchedLines": "func Run() {}\n",
            "submatches": [{"text": "Run", "start": 5, "end": 8}],
        }
    ]


def test_a_file_is_searched(ask):
    found = ask(TREE % 'file(path:"sub/b.go"){search(pattern:"run"){filePath lineNumber}}')
    assert lines(found) == [("b.go", 1)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('pattern:"(?=a)"', "look-around"),
        ('pattern:"a",limit:-1', "limit is -1"),
        ('pattern:"a",paths:["no"]', "no such file"),
        ('pattern:"a",paths:["../up"]', "leaves the directory"),
    ],
)
def test_a_search_that_is_wrong_is_an_error(refused, arguments, message):
    assert message in refused(TREE % f"search({arguments}){{filePath}}")["message"]

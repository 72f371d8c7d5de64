from pipelines.report.annotations import github


def test_what_would_end_a_command_or_a_terminal_s_line_is_spelled():
    one = {"file": "a,b.go", "line": 3, "title": "m: T", "message": "50 %\nbad \0\x1b[31m\ttab"}
    [line] = github([one])
    assert line == ("::error file=a%2Cb.go,line=3,title=m%3A T::50 %25%0Abad \ufffd\ufffd[31m\ttab")


def test_what_has_no_line_is_told_without_one():
    assert list(github([{"title": "m", "message": "exit status 3"}])) == [
        "::error title=m::exit status 3"
    ]

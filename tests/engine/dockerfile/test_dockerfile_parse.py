"""Text to instructions: what is understood, and what is said of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.dockerfile import ignore_patterns, parse, parse_one
from pipelines.engine.dockerfile import instructions as ins
from pipelines.engine.dockerfile.source import Where, read
from pipelines.engine.errors import DockerfileError


def one(text, head="FROM a\n"):
    """The one instruction that stands behind a FROM."""
    (found,) = parse(head + text).stages[0].instructions
    return found


def wrong(text):
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    return str(caught.value)


# --- lines -------------------------------------------------------------------------------


def test_a_statement_goes_on_where_its_line_ends_with_a_backslash():
    found = one("RUN a \\\n  && b \\  \n\n# no\n  # no\n  && c\n")
    assert found.args == ("a   && b   && c",)
    assert found.where.line == 2


def test_the_escape_directive_changes_what_continues_a_line():
    parsed = parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN dir c:\\ `\n  d\n")
    assert parsed.escape == "`"
    assert parsed.stages[0].instructions[0].args == ("dir c:\\   d",)


def test_a_directive_below_an_instruction_is_a_comment():
    assert parse("FROM a\n# escape=`\nRUN a\\\n b").escape == "\\"


def test_a_byte_order_mark_and_windows_line_ends_are_nothing():
    parsed = parse("\ufeffFROM a\r\nRUN b \\\r\n c\r\n")
    assert parsed.stages[0].instructions[0].args == ("b  c",)


@pytest.mark.parametrize(
    ("name", "body", "content", "expand"),
    [
        ("EOF", "one\n\ttwo\n", "one\n\ttwo\n", True),
        ("-EOF", "\tone\n\t\ttwo\n\t", "one\ntwo\n", True),
        ('"EOF"', "$x\n", "$x\n", False),
        ("'EOF'", "$x\n", "$x\n", False),
        ("EOF", "# no comment\nRUN x \\\n", "# no comment\nRUN x \\\n", True),
        ("EOF", "", "", True),
    ],
)
def test_a_heredoc_is_what_stands_before_its_end(name, body, content, expand):
    found = one(f"COPY <<{name} /f\n{body}EOF\n")
    (heredoc,) = found.heredocs
    assert (heredoc.name, heredoc.content, heredoc.expand) == ("EOF", content, expand)
    assert (found.sources, found.target) == ((), "/f")


def test_one_instruction_may_have_several_heredocs():
    found = one("COPY <<A x <<B /d/\n1\nA\n2\nB\n")
    assert [(h.name, h.content) for h in found.heredocs] == [("A", "1\n"), ("B", "2\n")]
    assert found.sources == ("x",)


def test_a_shift_in_a_command_is_no_heredoc():
    assert one("RUN echo $((1<<2)) && cat <<< word").heredocs == ()


def test_lines_are_counted_across_heredocs_and_continuations():
    parsed = parse("FROM a\nRUN <<E\n1\n2\nE\nRUN b \\\n c\nUSER d\n")
    assert [i.where.line for i in parsed.stages[0].instructions] == [2, 6, 8]


# --- instructions ------------------------------------------------------------------------


def test_stages_have_names_numbers_and_platforms():
    parsed = parse(
        "ARG V=1\nFROM a:$V AS Build\nRUN x\nFROM --platform=$BUILDPLATFORM scratch\nCOPY a b\n"
    )
    assert [s.name for s in parsed.stages] == ["build", "1"]
    assert parsed.stages[1].begin.platform == "$BUILDPLATFORM"
    assert parsed.arguments[0].pairs == (("V", "1"),)


@pytest.mark.parametrize(
    ("text", "args", "shell"),
    [
        ("RUN a  b", ("a  b",), True),
        ('RUN ["a", "b c"]', ("a", "b c"), False),
        ("RUN [ -f x ] && y", ("[ -f x ] && y",), True),
        ("CMD", (), True),
        ("CMD []", (), False),
        ('ENTRYPOINT ["/x"]', ("/x",), False),
    ],
)
def test_a_command_is_a_line_for_the_shell_or_a_list(text, args, shell):
    found = one(text)
    assert (found.args, found.shell) == (args, shell)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV a b  c", (("a", "b  c"),)),
        ('ENV a=1 b="x y" c=x\\ y', (("a", "1"), ("b", '"x y"'), ("c", "x\\ y"))),
        ("ENV a= b=c=d", (("a", ""), ("b", "c=d"))),
        ("LABEL a.b=1 'c d'=2", (("a.b", "1"), ("'c d'", "2"))),
        ("ARG a b=1 c=", (("a", None), ("b", "1"), ("c", ""))),
    ],
)
def test_pairs_are_cut_where_white_space_is_not_quoted(text, pairs):
    assert one(text).pairs == pairs


def test_copy_takes_flags_and_a_list_with_spaces():
    found = one('COPY --from=x --chown=1:2 --link --exclude=a --exclude=b ["a b", "c d/"]')
    assert (found.from_, found.chown, found.link, found.exclude) == ("x", "1:2", True, ("a", "b"))
    assert (found.sources, found.target) == (("a b",), "c d/")


def test_run_keeps_its_mounts_as_they_are_written():
    found = one("RUN --mount=type=cache,target=/c --mount=type=bind,target=. --network=none x")
    assert found.mounts == ("type=cache,target=/c", "type=bind,target=.")
    assert (found.network, found.args) == ("none", ("x",))


def test_healthcheck_has_flags_or_none():
    found = one("HEALTHCHECK --interval=5s --retries=3 CMD curl -f localhost")
    assert (found.test, found.shell, found.interval, found.retries) == (
        ("curl -f localhost",), True, "5s", 3,
    )  # fmt: skip
    assert one("HEALTHCHECK NONE").test == ()


def test_onbuild_keeps_its_trigger_with_heredocs():
    found = one("ONBUILD RUN <<E\nx\nE\n")
    assert found.trigger == "RUN <<E\nx\nE"
    run = parse_one(found.trigger, Where("f", 7))
    assert (run.where.line, run.heredocs[0].content) == (7, "x\n")


def test_names_of_instructions_are_in_any_case():
    assert isinstance(one("run x"), ins.Run)


# --- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Dockerfile:1: there is no instruction in it"),
        ("FROM a\n\nRUNN x", "Dockerfile:3: unknown instruction RUNN (did you mean RUN?)"),
        ("RUN x\nFROM a", "Dockerfile:1: RUN stands before the first FROM"),
        ("ARG a", "Dockerfile:1: there is no FROM"),
        ("FROM a AS", "Dockerfile:1: FROM a AS: it is FROM image"),
        ("FROM a AS 1b", "FROM … AS 1b: a name begins with a letter"),
        ("FROM a\nCOPY x", "Dockerfile:2: COPY x: a source and a destination"),
        ("FROM a\nCOPY --form=x a b", "COPY has no flag --form (did you mean --from?)"),
        ("FROM a\nCOPY --from a b", "COPY --from needs a value: --from=…"),
        ("FROM a\nCOPY --link=maybe a b", "--link=maybe: it is true or false"),
        ("FROM a\nCOPY --chown=1 --chown=2 a b", "the flag --chown twice"),
        ("FROM a\nCOPY a <<E\nE\n", "can not be the destination"),
        ("FROM a\nRUN <<E\nx", "Dockerfile:2: the heredoc <<E has no end"),
        ("FROM a\nRUN", "RUN needs a command"),
        ('FROM a\nCMD ["a", 1]', "the exec form is a JSON list of strings"),
        ("FROM a\nENV a", "ENV a: a value is missing"),
        ("FROM a\nENV a=1 b", "ENV b: it is not name=value"),
        ("FROM a\nSHELL bash", "SHELL bash: it is a JSON list"),
        ("FROM a\nHEALTHCHECK x", "HEALTHCHECK x: it is CMD or NONE"),
        ("FROM a\nHEALTHCHECK --retries=x CMD y", "--retries=x: it is a number"),
        ("FROM a\nONBUILD FROM b", "ONBUILD FROM: FROM can not be a trigger"),
        ("FROM a\nVOLUME []", "a path is needed"),
        ("# escape=x\nFROM a", "Dockerfile:1: escape=x: it is either"),
        ("# escape=`\n# escape=`\nFROM a", "Dockerfile:2: the directive escape stands there twice"),
    ],
)  # fmt: skip
def test_an_error_says_file_line_and_text(text, said):
    assert said in wrong(text)


def test_an_error_carries_its_place():
    with pytest.raises(DockerfileError) as caught:
        parse("FROM a\nNOPE", "sub/x.Dockerfile")
    assert caught.value.extensions() == {
        "_type": "DOCKERFILE_ERROR", "file": "sub/x.Dockerfile", "line": 2,
    }  # fmt: skip


# --- whatever comes ----------------------------------------------------------------------

LINES = st.sampled_from(
    ["FROM a", "RUN x \\", "COPY <<E /x", "E", "", "# c", "ENV a=$b", 'CMD ["x"]', "ARG", "\t", "'"]
)


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_any_text_is_a_dockerfile_or_an_error_with_a_line_of_it(text):
    try:
        parse(text)
    except DockerfileError as exc:
        assert 1 <= exc.line <= text.count("\n") + 1


@given(st.lists(st.sampled_from(["RUN x", "COPY a b", "USER u"]), min_size=1), st.data())
def test_comments_and_empty_lines_change_nothing_but_the_lines(instructions, data):
    noisy = "FROM a\n"
    for text in instructions:
        noisy += data.draw(st.sampled_from(["", "\n", "# c\n", "  \n#\n"])) + text + "\n"
    plain = [s.text for s in read("FROM a\n" + "\n".join(instructions)).statements]
    assert [s.text for s in read(noisy).statements] == plain


# --- .dockerignore -----------------------------------------------------------------------


def test_ignored_patterns_are_cleaned_and_comments_go():
    text = "\ufeff# c\n/a/\n  b/../c \n!/d\n\n#e\n ! f\n**/*.go\n"
    assert ignore_patterns(text) == ("a", "c", "!d", "!f", "**/*.go")

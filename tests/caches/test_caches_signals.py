"""Scopes from a CI's signals: unknown means untrusted, and nothing below writes above."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.caches.names import encode
from pipelines.caches.settings import SettingsError
from pipelines.caches.signals import event, rules

NOTHING = (("trusted",), None)
TRUSTED = (("trusted",), "trusted")
BRANCH = (("branch/topic", "trusted"), "branch/topic")
PULL = (("pr/7", "trusted"), "pr/7")
LOCAL = (("local", "trusted"), "local")

MAIN = {"repository": {"default_branch": "main"}}


def github(name, ref, *, protected=False):
    said = "true" if protected else "false"
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REF": ref,
        "GITHUB_REF_PROTECTED": said,
    }


def gitlab(source, *, protected=False, **more):
    said = "true" if protected else "false"
    return {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": source,
        "CI_COMMIT_REF_PROTECTED": said,
        "CI_DEFAULT_BRANCH": "main",
        **more,
    }


def fork(number=7):
    head = {"repo": {"full_name": "stranger/shop", "fork": True}}
    return {**MAIN, "pull_request": {"number": number, "head": head}}


GITHUB = {
    "push to a protected branch": (github("push", "refs/heads/v2", protected=True), MAIN, TRUSTED),
    "push to the default branch": (github("push", "refs/heads/main"), MAIN, TRUSTED),
    "push to a branch": (github("push", "refs/heads/topic"), MAIN, BRANCH),
    "push without a payload": (github("push", "refs/heads/topic"), {}, BRANCH),
    "push to a protected tag": (github("push", "refs/tags/v1", protected=True), MAIN, TRUSTED),
    "push to a tag": (github("push", "refs/tags/v1"), MAIN, NOTHING),
    "push to a tag called as the default branch": (github("push", "refs/tags/main"), MAIN, NOTHING),
    "push without a ref": (github("push", "", protected=True), MAIN, NOTHING),
    "a release": (github("release", "refs/tags/v1", protected=True), MAIN, TRUSTED),
    "a schedule": (github("schedule", "refs/heads/main", protected=True), MAIN, TRUSTED),
    "by hand on the default branch": (
        github("workflow_dispatch", "refs/heads/main"),
        MAIN,
        TRUSTED,
    ),
    "by hand on a branch": (github("workflow_dispatch", "refs/heads/topic"), MAIN, BRANCH),
    "a pull request": (github("pull_request", "refs/pull/7/merge"), {}, PULL),
    "a pull request of a fork": (github("pull_request", "refs/pull/7/merge"), fork(), PULL),
    "a pull request whose ref is protected": (
        github("pull_request", "refs/heads/main", protected=True),
        fork(),
        PULL,
    ),
    "a pull request without a number": (github("pull_request", "refs/heads/x"), {}, NOTHING),
    "a pull request with a strange number": (
        github("pull_request", "refs/pull/../trusted"),
        {},
        NOTHING,
    ),
    "by hand on a pull request's ref": (github("workflow_dispatch", "refs/pull/7/head"), {}, PULL),
    "a review": (github("pull_request_review", "refs/pull/7/merge"), fork(), PULL),
    "pull_request_target": (
        github("pull_request_target", "refs/heads/main", protected=True),
        fork(),
        NOTHING,
    ),
    "workflow_run": (github("workflow_run", "refs/heads/main", protected=True), MAIN, NOTHING),
    "a comment": (github("issue_comment", "refs/heads/main", protected=True), MAIN, NOTHING),
    "another repository's wish": (
        github("repository_dispatch", "refs/heads/main", protected=True),
        MAIN,
        NOTHING,
    ),
    "an event of the future": (
        github("anything", "refs/heads/main", protected=True),
        MAIN,
        NOTHING,
    ),
    "no event": (github("", "refs/heads/main", protected=True), MAIN, NOTHING),
    "the merge queue": (
        github("merge_group", "refs/heads/gh-readonly-queue/main/pr-7-abc"),
        MAIN,
        NOTHING,
    ),
    "a push of the merge queue": (
        github("push", "refs/heads/gh-readonly-queue/main/pr-7-abc", protected=True),
        MAIN,
        NOTHING,
    ),
}
GITLAB = {
    "push to a protected branch": (gitlab("push", protected=True, CI_COMMIT_BRANCH="v2"), TRUSTED),
    "push to the default branch": (gitlab("push", CI_COMMIT_BRANCH="main"), TRUSTED),
    "push to a branch": (gitlab("push", CI_COMMIT_BRANCH="topic"), BRANCH),
    "a protected tag": (gitlab("push", protected=True, CI_COMMIT_TAG="v1"), TRUSTED),
    "a tag": (gitlab("push", CI_COMMIT_TAG="main"), NOTHING),
    "a schedule": (gitlab("schedule", CI_COMMIT_BRANCH="main"), TRUSTED),
    "by hand": (gitlab("web", CI_COMMIT_BRANCH="topic"), BRANCH),
    "a child": (gitlab("parent_pipeline", CI_COMMIT_BRANCH="topic"), BRANCH),
    "a child without a ref": (gitlab("parent_pipeline", protected=True), NOTHING),
    "a merge request": (gitlab("merge_request_event", CI_MERGE_REQUEST_IID="7"), PULL),
    "a merge request between protected branches": (
        gitlab("merge_request_event", protected=True, CI_MERGE_REQUEST_IID="7"),
        PULL,
    ),
    "a merge request of a fork": (
        gitlab(
            "merge_request_event",
            CI_MERGE_REQUEST_IID="7",
            CI_MERGE_REQUEST_SOURCE_PROJECT_ID="2",
            CI_PROJECT_ID="1",
        ),
        PULL,
    ),
    "a child of a merge request": (
        gitlab(
            "parent_pipeline", protected=True, CI_MERGE_REQUEST_IID="7", CI_COMMIT_BRANCH="main"
        ),
        PULL,
    ),
    "a merged result": (
        gitlab(
            "merge_request_event",
            CI_MERGE_REQUEST_IID="7",
            CI_MERGE_REQUEST_EVENT_TYPE="merged_result",
        ),
        PULL,
    ),
    "a merge train": (
        gitlab(
            "merge_request_event",
            protected=True,
            CI_MERGE_REQUEST_IID="7",
            CI_MERGE_REQUEST_EVENT_TYPE="merge_train",
        ),
        NOTHING,
    ),
    "a pull request from outside": (
        gitlab("external_pull_request_event", CI_EXTERNAL_PULL_REQUEST_IID="7"),
        PULL,
    ),
    "a source of the future": (gitlab("x", protected=True, CI_COMMIT_BRANCH="main"), NOTHING),
    "no source": (gitlab("", protected=True, CI_COMMIT_BRANCH="main"), NOTHING),
}
ELSEWHERE = {
    "a machine": ({}, LOCAL),
    "a machine that says it is no CI": ({"CI": "false"}, LOCAL),
    "some CI": ({"CI": "1"}, NOTHING),
    "Jenkins": ({"JENKINS_URL": "http://ci"}, NOTHING),
    "half of GitHub": ({"CI": "true", "GITHUB_REF_PROTECTED": "true"}, NOTHING),
}


def scopes(found):
    return found.reads, found.writes


@pytest.mark.parametrize(("environ", "payload", "wanted"), GITHUB.values(), ids=GITHUB)
def test_github_says_what_a_run_may_read_and_write(environ, payload, wanted):
    assert scopes(rules(environ, payload)) == wanted


@pytest.mark.parametrize(("environ", "wanted"), GITLAB.values(), ids=GITLAB)
def test_gitlab_says_what_a_run_may_read_and_write(environ, wanted):
    assert scopes(rules(environ, {})) == wanted


@pytest.mark.parametrize(("environ", "wanted"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_not_known_is_not_trusted(environ, wanted):
    assert scopes(rules(environ, {})) == wanted


EVERY = [row[0] for row in (*GITHUB.values(), *GITLAB.values(), *ELSEWHERE.values())]


@pytest.mark.parametrize("environ", EVERY)
def test_a_run_writes_its_own_scope_and_reads_it_and_trusted_alone(environ):
    found = rules(environ, {})
    assert found.writes is None or found.writes == found.reads[0]
    assert set(found.reads) <= {"trusted", found.writes}
    assert found.why


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("trusted", TRUSTED),
        ("branch/topic", BRANCH),
        ("pr/7", PULL),
        ("local", LOCAL),
        ("none", NOTHING),
    ],
)
@pytest.mark.parametrize("environ", [{}, {"CI": "1"}, GITHUB["push to the default branch"][0]])
def test_the_environment_says_it_where_nobody_else_does_and_lowers_what_is_trusted(
    environ, scope, wanted
):
    assert scopes(rules(environ, MAIN, scope)) == wanted


@pytest.mark.parametrize("scope", ["trusted", "branch/main", "pr/8", "local"])
@pytest.mark.parametrize(
    "case", ["a pull request", "push to a branch", "pull_request_target", "a comment"]
)
def test_a_scope_can_not_be_raised(case, scope):
    environ, payload, _ = GITHUB[case]
    with pytest.raises(SettingsError, match="lowered and not raised"):
        rules(environ, payload, scope)


@pytest.mark.parametrize(
    "scope", ["Trusted", "pr/x", "pr/", "branch/", "pr/７", "pr/07", "../trusted"]
)
def test_a_scope_that_makes_no_sense_is_refused(scope):
    with pytest.raises(SettingsError, match="is wanted"):
        rules({}, {}, scope)


@given(st.lists(st.text(min_size=1, max_size=150), min_size=2, max_size=2, unique=True))
def test_two_branches_have_two_scopes_that_end_where_a_key_begins(names):
    one, other = map(encode, names)
    assert one.casefold() != other.casefold()
    for spelled in (one, other):
        assert spelled.isascii()
        assert "/" not in spelled
        assert not spelled.startswith(".")
        assert len(spelled) <= 100


def test_the_payload_is_read_if_there_is_one(tmp_path):
    path = tmp_path / "event.json"
    path.write_text(json.dumps(MAIN))
    assert event({"GITHUB_EVENT_PATH": str(path)}) == MAIN


@pytest.mark.parametrize("text", ["[", "[]", None])
def test_a_payload_that_makes_no_sense_is_none(tmp_path, text):
    path = tmp_path / "event.json"
    if text is not None:
        path.write_text(text)
    assert event({"GITHUB_EVENT_PATH": str(path)}) == {}
    assert event({}) == {}

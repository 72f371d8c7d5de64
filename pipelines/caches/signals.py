"""From a CI's own signals to scopes: which caches a run may read, and which it may write.

    trusted        default and protected branches and tags: what everybody may read
    branch/<name>  another branch of the repository itself
    pr/<n>         a pull or merge request, from a fork or not
    local          somebody's machine

A run reads downwards only: `trusted` reads `trusted`; a branch, a pull request or a machine reads
its own and `trusted`, and writes its own. What is not known is not trusted: such a run reads
`trusted` and writes nothing.

Theory of operation
    The one question is who decides what code runs, and whether the event says so. On the events
    of the list `GITHUB_EVENTS` the code is the ref's. On others of GitHub (`pull_request_target`,
    `workflow_run`, `issue_comment`, …) the ref is the default branch while the workflow often
    checks out what a stranger wrote, with the repository's secrets: they write nothing, and read
    what is trusted. So do merge queues and trains: they gate the default branch, so they must not
    believe what a pull request has written, and what they build is not merged yet.

    A default branch that nobody protects counts as trusted: who may push to it may change
    whatever is released from it anyway, and no pull request's event carries its ref.

    `PIPELINES_CACHE_SCOPE` says it where no CI known here does (`trusted`, `branch/x`, `pr/7`,
    `local`, or `none` to write nothing); where one does, it may lower a scope and not raise it.

All of this is read from the environment, which the code that runs can write to before it starts us.
So a scope is only as safe as the backend's credentials: give pull requests credentials
that read, and the signing key to protected refs alone (docs/concepts/travelling-caches.md).

Sources: GitHub's "Events that trigger workflows" and "Variables reference"; GitLab's "Predefined
CI/CD variables reference".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.caches.names import encode
from pipelines.caches.settings import PREFIX, SettingsError

__all__ = ["Rules", "event", "rules"]

TRUSTED = "trusted"
LOCAL = "local"

GITHUB_EVENTS = frozenset({"push", "schedule", "workflow_dispatch", "release", "create"})
GITLAB_SOURCES = frozenset(
    {"push", "web", "webide", "schedule", "api", "trigger", "pipeline", "parent_pipeline", "chat"}
)
OTHERS = (  # variables that say that this is some CI
    "CI", "JENKINS_URL", "BUILDKITE", "CIRCLECI", "TF_BUILD", "TEAMCITY_VERSION", "DRONE",
    "BITBUCKET_BUILD_NUMBER", "CODEBUILD_BUILD_ID", "TRAVIS", "APPVEYOR", "WOODPECKER",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """Scopes that may be read, best first, and the one that may be written; `why` in words."""

    reads: tuple[str, ...]
    writes: str | None
    why: str

    @property
    def trusted(self) -> bool:
        """Whether what this run writes is read by everybody."""
        return self.writes == TRUSTED


def rules(environ: Mapping[str, str], payload: Mapping[str, Any], scope: str = "") -> Rules:
    """Decide a run's scopes; `payload` is the event's, `scope` what the environment claims.

    Raises:
        SettingsError: the claim makes no sense, or is higher than what the CI says.
    """
    if environ.get("GITHUB_ACTIONS") == "true":
        return _lowered(_github(environ, payload), scope)
    if environ.get("GITLAB_CI") == "true":
        return _lowered(_gitlab(environ), scope)
    if scope:
        return _claimed(scope)
    if any(environ.get(name, "").lower() not in ("", "0", "false") for name in OTHERS):
        why = f"a CI that is not known here; {PREFIX}SCOPE says what a run may write"
        return _reading(why)
    return Rules((LOCAL, TRUSTED), LOCAL, "a machine that is no CI")


def event(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Read the payload of GitHub's event; empty if there is none that can be read."""
    try:
        payload = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _github(environ: Mapping[str, str], payload: Mapping[str, Any]) -> Rules:
    name, ref = environ.get("GITHUB_EVENT_NAME", ""), environ.get("GITHUB_REF", "")
    if name == "pull_request_target" or name not in {*GITHUB_EVENTS, *_GITHUB_PULLS}:
        return _reading(f"GitHub's event {name or 'without a name'} may run anybody's code")
    if name in _GITHUB_PULLS or ref.startswith("refs/pull/"):
        number = str(_in(payload, "pull_request", "number") or _pull(ref))
        return _pull_request(number, f"GitHub's {name}")
    protected = environ.get("GITHUB_REF_PROTECTED") == "true"
    default = str(_in(payload, "repository", "default_branch") or "")
    return _ref(*_split(ref), f"GitHub's {name}", protected=protected, default=default)


_GITHUB_PULLS = frozenset({"pull_request", "pull_request_review", "pull_request_review_comment"})


def _gitlab(environ: Mapping[str, str]) -> Rules:
    source = environ.get("CI_PIPELINE_SOURCE", "")
    if number := environ.get("CI_MERGE_REQUEST_IID"):
        if environ.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train":
            return _reading("GitLab's merge train gates a branch")
        return _pull_request(number, f"GitLab's {source}")
    if number := environ.get("CI_EXTERNAL_PULL_REQUEST_IID"):
        return _pull_request(number, f"GitLab's {source}")
    branch, tag = environ.get("CI_COMMIT_BRANCH", ""), environ.get("CI_COMMIT_TAG", "")
    if source not in GITLAB_SOURCES or not (branch or tag):
        return _reading(f"GitLab's pipeline source {source or 'without a name'} tells no ref")
    protected = environ.get("CI_COMMIT_REF_PROTECTED") == "true"
    default = environ.get("CI_DEFAULT_BRANCH", "")
    return _ref(branch, tag, f"GitLab's {source}", protected=protected, default=default)


def _split(ref: str) -> tuple[str, str]:
    """Tell a ref's branch and tag."""
    for prefix in ("refs/heads/", "refs/tags/"):
        if ref.startswith(prefix):
            name = ref.removeprefix(prefix)
            return ("", name) if "tags" in prefix else (name, "")
    return "", ""


def _ref(branch: str, tag: str, how: str, *, protected: bool, default: str) -> Rules:
    if branch.startswith("gh-readonly-queue/"):
        return _reading(f"{how} of a merge queue gates a branch")
    if protected and (branch or tag):
        return Rules((TRUSTED,), TRUSTED, f"{how} of protected {branch or tag}")
    if branch and branch == default:
        return Rules((TRUSTED,), TRUSTED, f"{how} of the default branch {branch}")
    if branch:
        own = f"branch/{encode(branch)}"
        return Rules((own, TRUSTED), own, f"{how} of {branch}, which is not protected")
    if tag:
        return _reading(f"{how} of the tag {tag}, which is not protected")
    return _reading(f"{how} tells no ref")


def _pull_request(number: str, how: str) -> Rules:
    if not _number(number):
        return _reading(f"{how} tells no number")
    return Rules((f"pr/{number}", TRUSTED), f"pr/{number}", f"{how} of request {number}")


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and not text.startswith("0")


def _pull(ref: str) -> str:
    parts = ref.split("/")
    return parts[2] if ref.startswith("refs/pull/") and len(parts) > 3 else ""  # noqa: PLR2004


def _in(payload: Mapping[str, Any], *names: str) -> Any:
    found: Any = payload
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _reading(why: str) -> Rules:
    return Rules((TRUSTED,), None, why)


def _claimed(scope: str) -> Rules:
    why = f"{PREFIX}SCOPE"
    if scope == "none":
        return _reading(why)
    if scope in (TRUSTED, LOCAL):
        return Rules((TRUSTED,) if scope == TRUSTED else (LOCAL, TRUSTED), scope, why)
    kind, _, name = scope.partition("/")
    if kind == "pr" and _number(name):
        return Rules((scope, TRUSTED), scope, why)
    if kind == "branch" and name:
        own = f"branch/{encode(name)}"
        return Rules((own, TRUSTED), own, why)
    raise SettingsError(
        f"{PREFIX}SCOPE = {scope!r}: trusted, branch/NAME, pr/NUMBER, local or none is wanted"
    )


def _lowered(found: Rules, scope: str) -> Rules:
    if not scope:
        return found
    claimed = _claimed(scope)
    if found.trusted or claimed.writes is None or claimed.writes == found.writes:
        return replace(claimed, why=f"{found.why}; {claimed.why}")
    raise SettingsError(
        f"{PREFIX}SCOPE = {scope!r}, but this is {found.why}, which may write "
        f"{found.writes or 'nothing'}: a scope can be lowered and not raised; take the variable out"
    )

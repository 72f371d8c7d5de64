"""Errors of registries in words: what was asked, what was answered, what to do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.engine.errors import RegistryError, RegistryMissing
from pipelines.engine.images.registry.hosts import DEFAULT, Endpoint

__all__ = ["Answer", "refusal"]

_UNAUTHORIZED, _FORBIDDEN, _MISSING, _TOO_LARGE, _TOO_MANY = 401, 403, 404, 413, 429
_SERVER = 500
_SAID = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry answered, as far as an error needs it."""

    status: int
    headers: Mapping[str, str]
    text: bytes


def refusal(endpoint: Endpoint, what: str, answer: Answer, *, known: bool) -> RegistryError:
    """Make the error of an answer; `known` says that a credential was used."""
    codes, said = _errors(answer.text)
    status = answer.status
    kind = RegistryMissing if status == _MISSING else RegistryError
    if status == _MISSING:
        advice = _missing(what, codes, known=known)
    else:
        advice = _advice(endpoint, answer, known=known)
    tail = f" It said: {said}" if said else ""
    return kind(f"registry {endpoint.host}: {what}: {advice}{tail}", status, codes)


def _advice(endpoint: Endpoint, answer: Answer, *, known: bool) -> str:
    status = answer.status
    if status == _UNAUTHORIZED:
        return _unauthorized(endpoint, known=known)
    if status == _FORBIDDEN:
        return (
            "access is denied (403) to the user that is logged in; ask the repository's owner."
            if known
            else "access is denied (403) without a login; use `docker login` or withRegistryAuth."
        )
    if status == _TOO_LARGE:
        return "it is too large for this registry or a proxy before it (413)."
    if status == _TOO_MANY:
        return _limited(endpoint, answer, known=known)
    if status >= _SERVER:
        return f"the registry failed ({status}), also when asked again; try again later."
    return f"the registry refused ({status})."


def _unauthorized(endpoint: Endpoint, *, known: bool) -> str:
    if known:
        return (
            "the login was refused (401); check the user and password, or log in again with "
            f"`docker login {endpoint.host}`."
        )
    hidden = " A repository that does not exist is answered like this, too: check the name."
    return f"a login is needed (401); use `docker login {endpoint.host}` or withRegistryAuth." + (
        hidden if endpoint.host == DEFAULT else ""
    )


def _missing(what: str, codes: tuple[str, ...], *, known: bool) -> str:
    private = "" if known else ", or log in if it is private"
    if "NAME_UNKNOWN" in codes:
        return f"not found (404); there is no such repository: check the name{private}."
    if "MANIFEST_UNKNOWN" in codes:
        return f"not found (404); the repository has no such tag or digest: check it{private}."
    if " manifests/" in what:  # HEAD is answered without words
        return f"not found (404); there is no such tag, or no such repository: check them{private}."
    return f"not found (404); check the name{private}."


def _limited(endpoint: Endpoint, answer: Answer, *, known: bool) -> str:
    """Explain a rate limit: whose it is, when it ends, and how to get around it."""
    after = answer.headers.get("retry-after")
    when = f"; it asks to come back in {after} s" if after and after.isdigit() else ""
    quota = answer.headers.get("ratelimit-limit", "").partition(";")[0]
    much = f" of {quota} pulls" if quota.isdigit() else ""
    who = "this user" if known else "anonymous pulls from this address"
    ways = [] if known else [f"log in (`docker login {endpoint.host}`) for a limit of your own"]
    ways += ["pull through a mirror (`mirrors` of the registry in the configuration)"]
    ways += ["pin by digest (`pipelines lock`): what is in the store is then not asked for"]
    return f"the rate limit{much} for {who} is used up (429){when}. Ways out: {'; '.join(ways)}."


def _errors(text: bytes) -> tuple[tuple[str, ...], str]:
    """Read the distribution API's error document, or what else there is to read."""
    try:
        rows = json.loads(text)["errors"]
        codes = tuple(str(row["code"]) for row in rows)
        said = "; ".join(_row(row) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError):
        codes, said = (), text[: 4 * _SAID].decode("utf-8", "replace")
        if said.lstrip().startswith("<"):  # a proxy's page
            said = ""
    said = " ".join(said.split())
    return codes, said if len(said) <= _SAID else said[:_SAID] + "…"


def _row(row: Mapping[str, object]) -> str:
    message = str(row.get("message") or "")
    return f"{row['code']}: {message}" if message else str(row["code"])

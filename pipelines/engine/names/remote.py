"""Addresses of git repositories: read once, and never written with what is secret in them.

`parse` takes what people write (`https://`, `ssh://`, `git@host:path`, `git://`, `file://`, a
path, a bare `host/path`) apart into a `Remote`, which goes to git, into messages and into
names, and what must not: the user and password that stood in the address. A fragment
`#ref:subdir` names a ref and a directory, as in Dagger.
"""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from pipelines.engine.errors import QueryError

__all__ = ["Address", "Remote", "on_network", "parse", "redact", "relative"]

PROTOCOLS = ("https", "http", "ssh", "git", "file")

# Texts, not compiled: most sessions need none of them.
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_SCP = r"(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?!//)(.+)"
_HOST_PATH = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/.+"
_USERINFO = r"(?<=://)[^/@\s'\"]+@"
_SSH_USERINFO = r"(ssh://[^/@:\s'\"]+):[^/@\s'\"]*@"
_CONTROL = r"[\x00-\x20\x7f]"


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository as git is told of it; `url` has no credentials, `protocol` is one of five."""

    url: str
    protocol: str

    @property
    def local(self) -> bool:
        """Whether it is a directory of this machine."""
        return self.protocol == "file"

    @property
    def authority(self) -> str:
        """`https://host:port/`: what an HTTP credential is good for."""
        scheme, netloc, *_ = urlsplit(self.url)
        return f"{scheme}://{netloc}/"


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A parsed address; what `username` and `password` hold goes nowhere but to the server."""

    remote: Remote
    username: str = ""
    password: str = ""
    ref: str = ""
    subdir: str = ""


def redact(text: str) -> str:
    """Take user and password out of every address in a text; the user of ssh stays."""
    hidden = re.sub(_SSH_USERINFO, r"\1:***@", text)
    return re.sub(_USERINFO, _hidden, hidden)


def _hidden(match: re.Match[str]) -> str:
    before = match.string[: match.start()]
    return match[0] if before.endswith("ssh://") else "***@"


def on_network(text: str) -> bool:
    """Tell whether a text that may also be a path is the address of a server's repository."""
    found = re.match(_SCHEME, text)
    if found is not None:
        return found[1].lower() in PROTOCOLS[:-1]
    return not text.startswith(("/", ".")) and bool(re.fullmatch(_SCP, text)) and "@" in text


def parse(text: str, workdir: str) -> Address:
    """Take an address apart; a relative path starts from `workdir`.

    Raises:
        QueryError: it is empty, of another protocol, or holds what no address may.
    """
    shown = redact(text)
    if not text or text.startswith("-") or re.search(_CONTROL, text):
        raise QueryError(f"git({shown!r}): not an address: empty, with a blank, or an option")
    body, _, fragment = text.partition("#")
    ref, _, subdir = fragment.partition(":")
    remote, username, password = _remote(body, shown, workdir)
    return Address(remote, username, password, ref, subdir)


def _remote(text: str, shown: str, workdir: str) -> tuple[Remote, str, str]:
    if found := re.match(_SCHEME, text):
        return _url(text, found[1].lower(), shown)
    if text.startswith(("/", "./", "../")) or text in {".", ".."}:
        return _path(posixpath.join(workdir, text)), "", ""
    if re.fullmatch(_HOST_PATH, text):
        return _url(f"https://{text}", "https", shown)
    if found := re.fullmatch(_SCP, text):
        user, host, path = found.groups()
        return Remote(f"{user or 'git'}@{host}:{path}", "ssh"), "", ""
    raise QueryError(
        f"git({shown!r}): not an address; write https://host/path, ssh://git@host/path, "
        "git@host:path, or a path that begins with / or ./"
    )


def _url(text: str, scheme: str, shown: str) -> tuple[Remote, str, str]:
    if scheme not in PROTOCOLS:
        raise QueryError(f"git({shown!r}): {scheme}:// is none of {', '.join(PROTOCOLS)}")
    parts = urlsplit(text)
    if scheme == "file":
        return _path(unquote(parts.path)), "", ""
    userinfo, _, host = parts.netloc.rpartition("@")
    if not host or not parts.path.strip("/"):
        raise QueryError(f"git({shown!r}): a host and a path are wanted")
    user, _, password = (unquote(part) for part in userinfo.partition(":"))
    netloc = f"{user or 'git'}@{host}" if scheme == "ssh" else host
    url = urlunsplit((scheme, netloc, parts.path.rstrip("/"), parts.query, ""))
    return Remote(url, scheme), "" if scheme == "ssh" else user, password


def _path(path: str) -> Remote:
    return Remote("file://" + posixpath.normpath(path), "file")


def relative(base: Remote, url: str) -> Remote:
    """Resolve a submodule's address: `./x` and `../x` start from the repository's own.

    A repository of the network can not send us to a directory of this machine.

    Raises:
        QueryError: not an address, or a path below a repository of the network.
    """
    if not url.startswith(("./", "../")):
        found = parse(url, "/").remote
        if found.local and not base.local:
            raise QueryError(
                f"submodule {redact(url)!r} of {base.url}: a path of this machine, which a remote "
                "repository may not name"
            )
        return found
    head, sep, path = base.url.rpartition(":") if _scp(base) else ("", "", base.url)
    if sep:
        return Remote(f"{head}:{posixpath.normpath(posixpath.join(path, url))}", base.protocol)
    scheme, netloc, path, query, _ = urlsplit(base.url)
    joined = posixpath.normpath(posixpath.join(path, url))
    return Remote(urlunsplit((scheme, netloc, joined, query, "")), base.protocol)


def _scp(remote: Remote) -> bool:
    return remote.protocol == "ssh" and "://" not in remote.url

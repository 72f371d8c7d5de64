"""What git's complaints mean: which can be tried again, and what to say about the others.

Git speaks English to us (`LC_ALL=C`). Its texts are matched loosely; one that is not known is
shown as it is. Source: git `remote-curl.c`, `connect.c`, `upload-pack.c`; openssh `ssh.c`.
"""

import re
from dataclasses import dataclass

from pipelines.engine.names.remote import redact

__all__ = ["Fault", "diagnose"]

_TRANSIENT = re.compile(
    r"Could not resolve host|Temporary failure in name resolution|Connection (refused|reset|closed"
    r"|timed out)|Operation timed out|Failed to connect|early EOF|RPC failed|unexpected disconnect"
    r"|requested URL returned error: (408|429|5\d\d)|HTTP/2 stream|Empty reply from server"
    r"|Operation too slow|transfer closed|the remote end hung up unexpectedly|unable to connect"
    r"|Network is unreachable|No route to host|SSL_ERROR_SYSCALL|curl 56|curl 18",
    re.IGNORECASE,
)
_AUTH = re.compile(
    r"Authentication failed|could not read (Username|Password)|terminal prompts disabled"
    r"|returned error: 40[13]|Permission denied \(|HTTP Basic: Access denied|invalid credentials"
    r"|Permission to .* denied",
    re.IGNORECASE,
)
_HOST_KEY = re.compile(r"Host key verification failed|host key .* has changed", re.IGNORECASE)
_ABSENT = re.compile(
    r"repository '.*' not found|does not appear to be a git repository|Repository not found"
    r"|returned error: 404|not found: did you run git update-server-info|No such file or directory",
    re.IGNORECASE,
)
_NO_OBJECT = re.compile(
    r"not our ref|unadvertised object|couldn't find remote ref|Could not find remote|no such ref"
    r"|unable to find remote ref|error: no such remote ref|bad object"
    # A server without shallow fetches is asked again for everything.
    r"|does not support shallow",
    re.IGNORECASE,
)
_BROKEN = re.compile(
    r"loose object .* is corrupt|object file .* is empty|packfile .* (is|cannot be|far too|does)"
    r"|index file .* (corrupt|is too small)|missing blob|unable to read (tree|sha1)"
    r"|broken repository|not a git repository|inflate|unable to read",
    re.IGNORECASE,
)
_LFS = re.compile(r"smudge filter lfs failed|git-lfs", re.IGNORECASE)
_TLS = re.compile(r"certificate|SSL|TLS", re.IGNORECASE)
_BLOCKED = re.compile(r"transport '([^']*)' not allowed")
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong: `kind`, git's own words, and the way out.

    Kinds: transient, auth, host-key, absent, no-object, broken, tls, lfs, blocked, other.
    """

    kind: str
    said: str
    advice: str


_ADVICE = {
    "transient": "it was tried again without success; check the network, the proxy and the server",
    "auth": (
        "give httpAuthToken or httpAuthHeader (https), a key in the ssh agent or sshAuthSocket "
        "(ssh), or set up a credential helper of git on this machine"
    ),
    "host-key": (
        "the server's key is not known here or has changed: pass it as sshKnownHosts, or put it "
        "into ~/.ssh/known_hosts (`ssh-keyscan HOST` prints it; compare it with the one the "
        "server's owner publishes)"
    ),
    "absent": "check the address, and whether it needs credentials: servers hide what is private",
    "no-object": "it is not there; it may have been force-pushed away or deleted",
    "lfs": (
        "git-lfs of this machine could not get what a pointer names: check the credentials; "
        "without git-lfs on PATH, pointers stay what they are"
    ),
    "broken": "the repository is damaged; `pipelines cache prune --all` makes room for a new copy",
    "tls": "check the machine's CA bundle, or http.sslCAInfo of git's configuration",
    "blocked": "git may use https, ssh and git here, file only for this machine's own",
    "other": "`GIT_TRACE=1 git ls-remote` with the address shows more",
}


def diagnose(stderr: str) -> Fault:
    """Find out what a failed git says."""
    said = _brief(stderr)
    kind = _kind(stderr)
    return Fault(kind, said, _ADVICE[kind])


def _kind(stderr: str) -> str:
    # The order matters: a refused ssh login also says that the remote end hung up.
    for kind, pattern in (
        ("blocked", _BLOCKED),
        ("lfs", _LFS),
        ("host-key", _HOST_KEY),
        ("auth", _AUTH),
        ("no-object", _NO_OBJECT),
        ("absent", _ABSENT),
        ("transient", _TRANSIENT),
        ("tls", _TLS),
        ("broken", _BROKEN),
    ):
        if pattern.search(stderr):
            return kind
    return "other"


def _brief(stderr: str) -> str:
    """Keep the lines that say something, in one, without credentials."""
    lines = [redact(line.strip()) for line in stderr.splitlines()]
    worth = [line for line in lines if line and not line.startswith(("hint:", "Cloning into"))]
    text = "; ".join(dict.fromkeys(worth)) or "it said nothing"
    return text if len(text) <= _LONGEST else "…" + text[-_LONGEST:]

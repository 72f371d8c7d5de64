"""Operations: the immutable nodes of the graph that the solver walks.

An op is a frozen dataclass. Its fields are JSON values, `Edge`s to other ops, and small frozen
values that hold either; its `digest` is fixed at construction. What a field means for keys:

    Edge                    an input; in keys it stands as the input's own key or content
    field(metadata=UNKEYED) never part of any key: secret values, volatile values, limits
    everything else         part of every key

`key(op, inputs)` is the one formula, used three times with other names for the inputs: their
ops' digests (identity), their definition keys, their contents. That is all of keying; what an
exec's fields may hold is normalised in `keys.py` before the op is made.

Results (`result.py`) have named outputs: an exec leaves a root filesystem, one more for every
mount that it could write to, and its output streams. `Edge(op, "/src")` names one of them; ""
is the main output.
"""

from pipelines.engine.op.base import UNKEYED, Edge, Op, key
from pipelines.engine.op.copying import Extract, Lay, Pick, Put
from pipelines.engine.op.execs import (
    OF_THIS_MACHINE,
    WITH_SECRETS,
    AnyService,
    Binding,
    CacheMount,
    CacheVolume,
    Check,
    DirMount,
    Endpoint,
    Exec,
    Forward,
    HostService,
    Mount,
    SecretMount,
    SecretRef,
    Service,
    SocketMount,
    TempMount,
    Tunnel,
)
from pipelines.engine.op.image import Archive, Variant
from pipelines.engine.op.sources import (
    GitAccess,
    GitTree,
    HostTree,
    HttpFile,
    HttpSource,
    Rootfs,
)
from pipelines.engine.op.trees import (
    Apply,
    Chown,
    Copy,
    Diff,
    Empty,
    Filter,
    Link,
    MakeDir,
    Merge,
    Patch,
    Remove,
    Rename,
    Replace,
    Scratch,
    Select,
    Touch,
    Write,
    WritePatch,
)

__all__ = [
    "OF_THIS_MACHINE",
    "UNKEYED",
    "WITH_SECRETS",
    "AnyService",
    "Apply",
    "Archive",
    "Binding",
    "CacheMount",
    "CacheVolume",
    "Check",
    "Chown",
    "Copy",
    "Diff",
    "DirMount",
    "Edge",
    "Empty",
    "Endpoint",
    "Exec",
    "Extract",
    "Filter",
    "Forward",
    "GitAccess",
    "GitTree",
    "HostService",
    "HostTree",
    "HttpFile",
    "HttpSource",
    "Lay",
    "Link",
    "MakeDir",
    "Merge",
    "Mount",
    "Op",
    "Patch",
    "Pick",
    "Put",
    "Remove",
    "Rename",
    "Replace",
    "Rootfs",
    "Scratch",
    "SecretMount",
    "SecretRef",
    "Select",
    "Service",
    "SocketMount",
    "TempMount",
    "Touch",
    "Tunnel",
    "Variant",
    "Write",
    "WritePatch",
    "key",
]

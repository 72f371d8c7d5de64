"""The table of fields: type name to field name to the function that answers it.

A function takes the session, the object and the field's arguments by keyword. A plain one
extends the graph, a coroutine function forces it. What the schema has and this table has not
is not supported. `id` and `__typename` belong to every type and are the query's own business.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.engine.api import (
    configuring,
    directory,
    file,
    git,
    host,
    http,
    imaging,
    looking,
    mounting,
    placing,
    root,
    running,
    secret,
    values,
)

__all__ = ["FIELDS"]

_OBJECTS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "CacheVolume": {},
    "Container": {
        **configuring.FIELDS,
        **placing.FIELDS,
        **mounting.FIELDS,
        **running.FIELDS,
        **imaging.FIELDS,
    },
    "Directory": {**directory.FIELDS, **looking.FIELDS, "asGit": git.as_git},
    "EnvVariable": values.NAMED,
    "File": file.FIELDS,
    "GitRef": git.REF,
    "GitRepository": git.REPOSITORY,
    "HealthcheckConfig": values.HEALTHCHECK,
    "Host": host.FIELDS,
    "Label": values.NAMED,
    "Port": values.PORT,
    "Secret": secret.FIELDS,
    "Stat": values.STAT,
}
_LOADERS = {f"load{kind}FromID": root.loader(kind) for kind in _OBJECTS}

FIELDS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    **_OBJECTS,
    "Query": {**root.FIELDS, "git": git.git, "http": http.http, **_LOADERS},
}

"""The table of fields: type name to field name to the function that answers it.

A function takes the session, the object and the field's arguments by keyword. A plain one
extends the graph, a coroutine function forces it. What the schema has and this table has not
is not supported. What few sessions ask for is imported when they do. `id` and `__typename`
belong to every type and are the query's own business.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.engine.api import (
    configuring,
    directory,
    file,
    host,
    imaging,
    looking,
    mounting,
    placing,
    root,
    running,
    secret,
    values,
)
from pipelines.engine.api.lazily import Field, Table

__all__ = ["FIELDS"]

_OBJECTS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "Address": Table("address"),
    "CacheVolume": {},
    "Changeset": Table("changeset"),
    "Container": {
        **configuring.FIELDS,
        **placing.FIELDS,
        **mounting.FIELDS,
        **running.FIELDS,
        **imaging.FIELDS,
        "withEnvFileVariables": Field("envfile", "into_container"),
        "withUnixSocket": Field("socket", "with_unix_socket"),
        "withoutUnixSocket": mounting.without_mount,
        "asService": Field("service", "as_service"),
        "up": Field("service", "container_up"),
        "withServiceBinding": Field("service", "with_service_binding"),
    },
    "DiffStat": Table("changeset", "STAT"),
    "Directory": {
        **directory.FIELDS,
        **looking.FIELDS,
        "asGit": Field("git", "as_git"),
        "changes": Field("changeset", "between"),
        "search": Field("searching", "search"),
        "withChanges": Field("changeset", "with_changes"),
        "withPatch": Field("changeset", "with_patch"),
        "withPatchFile": Field("changeset", "with_patch_file"),
    },
    "Engine": Table("store", "ENGINE"),
    "EngineCache": Table("store", "CACHE"),
    "EngineCacheEntry": Table("store", "ENTRY"),
    "EngineCacheEntrySet": Table("store", "SET"),
    "EnvFile": Table("envfile"),
    "EnvVariable": values.NAMED,
    "Error": Table("error"),
    "ErrorValue": Table("error", "VALUE"),
    "File": {
        **file.FIELDS,
        "asEnvFile": Field("envfile", "of_file"),
        "asJSON": Field("jsonvalue", "of_file"),
        "search": Field("searching", "search"),
    },
    "GitRef": Table("git", "REF"),
    "GitRepository": Table("git", "REPOSITORY"),
    "HealthcheckConfig": values.HEALTHCHECK,
    "JSONValue": Table("jsonvalue"),
    "Host": {
        **host.FIELDS,
        "service": Field("service", "host_service"),
        "tunnel": Field("service", "host_tunnel"),
    },
    "Label": values.NAMED,
    "Port": values.PORT,
    "SearchResult": Table("searching", "RESULT"),
    "SearchSubmatch": Table("searching", "SUBMATCH"),
    "Secret": secret.FIELDS,
    "Socket": {},
    "Service": Table("service"),
    "Stat": values.STAT,
}
_LOADERS = {f"load{kind}FromID": root.loader(kind) for kind in _OBJECTS}

FIELDS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    **_OBJECTS,
    "Query": {**root.FIELDS, "git": Field("git", "git"), "http": Field("http", "http"), **_LOADERS},
}

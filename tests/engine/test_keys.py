from dataclasses import replace

import pytest

from pipelines.engine.errors import QueryError
from pipelines.engine.keys import (
    DEFAULT_PATH,
    Command,
    absolute,
    environment,
    exec_op,
    expand,
    normal_platform,
)
from pipelines.engine.op import (
    Binding,
    CacheMount,
    CacheVolume,
    DirMount,
    Edge,
    Empty,
    Endpoint,
    Scratch,
    SecretMount,
    SecretRef,
    Service,
    SocketMount,
    TempMount,
    Write,
)

COMMAND = Command(("go", "build"), redirect_stdout="out")
SOURCE = Edge(Write(Edge(Empty()), "a", b"1"))
OTHER = Edge(Write(Edge(Empty()), "a", b"2"))
SECRET = SecretRef("token", lambda: b"x")
VOLUME = CacheVolume("go-build")
SPEC = {
    "root": Edge(Scratch()),
    "env": (("A", "1"), ("B", "2")),
    "workdir": "/src",
    "user": "app",
    "platform": "linux/amd64",
    "mounts": (DirMount("/src", SOURCE), CacheMount("/cache", VOLUME), SecretMount("/s", SECRET)),
    "secret_env": (("TOKEN", SECRET), ("OTHER", SECRET)),
    "volatile": (("RUN", "7"), ("SHA", "abc")),
}


def key(command=COMMAND, **changes):
    return exec_op(command, **{**SPEC, **changes}).digest


INPUTS = {
    "root": {"root": SOURCE},
    "variable": {"env": (("A", "1"), ("B", "3"))},
    "variable's name": {"env": (("A", "1"), ("C", "2"))},
    "workdir": {"workdir": "/other"},
    "user": {"user": "root"},
    "platform": {"platform": "linux/arm64"},
    "mounted content": {"mounts": (DirMount("/src", OTHER), *SPEC["mounts"][1:])},
    "mount target": {"mounts": (DirMount("/lib", SOURCE), *SPEC["mounts"][1:])},
    "read-only": {"mounts": (DirMount("/src", SOURCE, readonly=True), *SPEC["mounts"][1:])},
    "mount owner": {"mounts": (DirMount("/src", SOURCE, owner="1"), *SPEC["mounts"][1:])},
    "volume": {"mounts": (*SPEC["mounts"], CacheMount("/b", CacheVolume("other")))},
    "tmpfs": {"mounts": (*SPEC["mounts"], TempMount("/tmp"))},
    "socket": {"mounts": (*SPEC["mounts"], SocketMount("/s", "/run/s.sock"))},
    "secret's name": {"secret_env": (("TOKEN", SecretRef("new", SECRET.value)), ("OTHER", SECRET))},
    "secret's variable": {"secret_env": (("TOKEN2", SECRET), ("OTHER", SECRET))},
    "volatile name": {"volatile": (("RUN", "7"),)},
}


@pytest.mark.parametrize("changes", INPUTS.values(), ids=INPUTS)
def test_what_a_process_sees_is_in_its_key(changes):
    assert key(**changes) != key()


COMMANDS = {
    "args": {"args": ("go", "test")},
    "stdin": {"stdin": "text"},
    "redirectStdin": {"redirect_stdin": "in"},
    "redirectStdout": {"redirect_stdout": ""},
    "redirectStderr": {"redirect_stderr": "err"},
    "expect": {"expect": "ANY"},
    "session": {"nested": True},
    "power": {"insecure": True},
}


@pytest.mark.parametrize("changes", COMMANDS.values(), ids=COMMANDS)
def test_the_command_is_in_the_key(changes):
    assert key(replace(COMMAND, **changes)) != key()


SAME = {
    "order of variables": {"env": (("B", "2"), ("A", "1"))},
    "a variable set twice": {"env": (("A", "0"), ("B", "2"), ("A", "1"))},
    "explicit default PATH": {"env": (*SPEC["env"], ("PATH", DEFAULT_PATH))},
    "hidden variable": {"env": (*SPEC["env"], ("TOKEN", "plain"))},
    "order of mounts": {"mounts": SPEC["mounts"][::-1]},
    "order of secrets": {"secret_env": SPEC["secret_env"][::-1]},
    "secret's value": {
        "secret_env": tuple((n, SecretRef("token", lambda: b"new")) for n, _ in SPEC["secret_env"])
    },
    "volatile values": {"volatile": (("SHA", "def"), ("RUN", "8"))},
    "workdir's spelling": {"workdir": "/src/./x/.."},
    "how a volume is shared": {
        "mounts": (
            SPEC["mounts"][0],
            CacheMount("/cache", replace(VOLUME, sharing="LOCKED", owner="1", seed=SOURCE)),
            SPEC["mounts"][2],
        )
    },
}


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_what_a_process_does_not_see_is_not_in_its_key(changes):
    assert key(**changes) == key()


def test_a_relative_redirect_starts_from_the_working_directory():
    assert key(replace(COMMAND, redirect_stdout="/src/out")) == key()


def test_the_volatile_values_reach_the_command():
    assert dict(exec_op(COMMAND, **SPEC).volatile) == {"RUN": "7", "SHA": "abc"}


def test_an_image_keeps_its_path():
    assert environment((("PATH", "/opt"),), set()) == (("PATH", "/opt"),)


def test_home_is_not_part_of_a_key():
    assert "HOME" not in dict(environment((), set()))


def test_parents_are_mounted_before_what_is_in_them():
    mounts = [TempMount("/a/b"), TempMount("/a-b"), TempMount("/a")]
    found = exec_op(COMMAND, **{**SPEC, "mounts": mounts}).mounts
    assert [m.target for m in found] == ["/a", "/a/b", "/a-b"]


def test_nothing_to_run_is_refused():
    with pytest.raises(QueryError, match="no command"):
        exec_op(Command(()), **SPEC)


def test_standard_input_comes_from_one_place():
    with pytest.raises(QueryError, match="stdin and redirectStdin"):
        exec_op(Command(("a",), stdin="x", redirect_stdin="/x"), **SPEC)


@pytest.mark.parametrize(
    ("path", "workdir", "found"),
    [
        ("a", "/src", "/src/a"),
        ("a", "", "/a"),
        ("/a//b/", "/src", "/a/b"),
        ("../../../x", "/src", "/x"),
        (".", "/src", "/src"),
        ("//a", "/src", "/a"),
    ],
)
def test_a_path_is_absolute_and_normal(path, workdir, found):
    assert absolute(path, workdir) == found


def test_variables_are_expanded_from_the_environment():
    assert expand("$A-${B}-$C-$.-5$-$1-${A", {"A": "1", "B": "2"}, set()) == "1-2--$.-5-A"


def test_a_secret_is_not_expanded():
    with pytest.raises(QueryError, match="'TOKEN', a secret"):
        expand("x$TOKEN", {}, {"TOKEN"})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/v5", "linux/arm/v5"),
        ("darwin/arm64", "darwin/arm64"),
    ],
)
def test_a_platform_has_one_spelling(given, found):
    assert normal_platform(given) == found


@pytest.mark.parametrize("text", ["", "linux", "linux/", "a/b/c/d", "linux amd64"])
def test_what_is_no_platform_is_refused(text):
    with pytest.raises(QueryError, match="expected os/arch"):
        normal_platform(text)


def service(**changes):
    process = exec_op(Command(("serve",)), **{**SPEC, **changes})
    return Service(process, "db", (Endpoint(5432),), instance="one")


BOUND = (Binding("db", service()),)


@pytest.mark.parametrize(
    "services",
    [
        (),
        (Binding("pg", service()),),
        (Binding("db", service(env=(("A", "2"),))),),
        (Binding("db", service(root=SOURCE)),),
        (Binding("db", replace(service(), hostname="other")),),
        (Binding("db", replace(service(), ports=(Endpoint(1),))),),
        (*BOUND, Binding("web", service())),
    ],
)
def test_a_bound_service_is_part_of_the_key(services):
    assert key(services=services) != key(services=BOUND)


def test_neither_order_of_bindings_nor_secret_values_of_a_service_are(monkeypatch):
    more = Binding("web", service())
    assert key(services=(*BOUND, more)) == key(services=(more, *BOUND))
    again = replace(service(volatile=(("RUN", "8"), ("SHA", "x"))), instance="two")
    assert key(services=(Binding("db", again),)) == key(services=BOUND)


def test_what_a_service_reads_is_an_input_of_who_binds_it():
    made = exec_op(COMMAND, **SPEC, services=BOUND)
    own = exec_op(COMMAND, **SPEC)
    assert made.inputs == (*own.inputs, *BOUND[0].service.process.inputs)

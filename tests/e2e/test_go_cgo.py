"""cgo on the embedded engine: a C program by Zig, and what a build without a compiler says.

One target, the cheapest: Zig compiles some of its C library for each (14 s of CPU for glibc, 60 s
for musl, 90 s for Windows). The example `go_sqlite` builds six.
"""

import re
import subprocess

import pytest

from pipelines import Platform, connect, go
from pipelines._session import Session

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

AMD = Platform("linux", "amd64")
MODULE = {
    "go.mod": "module example.com/withc\n\ngo {version}\n",
    "answer.h": "int answer(void);\n",
    "answer.c": '#include "answer.h"\n#include <math.h>\nint answer(void) { return sqrt(1764); }\n',
    "main.go": (
        'package main\n\n// #include "answer.h"\nimport "C"\n\n'
        "func main() { println(C.answer()) }\n"
    ),
}


async def built(source, into, **options):
    """Build in a session of its own; give how many commands ran."""
    ran = []

    def hear(event):
        if event["event"] == "exec" and event["state"] == "started":
            ran.append(event["name"])

    async with connect(session=Session.start(listen=hear)) as dag:
        made = await go.build(dag.host().directory(str(source)), AMD, **options)
        await made.file("withc").export(str(into))
    return len(ran)


async def test_c_is_compiled_by_zig_for_an_old_glibc_and_the_same_c_is_not_again(source, tmp_path):
    zig, program = go.Zig(glibc="2.17"), tmp_path / "out"
    assert await built(source, program, cgo=zig) == 2  # the download of no modules, the build
    assert subprocess.run([program], capture_output=True, text=True).stderr == "42\n"
    needed = re.findall(rb"GLIBC_2\.(\d+)", program.read_bytes())
    assert max(map(int, needed)) <= 17
    first = program.read_bytes()
    assert b"\0/src\0" not in first  # where libc's files were compiled, by what came first
    (source / "answer.c").write_text(MODULE["answer.c"].replace("1764", "1849"))
    assert await built(source, program, cgo=zig) == 1
    assert subprocess.run([program], capture_output=True, text=True).stderr == "43\n"
    (source / "answer.c").write_text(MODULE["answer.c"])
    assert await built(source, program, cgo=zig) == 0
    assert program.read_bytes() == first

"""The quick import of the SDK changes when checks are made, not which."""

import subprocess
import sys

PRELUDE = "from pipelines._fastimport import import_dagger; import_dagger(); import dagger, sys\n"


def said(program, prelude=PRELUDE):
    ran = subprocess.run([sys.executable, "-c", prelude + program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split("\n")[0]


def test_a_wrong_argument_is_a_type_error_with_the_words_of_the_plain_import():
    program = """
try:
    dagger.dag.container().with_exec("no list")
except TypeError as exc:
    print(exc)
"""
    quick, plain = said(program), said(program, "import dagger\n")
    assert "violates type hint" in quick
    assert quick == plain


def test_every_method_is_checked_also_on_its_second_call():
    program = """
wrong = 0
for _ in range(2):
    for call in (lambda: dagger.dag.host().directory(1), lambda: dagger.dag.directory().file(b"")):
        try:
            call()
        except TypeError:
            wrong += 1
print(wrong)
"""
    assert said(program) == "4"


def test_an_async_method_stays_one_and_is_checked_when_awaited():
    program = """
import inspect, anyio
print(inspect.iscoroutinefunction(dagger.Directory.export), end=" ")
try:
    anyio.run(dagger.dag.directory().export, 5)
except TypeError:
    print("checked")
"""
    assert said(program) == "True checked"


def test_methods_that_return_self_are_checked_against_their_class():
    program = "print(type(dagger.dag.container().with_exec(['true'])).__name__)"
    assert said(program) == "Container"


def test_what_is_left_out_at_first_comes_when_it_is_asked_for():
    program = """
print("dagger.provisioning" in sys.modules, "opentelemetry.sdk" in sys.modules, end=" ")
from dagger import Config, function
import dagger.mod
print(Config(retry=None).retry, "dagger.provisioning" in sys.modules, hasattr(dagger, "nope"))
"""
    assert said(program) == "False False None True False"


def test_the_public_names_are_those_of_the_plain_import():
    program = "print(sorted(n for n in {*dir(dagger), *%r} if hasattr(dagger, n)))"
    plain = said("print([n for n in dir(dagger) if not n.startswith('_')])", "import dagger\n")
    names = eval(plain)
    assert set(names) <= set(eval(said(program % names)))


def test_beartype_itself_is_as_before():
    assert said("import beartype; print(beartype.beartype.__module__)").startswith("beartype")


def test_chains_share_a_converter_and_lists_of_objects_have_their_own():
    program = """
from dagger.client import _core
made = []
class Connection: pass
chain = dagger.dag.container()._ctx
real = type(chain.converter)
make = chain.converter._make
def counted(context):
    made.append(context)
    return make(context)
_core.make_converter = lambda context: real(counted, context)
one = dagger.dag.container().with_env_variable("a", "b")
one = one.with_exec(["true"], expect=dagger.ReturnType.ANY)
value = one._ctx.converter.structure("x", str)
print(made, one._ctx.selections[-1].args["expect"], value, end=" ")
one._ctx.converter.structure([{"name": "a", "value": "b"}], list[dagger.EnvVariable])
print(made[-1] is one._ctx)
"""
    assert said(program) == "[None] ANY x True"


def test_what_only_a_command_line_of_others_needs_is_not_loaded():
    program = "import httpx; print(*({'rich', 'click', 'pygments'} & {*sys.modules}), httpx.get)"
    assert said(program).startswith("<function get")


def test_the_connection_to_loopback_reads_no_certificate_authorities():
    program = """
import ssl
def refuse(*_, **__):
    raise AssertionError("authorities were read")
ssl.SSLContext.load_verify_locations = refuse
from dagger.client._session import ClientSession, ConnectParams
print(type(ClientSession(ConnectParams(port=1, session_token="x"))).__name__)
"""
    assert said(program) == "ClientSession"

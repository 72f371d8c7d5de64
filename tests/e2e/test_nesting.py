"""Commands that are clients of the session themselves, and commands with all capabilities."""

import json

import anyio
import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

ASK = """
auth=$(printf '%s:' "$DAGGER_SESSION_TOKEN" | base64 | tr -d '\\n')
wget -q -O - --header "Authorization: Basic $auth" --header 'Content-Type: application/json' \\
    --post-file /query http://127.0.0.1:$DAGGER_SESSION_PORT/query
"""


async def asked(dag, query, **options):
    box = dag.container().from_("busybox")
    box = box.with_new_file("/query", json.dumps({"query": query}))
    ran = box.with_exec(["sh", "-c", ASK], experimental_privileged_nesting=True, **options)
    return json.loads(await ran.stdout())


async def test_a_command_builds_through_the_session_that_runs_it(dag):
    query = '{container{from(address:"busybox"){withExec(args:["echo","inner"]){stdout}}}}'
    answer = await asked(dag, query)
    assert answer["data"]["container"]["from"]["withExec"]["stdout"] == "inner\n"


async def test_with_one_job_a_nested_command_does_not_wait_for_itself(session):
    query = '{container{from(address:"busybox"){withExec(args:["echo","inner"]){stdout}}}}'
    async with session(jobs=1) as (dag, _):
        with anyio.fail_after(60):
            assert "errors" not in await asked(dag, query)


@pytest.mark.parametrize(
    "query",
    [
        '{host{directory(path:"/"){entries}}}',
        '{secret(uri:"env://HOME"){plaintext}}',
        '{address(value:"/etc"){directory{entries}}}',
        '{directory{export(path:"/tmp/nested-was-here")}}',
        "{engine{localCache{prune}}}",
        '{git(url:"/work"){head{commit}}}',
    ],
)
async def test_a_nested_client_does_not_reach_the_machine(dag, query):
    (error,) = (await asked(dag, query))["errors"]
    assert error["extensions"]["_type"] == "UNSUPPORTED_FIELD"
    assert "does not reach the machine" in error["message"]


async def test_a_nested_client_sees_no_variables_of_the_host(dag, monkeypatch):
    query = '{envFile{withVariable(name:"A",value:"${HOME:-none}"){get(name:"A")}}}'
    assert (await asked(dag, query))["data"]["envFile"]["withVariable"]["get"] == "none"


async def test_without_asking_there_is_no_session(dag):
    box = dag.container().from_("busybox")
    script = 'echo "${DAGGER_SESSION_PORT:-none} ${DAGGER_SESSION_TOKEN:-none}"'
    assert await box.with_exec(["sh", "-c", script]).stdout() == "none none\n"


async def test_a_token_is_good_while_its_command_runs(dag):
    box = dag.container().from_("busybox")
    # Written backwards, for the token itself is a secret that no output shows.
    script = 'echo $DAGGER_SESSION_PORT; echo "$DAGGER_SESSION_TOKEN" | rev > /token'
    ran = box.with_exec(["sh", "-c", script], experimental_privileged_nesting=True)
    port = (await ran.stdout()).strip()
    old = (await ran.file("/token").contents()).strip()[::-1]
    used = box.with_new_file("/query", '{"query":"{version}"}')
    used = used.with_env_variable("DAGGER_SESSION_PORT", port)
    used = used.with_env_variable("DAGGER_SESSION_TOKEN", old)
    nested = used.with_exec(
        ["sh", "-c", f"unset X; DAGGER_SESSION_TOKEN={old}; {ASK}"],
        experimental_privileged_nesting=True,
        expect=dagger.ReturnType.ANY,
    )
    assert "401" in await nested.stderr()


async def test_the_session_is_not_in_the_key(session):
    async with session() as (dag, heard):
        await asked(dag, "{version}")
    async with session() as (dag, heard):
        await asked(dag, "{version}")
    assert heard.ran == []


async def test_all_capabilities_are_refused_unless_the_session_allows_them(dag):
    box = dag.container().from_("busybox")
    with pytest.raises(dagger.QueryError, match="PIPELINES_ALLOW_INSECURE=1"):
        await box.with_exec(["true"], insecure_root_capabilities=True).sync()


async def test_where_it_is_allowed_a_command_has_all_that_the_engine_has(session, monkeypatch):
    monkeypatch.setenv("PIPELINES_ALLOW_INSECURE", "1")
    script = (
        "grep CapEff /proc/self/status | cut -f2; mkdir /m; mount -t tmpfs x /m && echo mounted"
    )
    async with session() as (dag, heard):
        box = dag.container().from_("busybox")
        plain = box.with_exec(["sh", "-c", script], expect=dagger.ReturnType.ANY)
        ran = box.with_exec(["sh", "-c", script], insecure_root_capabilities=True)
        few, all_ = await plain.stdout(), await ran.stdout()
        capabilities, said = all_.split()
        assert int(capabilities, 16) & int(few.split()[0], 16) == int(few.split()[0], 16)
        assert int(capabilities, 16) > int(few.split()[0], 16)
        assert said == "mounted"
        assert "mounted" not in few
    assert len(heard.ran) == 2

"""Commands: arguments, streams, exit codes, environment."""

import dagger

from tests.parity.case import Differs, Fails, Given, case

C = "Container."
RUN = C + "withExec"
ANY, FAILURE = dagger.ReturnType.ANY, dagger.ReturnType.FAILURE


@case(RUN, C + "stdout", C + "stderr", gives=["out\n", "err\n"])
async def streams_are_kept_apart(given: Given):
    ran = given.sh("echo out; echo err >&2")
    return [await ran.stdout(), await ran.stderr()]


@case(RUN, C + "combinedOutput", gives="out\nerr\n")
async def streams_are_kept_together(given: Given):
    return await given.sh("echo out; sleep 0.2; echo err >&2").combined_output()


@case(RUN, C + "exitCode", gives=[0, 3])
async def an_exit_code_is_read(given: Given):
    fine, failed = given.sh("true"), given.sh("exit 3", expect=ANY)
    return [await fine.exit_code(), await failed.exit_code()]


@case(C + "stdout", gives=Fails("no command|withExec"))
async def without_a_command_there_is_no_output(given: Given):
    return await given.box.stdout()


@case(RUN, gives=[0, "failed", "failed"])
async def a_failure_may_be_expected(given: Given):
    answers: list[object] = []
    for code in (1, 0, 130):
        try:
            ran = given.sh(f"exit {code}", expect=FAILURE)
            answers.append(0 if await ran.exit_code() == code else "other")
        except dagger.QueryError:
            answers.append("failed")
    return answers


@case(RUN, gives=Fails("137|exit code", "ExecError"))
async def a_signal_is_no_expected_failure(given: Given):
    return await given.sh("kill -9 $$", expect=ANY).sync()


@case(RUN, gives=[3, "out", "err", ["sh", "-c", "echo out; echo err >&2; exit 3"]])
async def a_failed_command_says_all_about_itself(given: Given):
    try:
        return await given.sh("echo out; echo err >&2; exit 3").sync()
    except dagger.ExecError as error:
        return [error.exit_code, error.stdout, error.stderr, error.command]


@case(RUN, gives=Fails(r"^exit code: 3", "ExecError"))
async def the_message_of_a_failed_command_is_its_exit_code(given: Given):
    try:
        return await given.sh("exit 3").sync()
    except dagger.ExecError as error:
        assert error.message.startswith("exit code: 3"), error.message
        raise


@case(RUN, gives=["", "kept"])
async def output_beside_an_error_is_stripped(given: Given):
    try:
        return await given.sh("echo '  kept  '>&2; echo; exit 1").sync()
    except dagger.ExecError as error:
        return [error.stdout, error.stderr]


@case(RUN, gives=[102400, True, "end"])
async def long_output_beside_an_error_keeps_its_end(given: Given):
    try:
        return await given.sh("head -c 300000 /dev/zero | tr '\\0' x; printf end; exit 1").sync()
    except dagger.ExecError as error:
        return [len(error.stdout), "omitting" in error.stdout[:80], error.stdout[-3:]]


@case(RUN, gives=Fails(r'"no-such-command": executable file not found in \$PATH', "ExecError"))
async def a_command_that_is_not_there_is_named(given: Given):
    return await given.box.with_exec(["no-such-command"]).sync()


@case(RUN, gives=Fails(r"/no/such/program", "ExecError"))
async def a_program_that_is_not_there_is_named(given: Given):
    return await given.box.with_exec(["/no/such/program"]).sync()


@case(RUN, gives=Fails("args|command|no default", "QueryError"))
async def nothing_to_run_is_an_error(given: Given):
    return await given.box.with_exec([]).sync()


@case(RUN, gives="given")
async def stdin_is_given(given: Given):
    return await given.box.with_exec(["cat"], stdin="given").stdout()


@case(RUN, gives="")
async def stdin_is_empty_if_not_given(given: Given):
    return await given.box.with_exec(["cat"]).stdout()


@case(RUN, gives=["one\n", "one\n", "two\n", ""])
async def streams_are_redirected_to_files(given: Given):
    ran = given.sh("echo one; echo two >&2", redirect_stdout="/o", redirect_stderr="/e")
    return [
        await ran.file("/o").contents(),
        await ran.stdout(),
        await ran.file("/e").contents(),
        await given.sh("true", redirect_stdout="/o").file("/o").contents(),
    ]


@case(RUN, gives="one\n")
async def stdin_is_redirected_from_a_file(given: Given):
    it = given.box.with_new_file("/in", "one\n")
    return await it.with_exec(["cat"], redirect_stdin="/in").stdout()


@case(RUN, gives=Fails("stdin|stdout|redirect"))
async def stdin_comes_from_one_place(given: Given):
    it = given.box.with_new_file("/in", "one\n")
    return await it.with_exec(["cat"], redirect_stdin="/in", stdin="x").stdout()


@case(RUN, gives=["hi\n", "hi there\n", "there\n"])
async def entrypoints_and_default_arguments_make_the_command(given: Given):
    it = given.box.with_entrypoint(["echo", "hi"]).with_default_args(["there"])
    default = given.box.with_default_args(["echo", "there"])
    return [
        await given.box.with_entrypoint(["echo"]).with_exec(["hi"], use_entrypoint=True).stdout(),
        await it.with_exec([], use_entrypoint=True).stdout(),
        await default.with_exec([]).stdout(),
    ]


@case(RUN, gives="plain\n")
async def an_entrypoint_is_not_used_unless_asked_for(given: Given):
    return await given.box.with_entrypoint(["false"]).with_exec(["echo", "plain"]).stdout()


@case(RUN, gives="x/bin:${A}\n")
async def arguments_are_expanded_when_asked_for(given: Given):
    it = given.box.with_env_variable("A", "x")
    expanded = await it.with_exec(["echo", "-n", "${A}/bin:"], expand=True).stdout()
    return expanded + await it.with_exec(["echo", "${A}"]).stdout()


@case(RUN, gives="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")
async def a_command_has_a_search_path(given: Given):
    return await given.sh("echo $PATH").stdout()


@case(RUN, gives=["HOME=/root", "HOME=/home/bob"])
async def a_command_has_its_users_home(given: Given):
    root, bob = given.sh("env"), given.box.with_user("bob").with_exec(["env"])
    listed = [(await ran.stdout()).splitlines() for ran in (root, bob)]
    return [line for lines in listed for line in lines if line.startswith("HOME=")]


@case(RUN, gives="dagger\n")
async def the_host_has_a_name(given: Given):
    return await given.sh("hostname").stdout()


@case(RUN, gives="a�b")
async def output_that_is_no_text_is_replaced(given: Given):
    return await given.sh(r"printf 'a\377b'").stdout()


@case(RUN, gives="300000")
async def output_is_kept_whole(given: Given):
    return str(len(await given.sh("head -c 300000 /dev/zero | tr '\\0' x").stdout()))


@case(RUN, gives="sub/file\n")
async def what_a_command_writes_is_there_for_the_next(given: Given):
    ran = given.sh("mkdir -p /w/sub; touch /w/sub/file").with_workdir("/w")
    return await ran.with_exec(["find", "sub", "-type", "f"]).stdout()


@case(RUN, gives=True)
async def the_same_command_is_not_run_again(given: Given):
    script = "head -c8 /dev/urandom | od -An -tx1"
    return await given.sh(script).stdout() == await given.sh(script).stdout()


@case(
    RUN,
    gives=True,
    differs=Differs(
        "The order in which variables are set does not change what a command sees.", dagger=False
    ),
)
async def the_order_of_variables_does_not_run_a_command_again(given: Given):
    script = ["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"]
    one = given.box.with_env_variable("A", "1").with_env_variable("B", "2")
    two = given.box.with_env_variable("B", "2").with_env_variable("A", "1")
    return await one.with_exec(script).stdout() == await two.with_exec(script).stdout()


@case(
    RUN,
    C + "withLabel",
    gives=True,
    differs=Differs("A label is not seen by a command, so it is not in its key.", dagger=False),
)
async def a_label_does_not_run_a_command_again(given: Given):
    script = ["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"]
    one, two = (given.box.with_label("l", value).with_exec(script) for value in ("1", "2"))
    return await one.stdout() == await two.stdout()


@case(
    RUN,
    gives=True,
    differs=Differs(
        "An output equal to the one before stops what depends on it from running again.",
        dagger=False,
    ),
)
async def an_equal_output_stops_the_rebuild(given: Given):
    made = [given.sh(f"echo same > /out # {n}").file("/out") for n in (1, 2)]
    script = ["sh", "-c", "cat /in; head -c8 /dev/urandom | od -An -tx1"]
    one, two = (given.box.with_file("/in", f).with_exec(script) for f in made)
    return await one.stdout() == await two.stdout()


@case(RUN, gives="1\n")
async def a_command_is_in_a_process_namespace_of_its_own(given: Given):
    return await given.sh("cat /proc/1/comm | wc -l").stdout()


@case(RUN, C + "sync", gives="2")
async def a_synced_container_goes_on(given: Given):
    ran = await given.sh("echo -n 1 > /f").sync()
    return await ran.with_exec(["sh", "-c", "test $(cat /f) = 1 && printf 2"]).stdout()


@case(C + "withExec", gives="set\n")
async def a_command_is_a_client_of_the_engine(given: Given):
    script = 'test -n "$DAGGER_SESSION_PORT" && test -n "$DAGGER_SESSION_TOKEN" && echo set'
    it = given.box.with_exec(["sh", "-c", script], experimental_privileged_nesting=True)
    return await it.stdout()


@case(RUN, gives="77:88 755\n")
async def a_working_directory_that_is_made_belongs_to_the_user(given: Given):
    it = given.box.with_user("bob").with_workdir("/new")
    return await it.with_exec(["stat", "-c", "%u:%g %a", "/new"]).stdout()


@case(
    RUN,
    gives=[127, 126],
    differs=Differs("The exit codes are those that a shell gives.", dagger=[1, 1]),
)
async def what_can_not_be_run_has_an_exit_code(given: Given):
    it = given.box.with_new_file("/plain", "")
    asked = (["no-such-command"], ["/plain"])
    return [await it.with_exec(list(one), expect=ANY).exit_code() for one in asked]


@case(
    RUN,
    gives="1\n",
    differs=Differs(
        "A set-user-id program gives nobody more power: `sudo` and `su` do not work.", dagger="0\n"
    ),
)
async def a_command_gains_no_privileges(given: Given):
    return await given.sh("grep NoNewPrivs /proc/self/status | cut -f2").stdout()


@case(
    "Container.withEnvVariable",
    gives="/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    differs=Differs("`PATH` expands to what a command would see.", dagger="/x:"),
)
async def the_default_search_path_is_expanded(given: Given):
    return await given.box.with_env_variable("P", "/x:$PATH", expand=True).env_variable("P")

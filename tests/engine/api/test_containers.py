# ruff: noqa: E501  # a query is read best on one line
import json

import pytest

from pipelines.engine.api.container import Container
from pipelines.engine.api.ids import identify
from pipelines.engine.keys import DEFAULT_PATH
from pipelines.engine.op import Archive, CacheMount, Copy, Edge, Remove, Rootfs, Scratch, Write

FROM = '{container{from(address:"alpine"){%s}}}'
TREE = '{directory{withNewFile(path:"a.txt",contents:"one"){withNewFile(path:"sub/b",contents:"2"){id}}}}'


@pytest.fixture
def tree(ask):
    return ask(TREE)


@pytest.fixture
def file(ask):
    return ask('{file(name:"f",contents:"text\\n",permissions:384){id}}')


@pytest.fixture
def cache(ask):
    return ask('{cacheVolume(key:"k",sharing:LOCKED){id}}')


@pytest.fixture
def secret(ask):
    return ask('{setSecret(name:"token",plaintext:"hunter2"){id}}')


@pytest.fixture
def chain(ask, session):
    """Build a container from a chain of calls and give the object."""

    def build(calls, start="container"):
        fields = [start, *calls, "id"]
        query = "{" + "{".join(fields) + "}" * len(fields)
        return session.objects.find(ask(query))

    return build


# --- images ------------------------------------------------------------------------------


def test_an_image_brings_its_configuration(chain):
    found = chain(['from(address:"alpine")'])
    config = found.config
    assert found.rootfs == Edge(Rootfs("sha256:" + "a" * 64, "linux/amd64"))
    assert config.env == (("PATH", "/opt/bin:/bin"), ("LANG", "C=UTF"))
    assert (config.entrypoint, config.default_args) == (("/init",), ("sh",))
    assert (config.user, config.workdir, config.stop_signal) == ("app", "/work", "SIGINT")
    assert config.healthcheck.interval == "5s"


def test_an_image_keeps_what_was_set_before(chain):
    before = ['withEnvVariable(name:"LANG",value:"x")', 'withEnvVariable(name:"MINE",value:"1")']
    env = dict(chain([*before, 'from(address:"alpine")']).config.env)
    assert env == {"LANG": "C=UTF", "MINE": "1", "PATH": "/opt/bin:/bin"}


def test_an_image_that_is_not_there_is_an_error(refused):
    error = refused('{container{from(address:"nope"){id}}}')
    assert (error["message"], error["extensions"]["_type"]) == ("nope: not found", "IMAGE_ERROR")


def test_an_archive_is_imported(ask, file):
    query = f'{{container{{import(source:"{file}",tag:"v1"){{imageRef user}}}}}}'
    assert ask(query) == {"imageRef": "f:v1", "user": "imported"}


def test_an_image_reference_goes_with_its_root(ask, refused):
    assert ask(FROM % "imageRef") == "alpine@sha256:a"
    changed = FROM % 'withNewFile(path:"/x",contents:""){imageRef}'
    assert (
        "no longer" in refused(changed)["message"]
        or "not that of an image" in refused(changed)["message"]
    )


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ('withNewFile(path:"/x",contents:""){withExec(args:["x"])', True),
        ('withExec(args:["x"]){withoutFile(path:"/x")', True),
        ('withLabel(name:"a",value:"b"){withRootfs(directory:"%s")', False),
    ],
)
def test_an_archive_names_the_image_that_it_was_made_from(ask, session, fields, base):
    empty = ask("{directory{id}}")
    query = FROM % (fields.replace("%s", empty) + "{asTarball{id}}}")
    (variant,) = session.objects.find(ask(query)).edge.op.variants
    assert (variant.base == session.engine.images["alpine"].digest) is base


def test_the_epoch_keys_an_archive_and_nothing_else(ask, session):
    query = FROM % 'withExec(args:["x"]){asTarball{id} rootfs{id}}'
    found = []
    for epoch in (None, 1):
        session.engine.epoch = epoch
        answer = ask(query)
        archive, root = (session.objects.find(answer[name]["id"]) for name in answer)
        found.append((archive.edge.op.digest, root.edge.op.digest))
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


def test_an_archive_holds_the_configuration(chain, ask, session):
    name = ask(
        FROM % 'withLabel(name:"two",value:"2"){withAnnotation(name:"n",value:"v"){asTarball{id}}}'
    )
    op = session.objects.find(name).edge.op
    assert isinstance(op, Archive)
    (variant,) = op.variants
    assert variant.annotations == (("n", "v"),)
    assert json.loads(variant.config) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Cmd": ["sh"],
            "Entrypoint": ["/init"],
            "Env": ["PATH=/opt/bin:/bin", "LANG=C=UTF"],
            "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Interval": 5_000_000_000, "Test": ["CMD", "true"]},
            "Labels": {"one": "1", "two": "2"},
            "StopSignal": "SIGINT",
            "User": "app",
            "Volumes": {"/data": {}},
            "WorkingDir": "/work",
        },
    }


def test_an_empty_receiver_is_no_variant(ask, session):
    ids = [
        ask(f'{{container(platform:"linux/{arch}"){{withNewFile(path:"/a",contents:""){{id}}}}}}')
        for arch in ("amd64", "arm/v6")
    ]
    query = f'{{container{{asTarball(platformVariants:["{ids[0]}","{ids[1]}"],forcedCompression:ZSTD){{id}}}}}}'
    op = session.objects.find(ask(query)).edge.op
    assert [v.platform for v in op.variants] == ["linux/amd64", "linux/arm/v6"]
    assert json.loads(op.variants[1].config)["variant"] == "v6"
    assert op.compression == "Zstd"


def test_two_variants_of_a_platform_are_refused(ask, refused):
    name = ask('{container{withNewFile(path:"/a",contents:""){id}}}')
    query = f'{{container{{asTarball(platformVariants:["{name}","{name}"]){{id}}}}}}'
    assert "two for linux/amd64" in refused(query)["message"]


def test_an_image_is_exported(ask, engine):
    assert ask('{container{export(path:"out.tar")}}') == str(engine.workdir / "out.tar")
    assert engine.exported == [(["image.tar"], "out.tar", False)]


# --- configuration -----------------------------------------------------------------------

CONFIGURED = {
    'withEnvVariable(name:"A",value:"1"){withEnvVariable(name:"A",value:"2"){envVariable(name:"A")}}': "2",
    'withEnvVariable(name:"A",value:"$LANG:${NO}",expand:true){envVariable(name:"A")}': "C=UTF:",
    'withoutEnvVariable(name:"LANG"){envVariable(name:"LANG")}': None,
    'label(name:"one")': "1",
    'withoutLabel(name:"one"){label(name:"one")}': None,
    "workdir": "/work",
    'withWorkdir(path:"sub/.."){withWorkdir(path:"x"){workdir}}': "/work/x",
    "withoutWorkdir{workdir}": "",
    "user": "app",
    "withoutUser{user}": "",
    "entrypoint": ["/init"],
    'withEntrypoint(args:["a"]){defaultArgs}': [],
    'withEntrypoint(args:["a"],keepDefaultArgs:true){defaultArgs}': ["sh"],
    "withoutEntrypoint{entrypoint}": [],
    "withoutEntrypoint(keepDefaultArgs:true){defaultArgs}": ["sh"],
    'withDefaultArgs(args:["x"]){defaultArgs}': ["x"],
    "withoutDefaultArgs{defaultArgs}": [],
    "withoutExposedPort(port:80){exposedPorts{port}}": [],
    'withDockerHealthcheck(args:["a"],shell:true,interval:"1m30s"){dockerHealthcheck{interval}}': "1m30s",
    "withoutDockerHealthcheck{dockerHealthcheck{interval}}": None,
}


@pytest.mark.parametrize("calls", CONFIGURED)
def test_configuration_is_set_and_read(ask, calls):
    assert ask(FROM % calls) == CONFIGURED[calls]


def test_ports_are_kept_by_number_and_protocol(ask):
    calls = 'withExposedPort(port:53,protocol:UDP,description:"dns"){withExposedPort(port:53){exposedPorts{%s}}}'
    fields = "port protocol description experimentalSkipHealthcheck"
    assert ask(FROM % (calls % fields))[1:] == [
        {"port": 53, "protocol": "UDP", "description": "dns", "experimentalSkipHealthcheck": False},
        {"port": 53, "protocol": "TCP", "description": None, "experimentalSkipHealthcheck": False},
    ]


WRONG = {
    'container{withEnvVariable(name:"",value:""){id}}': "not a variable's name",
    "container{withExposedPort(port:70000){id}}": "not a port: 70000",
    'container(platform:"amd64"){id}': "expected os/arch",
    'container{withDockerHealthcheck(args:["true"],interval:"soon"){id}}': "not a duration: 'soon'",
    'container{withError(err:"no way"){stdout}}': "no way",
    'container{withMountedTemp(path:"/"){id}}': "use withRootfs",
    'container{withMountedTemp(path:"/x",size:0){id}}': "size is 0",
    "container{stdout}": "call withExec first",
    "container{exitCode}": "call withExec first",
    "container{imageRef}": "not that of an image",
    "container{withExec(args:[]){id}}": "no default args",
    'container{file(path:"/"){id}}': "is a directory",
    'cacheVolume(key:""){id}': "key is empty",
    'file(name:"a/b",contents:""){id}': "a name is wanted",
    'directory{chown(path:".",owner:""){id}}': "owner is empty",
    'directory{withNewFile(path:"../x",contents:""){id}}': "leaves the directory",
}


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_argument_says_what_is_wrong(refused, query):
    assert WRONG[query] in refused("{" + query + "}")["message"]


def test_no_error_is_no_error(ask):
    assert ask('{container{withError(err:""){user}}}') == ""


# --- commands ----------------------------------------------------------------------------


def test_a_commands_output_is_answered(asked, engine):
    engine.prints = b"caf\xc3\xa9 \xff"
    found = asked(FROM % 'withExec(args:["a"]){stdout stderr combinedOutput exitCode}')
    assert found["data"]["container"]["from"]["withExec"] == {
        "stdout": "café \ufffd",
        "stderr": "warned",
        "combinedOutput": "both",
        "exitCode": 0,
    }


ARGS = {
    'withExec(args:["a"])': ("a",),
    'withExec(args:["a"],useEntrypoint:true)': ("/init", "a"),
    "withExec(args:[])": ("sh",),
    "withExec(args:[],useEntrypoint:true)": ("/init", "sh"),
    'withExec(args:["$LANG","${USER}-"],expand:true)': ("C=UTF", "-"),
    'withExec(args:["$LANG"])': ("$LANG",),
}


@pytest.mark.parametrize("call", ARGS)
def test_a_command_is_made_of_entrypoint_and_arguments(chain, call):
    assert chain(['from(address:"alpine")', call]).last.args == ARGS[call]


def test_a_command_has_a_complete_environment(chain):
    found = chain(['withEnvVariable(name:"B",value:"1")', 'withExec(args:["a"])']).last
    assert found.env == (("B", "1"), ("PATH", DEFAULT_PATH))


def test_the_order_of_calls_before_a_command_does_not_matter(chain, cache):
    calls = [
        'withEnvVariable(name:"A",value:"1")',
        'withEnvVariable(name:"B",value:"1")',
        f'withMountedCache(path:"/c",cache:"{cache}")',
        'withMountedTemp(path:"/a")',
        'withLabel(name:"l",value:"1")',
    ]
    run = 'withExec(args:["a"])'
    assert chain([*calls, run]).last == chain([*calls[::-1], run]).last


def test_power_over_the_machine_is_given_only_where_it_is_allowed(refused, chain, engine):
    insecure = 'withExec(args:["a"],insecureRootCapabilities:true)'
    error = refused(f"{{container{{{insecure}{{id}}}}}}")
    assert error["extensions"]["field"] == "Container.withExec(insecureRootCapabilities)"
    engine.insecure = True
    assert chain([insecure]).last.insecure


def test_a_command_with_a_session_of_its_own_is_on_the_machines_network(chain):
    made = chain(['withExec(args:["a"],experimentalPrivilegedNesting:true)']).last
    assert (made.nested, made.network) == (True, "host")
    assert chain(['withExec(args:["a"])']).last.network == "private"


def test_a_command_goes_on_from_the_last(chain):
    found = chain(['withExec(args:["a"])', 'withExec(args:["b"])'])
    assert found.last.root.op.args == ("a",)
    assert found.rootfs == Edge(found.last)


def test_what_a_command_wrote_to_a_mount_is_seen_by_the_next(chain, tree):
    mount = f'withMountedDirectory(path:"/src",source:"{tree}",owner:"1")'
    first = chain([mount, 'withExec(args:["a"])'])
    assert first.mounts[0].source == Edge(first.last, "/src")
    assert first.mounts[0].owner == ""


def test_read_only_mounts_and_files_stay_what_they_were(chain, tree, file):
    mounts = [
        f'withMountedDirectory(path:"/src",source:"{tree}",readOnly:true)',
        f'withMountedFile(path:"/f",source:"{file}")',
    ]
    before = chain(mounts).mounts
    assert chain([*mounts, 'withExec(args:["a"])']).mounts == before


def test_a_secret_reaches_the_command_by_name_only(chain, secret):
    found = chain([f'withSecretVariable(name:"T",secret:"{secret}")', 'withExec(args:["a"])']).last
    ((name, ref),) = found.secret_env
    assert (name, ref.name, ref.value()) == ("T", "token", b"hunter2")
    assert "hunter2" not in repr(found)


def test_the_last_setting_of_a_variable_counts(chain, secret):
    plain, hidden = (
        'withEnvVariable(name:"T",value:"x")',
        f'withSecretVariable(name:"T",secret:"{secret}")',
    )
    volatile = 'withVolatileVariable(name:"T",value:"v")'
    assert chain([hidden, plain]).secret_env == ()
    assert chain([plain, hidden]).config.env == ()
    assert chain([hidden, volatile]).hidden == {"T"}
    assert chain([volatile, 'withoutVolatileVariable(name:"T")']).volatile == ()
    assert chain([hidden, 'withoutSecretVariable(name:"T")']).secret_env == ()


def test_a_volatile_value_is_not_in_the_key(chain):
    runs = [
        chain([f'withVolatileVariable(name:"RUN",value:"{n}")', 'withExec(args:["a"])'])
        for n in "12"
    ]
    assert runs[0].last == runs[1].last
    assert [run.last.volatile for run in runs] == [(("RUN", "1"),), (("RUN", "2"),)]


def test_an_expansion_does_not_show_a_secret(refused, secret):
    call = (
        f'withSecretVariable(name:"T",secret:"{secret}"){{withExec(args:["$T"],expand:true){{id}}}}'
    )
    assert "a secret or volatile variable" in refused("{container{" + call + "}}")["message"]


def test_syncing_runs_the_command_once(ask, engine, session):
    name = ask('{container{withExec(args:["a"]){sync}}}')
    assert isinstance(session.objects.find(name), Container)
    assert len([op for op in engine.ran if op.args == ("a",)]) >= 1


# --- mounts and files --------------------------------------------------------------------


def test_a_new_mount_hides_what_is_below_it(chain):
    paths = ["/a/b", "/ab", "/a"]
    assert [m.target for m in chain([f'withMountedTemp(path:"{p}")' for p in paths]).mounts] == [
        "/ab",
        "/a",
    ]


def test_a_mount_is_taken_away(ask):
    calls = 'withMountedTemp(path:"x"){withMountedTemp(path:"/y"){withoutMount(path:"x"){mounts}}}'
    assert ask(FROM % calls) == ["/y"]


def test_a_cache_volume_has_one_identity(chain, ask):
    plain, locked = (
        ask('{cacheVolume(key:"k"){id}}'),
        ask('{cacheVolume(key:"k",sharing:LOCKED){id}}'),
    )
    made = [
        chain(
            [f'withMountedCache(path:"/c",cache:"{plain}",sharing:LOCKED)', 'withExec(args:["a"])']
        ),
        chain([f'withMountedCache(path:"/c",cache:"{locked}")', 'withExec(args:["a"])']),
        chain([f'withMountedCache(path:"/c",cache:"{plain}")', 'withExec(args:["a"])']),
    ]
    assert len({one.last for one in made}) == 1
    mounts = [one.mounts[0] for one in made]
    assert all(isinstance(m, CacheMount) for m in mounts)
    assert [m.volume.sharing for m in mounts] == ["LOCKED", "LOCKED", "SHARED"]


def test_files_are_put_on_the_root(ask, chain, tree, file):
    found = chain(
        [
            'withWorkdir(path:"/w")',
            f'withDirectory(path:"/d",source:"{tree}",include:["sub"])',
            f'withFile(path:"in/",source:"{file}")',
            f'withFiles(path:"/many",sources:["{file}"])',
            'withNewFile(path:"n",contents:"x")',
            'withSymlink(target:"n",linkName:"l")',
            "rootfs",
        ]
    )
    query = 'query($d: ID!) {node(id: $d) {... on Directory {glob(pattern: "**")}}}'
    assert ask(query, d=identify(found)) == [
        "d/",
        "d/sub/",
        "d/sub/b",
        "many/",
        "many/f",
        "w/",
        "w/in/",
        "w/in/f",
        "w/l",
        "w/n",
    ]


def test_files_are_taken_away(ask, tree):
    calls = 'withoutDirectory(path:"/d/sub"){withoutFile(path:"/d/a.*"){withoutFiles(paths:["/x"]){rootfs{glob(pattern:"**")}}}}'
    assert ask(f'{{container{{withDirectory(path:"/d",source:"{tree}"){{{calls}}}}}}}') == ["d/"]


def test_a_path_in_a_mount_is_the_mounts(chain, tree):
    mount = f'withMountedDirectory(path:"/src",source:"{tree}")'
    found = chain([mount, 'withNewFile(path:"/src/new",contents:"")'])
    assert isinstance(found.rootfs.op, Scratch)
    assert isinstance(found.mounts[0].source.op, Write)
    assert found.mounts[0].source.op.path == "new"


def test_what_is_mounted_is_looked_at(ask, tree, file):
    mounts = f'withMountedDirectory(path:"/src",source:"{tree}"){{withMountedFile(path:"/f",source:"{file}"){{%s}}}}'
    assert ask("{container{" + mounts % 'directory(path:"/src/sub"){entries}' + "}}") == ["b"]
    assert ask("{container{" + mounts % 'file(path:"/src/a.txt"){contents}' + "}}") == "one"
    assert ask("{container{" + mounts % 'file(path:"/f"){contents}' + "}}") == "text\n"
    assert (
        ask("{container{" + mounts % 'exists(path:"/f",expectedType:REGULAR_TYPE)' + "}}") is True
    )
    assert ask("{container{" + mounts % 'stat(path:"/f"){permissions}' + "}}") == 0o600


@pytest.mark.parametrize(
    ("mount", "kind"),
    [
        ('withMountedCache(path:"/m",cache:"{cache}")', "cache"),
        ('withMountedTemp(path:"/m")', "tmpfs"),
        ('withMountedSecret(path:"/m",source:"{secret}")', "secret"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        'directory(path:"/m/x"){id}',
        'file(path:"/m/x"){id}',
        'withNewFile(path:"/m/x",contents:""){id}',
    ],
)
def test_what_is_not_in_the_graph_is_not_given(refused, cache, secret, mount, kind, call):  # noqa: PLR0917
    mount = mount.replace("{cache}", cache).replace("{secret}", secret)
    message = refused("{container{" + mount + "{" + call + "}}}")["message"]
    assert message.startswith(f"/m/x: cannot retrieve path from {kind}")


def test_a_mounted_file_is_not_written_to(refused, file):
    call = f'withMountedFile(path:"/f",source:"{file}"){{withNewFile(path:"/f",contents:""){{id}}}}'
    assert "a file is mounted there" in refused("{container{" + call + "}}")["message"]


def test_the_root_goes_round(chain, ask):
    root = ask(FROM % "rootfs{id}")
    found = chain([f'withRootfs(directory:"{root}")', 'withExec(args:["a"])'])
    assert isinstance(found.last.root.op, Rootfs)


def test_a_changed_root_is_still_a_snapshot(chain, ask):
    root = ask(FROM % 'rootfs{withNewFile(path:"a",contents:""){withoutFile(path:"a"){id}}}')
    assert isinstance(chain([f'withRootfs(directory:"{root}")']).rootfs.op, Remove)


def test_a_tree_becomes_a_layer_of_an_empty_root(chain, ask, tree):
    filtered = ask(FROM % 'rootfs{filter(include:["bin"]){id}}')
    for name in (tree, filtered):
        op = chain([f'withRootfs(directory:"{name}")']).rootfs.op
        assert isinstance(op, Copy)
        assert (type(op.base.op), op.path) == (Scratch, "")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ('path:"bin"', True),
        ('path:"bin/sh"', True),
        ('path:"/bin/sh",expectedType:REGULAR_TYPE', True),
        ('path:"/bin/sh",expectedType:DIRECTORY_TYPE', False),
        ('path:"/no"', False),
        ('path:"/link",expectedType:SYMLINK_TYPE', True),
        ('path:"/link",expectedType:REGULAR_TYPE', True),
        ('path:"/link",expectedType:REGULAR_TYPE,doNotFollowSymlinks:true', False),
        ('path:"$LANG",expand:true', False),
    ],
)
def test_a_path_exists_or_not(ask, arguments, found):
    calls = (
        f'withoutWorkdir{{withSymlink(target:"bin/sh",linkName:"/link"){{exists({arguments})}}}}'
    )
    assert ask(FROM % calls) is found


def test_what_is_at_a_path_is_described(asked):
    found = asked(FROM % 'stat(path:"/bin/sh"){name size fileType permissions}')
    assert found["data"]["container"]["from"]["stat"] == {
        "name": "sh",
        "size": 2,
        "fileType": "REGULAR",
        "permissions": 0o755,
    }


def test_nothing_at_a_path_is_an_error(refused):
    error = refused(FROM % 'stat(path:"no"){size}')
    assert (error["message"], error["extensions"]["_type"]) == (
        "stat /work/no: no such file or directory",
        "PATH_ERROR",
    )


def test_a_copy_says_all_that_it_was_told(chain, tree):
    call = f'withDirectory(path:"/d/",source:"{tree}",exclude:["x"],gitignore:true,owner:"a:b",permissions:448)'
    op = chain([call]).rootfs.op
    assert isinstance(op, Copy)
    assert (op.path, op.exclude, op.gitignore, op.owner, op.mode) == (
        "d",
        ("x",),
        True,
        "a:b",
        0o700,
    )

"""Git and the web, as fields: what is pinned when, and what ids and answers say."""

import json

import pytest

from pipelines.engine.names.refs import Refs
from pipelines.engine.op import GitTree, HttpFile, HttpSource

MAIN, OLD = "a" * 40, "b" * 40
LISTING = (
    f"ref: refs/heads/main\tHEAD\n{MAIN}\tHEAD\n{MAIN}\trefs/heads/main\n{OLD}\trefs/tags/v1.0.0\n"
)


class FakeWorld:
    """A world of one repository and one page; `asked` is what was looked at."""

    smudges = False

    def __init__(self):
        self.asked = []

    async def pin(self, access, name):
        return (await self.refs(access)).find(name)

    async def refs(self, access):
        self.asked.append(access)
        return Refs.of_listing(access.remote.url, LISTING)

    async def refs_in(self, tree):
        self.asked.append(sorted(tree))
        return Refs.of_listing("of the directory", LISTING)

    async def ancestor(self, access, tree, pair):
        self.asked.append(pair)
        return OLD

    async def body(self, source):
        self.asked.append(source)
        return "c" * 64, 5


@pytest.fixture
def world(engine):
    engine.world = FakeWorld()
    return engine.world


@pytest.fixture
def op(session, ask):
    """Ask for an object and give the op of it."""
    return lambda query: session.objects.find(ask(query)).base.op


def git(rest, arguments=""):
    return f'{{git(url:"https://h/x"{arguments}){{{rest}}}}}'


def test_a_commit_asks_nobody(op, world):
    made = op(git(f'commit(id:"{OLD}"){{tree{{id}}}}'))
    assert (made.commit, world.asked) == (OLD, [])


def test_a_branch_is_pinned_to_its_commit(op, world):
    made = op(git('branch(name:"main"){tree{id}}'))
    assert isinstance(made, GitTree)
    assert (made.commit, made.ref, made.origin) == (MAIN, "refs/heads/main", "https://h/x")


@pytest.mark.parametrize("way", ["head", 'branch(name:"main")', f'commit(id:"{MAIN}")'])
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_without_git_dir_all_ways_to_a_commit_are_one_tree(op, world, way, depth):
    more = f"discardGitDir:true,depth:{depth},includeTags:true"
    assert op(git(f"{way}{{tree({more}){{id}}}}")).digest == GitTree(MAIN).digest


def test_tags_are_pinned_with_a_tree_that_has_them(op, world):
    made = op(git("head{tree(includeTags:true){id}}"))
    assert made.tags == (("refs/tags/v1.0.0", OLD),)


def test_credentials_in_an_address_are_in_no_answer_and_no_id(session, ask, world):
    ask('{git(url:"https://me:hunter2-pw@h/x"){head{commit}}}')
    (access,) = world.asked
    assert access.token.value() == b"hunter2-pw"
    assert ask('{git(url:"https://me:hunter2-pw@h/x"){url}}') == "https://h/x"
    assert "hunter2" not in json.dumps(list(session.objects._by_id))


def test_a_lone_user_in_an_address_is_a_token(ask, world):
    ask('{git(url:"https://tok-en@h/x"){head{commit}}}')
    (access,) = world.asked
    assert (access.username, access.token.value()) == ("", b"tok-en")


def test_a_token_goes_with_https_only(ask, refused, world):
    token = ask('{setSecret(name:"t",plaintext:"hunter2"){id}}')
    query = f'{{git(url:"git@h:x",httpAuthToken:"{token}"){{url}}}}'
    assert "are for https addresses" in refused(query)["message"]


def test_a_short_commit_is_refused(refused, world):
    assert "all 40 digits" in refused(git('commit(id:"abc"){commit}'))["message"]


def test_a_directory_is_asked_for_its_refs(ask, world):
    made = '{directory{withNewFile(path:".git/HEAD",contents:"x"){asGit{head{commit}}}}}'
    assert ask(made) == MAIN
    assert world.asked == [[".git", ".git/HEAD"]]


def test_the_ancestor_of_one_commit_is_itself(session, ask, world):
    one = ask(git(f'commit(id:"{MAIN}"){{id}}'))
    query = git(f'commit(id:"{MAIN}"){{commonAncestor(other:"{one}"){{commit}}}}')
    assert (ask(query), world.asked) == (MAIN, [])


SERVICE = '{container{withExposedPort(port:80){asService(args:"serve"){id}}}}'


def test_a_repository_is_reached_by_a_service(ask, world):
    arguments = f'url:"http://git/x",experimentalServiceHost:"{ask(SERVICE)}"'
    ask(f"{{git({arguments}){{head{{commit}}}}}}")
    (access,) = world.asked
    assert access.service is not None


@pytest.mark.parametrize(
    ("field", "message"),
    [("git(url:{}){url}", "by http:// or git://"), ("http(url:{}){id}", "by http://")],
)
def test_a_service_is_reached_by_plain_protocols(ask, refused, world, field, message):
    arguments = f'"https://h/x",experimentalServiceHost:"{ask(SERVICE)}"'
    assert message in refused("{" + field.replace("{}", arguments) + "}")["message"]


def test_a_download_is_pinned_when_it_is_named(op, world):
    made = op('{http(url:"https://u:hunter2-pw@h/a/f.txt?q"){id}}')
    assert isinstance(made, HttpFile)
    assert (made.body, made.size, made.name, made.mode) == ("c" * 64, 5, "f.txt", 0o600)
    (source,) = world.asked
    assert source.url == "https://h/a/f.txt?q"
    assert source.header.value().startswith(b"Basic ")


def test_a_checksum_is_read_before_anything_is_asked(refused, world):
    assert "is not a digest" in refused('{http(url:"https://h/f",checksum:"x"){id}}')["message"]
    assert world.asked == []


def test_equal_downloads_are_one(op, world):
    one, other = (op(f'{{http(url:"https://{host}/f"){{id}}}}') for host in ("h", "mirror"))
    assert one.digest == other.digest
    assert world.asked == [HttpSource("https://h/f"), HttpSource("https://mirror/f")]


@pytest.mark.parametrize(
    ("address", "wanted", "found"),
    [
        ("https://h/x#main", "gitRef{commit}", MAIN),
        ("https://h/x", "gitRef{ref}", "refs/heads/main"),
        ("git@h:x#v1.0.0", "gitRef{commit}", OLD),
        ("https://h/x", "gitRepository{url}", "https://h/x"),
    ],
)
def test_an_address_names_a_repository_or_a_ref(ask, world, address, wanted, found):
    assert ask(f'{{address(value:"{address}"){{{wanted}}}}}') == found


@pytest.mark.parametrize(
    ("address", "wanted", "message"),
    [
        ("https://h/x#main", "gitRepository{url}", "use gitRef"),
        ("https://h/x#main:sub", "gitRef{ref}", "use directory"),
        ("https://u:hunter2@h/x#main", "file{name}", "write URL#REF:PATH"),
    ],
)
def test_an_address_that_names_too_much_is_refused(refused, world, address, wanted, message):
    shown = refused(f'{{address(value:"{address}"){{{wanted}}}}}')["message"]
    assert message in shown
    assert "hunter2" not in shown


def test_an_address_names_what_is_in_a_repository(op, session, ask, world):
    made = op('{address(value:"https://h/x#v1.0.0:sub"){directory{id}}}')
    assert (made.commit, made.keep_git_dir) == (OLD, True)
    file = session.objects.find(ask('{address(value:"https://h/x#main:a/b"){file{id}}}'))
    assert (file.base.op, file.path) == (GitTree(MAIN), "a/b")

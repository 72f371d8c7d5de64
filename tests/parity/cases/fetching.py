"""Sources of the network: git and http. The servers are this machine's own, on its loopback."""

import hashlib

from tests.gitserver import Repository, serving
from tests.parity.case import Fails, Given, case
from tests.webserver import Reply, web

G, R = "GitRepository.", "GitRef."
GIT = ("git", "loopback")
WEB = ("loopback",)


def repository(given: Given) -> Repository:
    made = Repository(given.path / "served/one")
    made.first = made.commit(a="1")
    made.git("tag", "v1.0.0")
    made.second = made.commit(a="2", sub__b="b")
    made.git("branch", "release/1", made.first)
    return made


@case("Query.git", G + "tags", G + "branches", G + "url", needs=GIT,
      gives=[["v1.0.0"], ["main", "release/1"], True])  # fmt: skip
async def a_repository_is_looked_at(given: Given):
    repository(given)
    with serving(given.path / "served") as server:
        it = given.dag.git(f"{server.url}/one")
        return [
            await it.tags(),
            sorted(await it.branches()),
            await it.url() == f"{server.url}/one",
        ]


@case(G + "head", G + "branch", G + "tag", G + "commit", G + "ref", R + "commit", R + "ref",
      needs=GIT,
      gives=["second", "first", "first", "first", "first", "refs/heads/main"])  # fmt: skip
async def a_ref_is_a_commit(given: Given):
    made = repository(given)
    names = {made.first: "first", made.second: "second"}
    with serving(given.path / "served") as server:
        it = given.dag.git(f"{server.url}/one")
        refs = [
            it.head(),
            it.branch("release/1"),
            it.tag("v1.0.0"),
            it.commit(made.first),
            it.ref("v1.0.0"),
        ]
        return [*[names[await ref.commit()] for ref in refs], await it.head().ref()]


@case(R + "tree", needs=GIT, gives=[["a", "sub/"], "2", [".git/", "a", "sub/"]])
async def a_tree_is_checked_out(given: Given):
    repository(given)
    with serving(given.path / "served") as server:
        head = given.dag.git(f"{server.url}/one").head()
        tree = head.tree(discard_git_dir=True)
        return [
            await tree.entries(),
            await tree.file("a").contents(),
            await head.tree().entries(),
        ]


@case(G + "latestVersion", R + "ref", needs=GIT, gives="refs/tags/v1.0.0")
async def the_latest_version_is_found(given: Given):
    repository(given)
    with serving(given.path / "served") as server:
        return await given.dag.git(f"{server.url}/one").latest_version().ref()


@case(R + "commonAncestor", needs=GIT, gives=True)
async def a_common_ancestor_is_found(given: Given):
    made = repository(given)
    with serving(given.path / "served") as server:
        it = given.dag.git(f"{server.url}/one")
        return await it.head().common_ancestor(it.tag("v1.0.0")).commit() == made.first


@case(G + "branch", needs=GIT, gives=Fails("nope"))
async def a_branch_that_is_not_there_is_named(given: Given):
    repository(given)
    with serving(given.path / "served") as server:
        return await given.dag.git(f"{server.url}/one").branch("nope").commit()


@case(G + "head", needs=GIT, gives=Fails("(?i)not found|404|does not exist|repository"))
async def a_repository_that_is_not_there_is_an_error(given: Given):
    repository(given)
    with serving(given.path / "served") as server:
        return await given.dag.git(f"{server.url}/nope").head().commit()


@case("Directory.asGit", R + "commit", needs=("git",), gives=True)
async def a_directory_is_a_repository(given: Given):
    made = repository(given)
    it = given.dag.host().directory(str(given.path / "served/one")).as_git()
    return await it.head().commit() == made.second


@case("Query.http", needs=WEB, gives=["text", "tool.tar", 0o600])
async def a_file_is_fetched(given: Given):
    with web() as server:
        server.pages["/d/tool.tar"] = Reply(body=b"text")
        it = given.dag.http(f"{server.url}/d/tool.tar")
        return [await it.contents(), await it.name(), await it.stat().permissions()]


@case("Query.http", needs=WEB, gives=["t", 0o755])
async def a_fetched_file_is_named(given: Given):
    with web() as server:
        server.pages["/f"] = Reply(body=b"text")
        it = given.dag.http(f"{server.url}/f", name="t", permissions=0o755)
        return [await it.name(), await it.stat().permissions()]


@case("Query.http", needs=WEB, gives=["text", Fails("sha256:aaaa")])
async def a_checksum_is_checked(given: Given):
    right = "sha256:" + hashlib.sha256(b"text").hexdigest()
    with web() as server:
        server.pages["/f"] = Reply(body=b"text")
        found = await given.dag.http(f"{server.url}/f", checksum=right).contents()
        wrong = given.dag.http(f"{server.url}/f", checksum="sha256:" + "a" * 64)
        try:
            return [found, await wrong.contents()]
        except Exception as error:  # noqa: BLE001  # compared with what is declared
            return [found, error]


@case("Query.http", needs=WEB, gives=Fails("404"))
async def a_page_that_is_not_there_is_an_error(given: Given):
    with web() as server:
        return await given.dag.http(f"{server.url}/none").contents()


@case("Query.http", needs=WEB, gives="private")
async def a_private_file_needs_its_header(given: Given):
    with web() as server:
        server.pages["/p"] = lambda headers: Reply(
            200 if headers.get("authorization") == "Bearer top-s3cret" else 401, b"private"
        )
        header = given.dag.set_secret("header", "Bearer top-s3cret")
        return await given.dag.http(f"{server.url}/p", auth_header=header).contents()


@case("Query.http", needs=WEB, gives=["text", "text"])
async def a_page_is_pinned_for_a_session(given: Given):
    with web() as server:
        server.pages["/f"] = Reply(body=b"text")
        first = await given.dag.http(f"{server.url}/f").contents()
        server.pages["/f"] = Reply(body=b"changed")
        return [first, await given.dag.http(f"{server.url}/f").contents()]


@case(G + "uncommitted", "Changeset.modifiedPaths", needs=("git",), gives=["a"])
async def uncommitted_changes_are_told(given: Given):
    repository(given)
    (given.path / "served/one/a").write_text("changed")
    it = given.dag.host().directory(str(given.path / "served/one")).as_git()
    return await it.uncommitted().modified_paths()


@case("Address.gitRef", "Address.gitRepository", R + "commit", needs=GIT, gives=[True, True])
async def an_address_leads_to_a_repository(given: Given):
    made = repository(given)
    with serving(given.path / "served") as server:
        ref = given.dag.address(f"{server.url}/one#v1.0.0").git_ref()
        head = given.dag.address(f"{server.url}/one").git_repository().head()
        return [await ref.commit() == made.first, await head.commit() == made.second]

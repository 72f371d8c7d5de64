"""The attacker's moves; docs/security.md lists them by the same names."""

import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from blake3 import blake3

from pipelines.caches import generation
from pipelines.caches.errors import CacheError, Untrusted
from pipelines.caches.heads import Heads, name_of
from pipelines.caches.settings import SettingsError
from pipelines.caches.signals import rules
from pipelines.caches.trust import Claim, Signer, claim_of, seal
from tests.caches.attacks.victim import EVIL, KEY, World, unmerged
from tests.caches.test_damage import ESCAPES, forged

Move = Callable[[World], Awaitable[None]]

MOVES: dict[str, Move] = {}
DIRECTORY_MOVES: dict[str, Move] = {}
TRUSTED = name_of("trusted", KEY)


def move(act: Move) -> Move:
    MOVES[act.__name__.replace("_", " ")] = act
    return act


def directory_move(act: Move) -> Move:
    DIRECTORY_MOVES[act.__name__.replace("_", " ")] = act
    return act


def claim(digest: str, scope: str = "trusted", number: int = 99) -> Claim:
    now = time.time()
    return Claim(scope, KEY, digest, number, now, now + 86400.0)


@move
async def write_trusted_names_as_a_pull_request(world):
    evil = await world.save(EVIL)
    for reads, writes in ((("pr/7", "trusted"), "trusted"), (("pr/7",), "pr/8"), ((), "pr/7/")):
        try:
            await Heads(world.transport, reads, writes).publish(KEY, evil, unmerged)
        except Untrusted:
            continue
        raise AssertionError(f"{writes} was written")


@move
async def claim_to_be_trusted_by_a_variable(world):
    event = {"pull_request": {"number": 7}}
    for name, payload in (("pull_request", event), ("pull_request_target", event)):
        environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name,
                   "GITHUB_REF": "refs/heads/main", "GITHUB_REF_PROTECTED": "true"}  # fmt: skip
        try:
            found = rules(environ, payload, "trusted")
        except SettingsError:
            continue
        assert found.writes != "trusted"


@move
async def name_a_branch_like_another_scope(world):
    evil = await world.save(EVIL)
    for branch in ("trusted", "../trusted", "../../heads/trusted", "x/../../trusted", "Trusted",
                   "trusted\0", "trusted/" + KEY, "_", "%2e%2e", "/" * 300):  # fmt: skip
        scope = f"branch/{branch}"
        await Heads(world.transport, (scope,), scope).publish(KEY, evil, unmerged)


@move
async def name_keys_that_begin_like_another(world):
    evil = await world.save(EVIL)
    for key in (KEY + "/", KEY[:-1], KEY + "x", "volume", "../trusted/" + KEY, KEY.upper()):
        await Heads(world.transport, ("pr/7",), "pr/7").publish(key, evil, unmerged)


@move
async def put_an_unsigned_head_under_a_trusted_name(world):
    evil = await world.save(EVIL)
    await world.put_head(TRUSTED, seal(claim(evil.digest), None))


@move
async def sign_with_another_key(world):
    evil = await world.save(EVIL)
    await world.put_head(TRUSTED, seal(claim(evil.digest), Signer.make()[0]))


@move
async def sign_with_another_key_under_the_name_of_the_right_one(world):
    evil = await world.save(EVIL)
    other = Signer.make()[0]
    sealed = seal(claim(evil.digest), other)
    await world.put_head(TRUSTED, sealed.replace(other.name.encode(), world.signer.name.encode()))


@move
async def change_what_a_signed_head_says(world):
    evil = await world.save(EVIL)
    signed = (await world.head(TRUSTED)).content
    digest = evil.digest.encode()
    await world.put_head(TRUSTED, signed.replace(world.good.digest.encode(), digest))


@move
async def add_a_second_document_to_a_signed_head(world):
    evil = await world.save(EVIL)
    signed = (await world.head(TRUSTED)).content
    first, document, signature, _ = signed.split(b"\n")
    forged_line = document.replace(world.good.digest.encode(), evil.digest.encode())
    await world.put_head(TRUSTED, b"\n".join([first, forged_line, document, signature, b""]))


@move
async def claim_a_format_without_signatures(world):
    evil = await world.save(EVIL)
    sealed = seal(claim(evil.digest), None)
    for version in (b"head 0", b"head 2", b"head 00", b"head -1", b"head "):
        await world.put_head(TRUSTED, sealed.replace(b"head 1", version))


@move
async def move_a_signed_head_to_another_key(world):
    evil = await world.save(EVIL)
    other = "volume/other/go-build"
    # A trusted run saved something under another key, as it may.
    await world.heads("trusted", signed=True).publish(other, evil, unmerged)
    await world.put_head(TRUSTED, (await world.head(name_of("trusted", other))).content)


@move
async def move_a_signed_head_of_a_branch_to_trusted(world):
    evil = await world.save(EVIL)
    await world.heads("branch/x", signed=True).publish(KEY, evil, unmerged)
    await world.put_head(TRUSTED, (await world.head(name_of("branch/x", KEY))).content)


@move
async def delete_everything_and_put_something_else(world):
    for name in await world.names(""):
        await world.transport.delete(name)
    evil = await world.save(EVIL)
    await world.put_head(TRUSTED, seal(claim(evil.digest), None))


@move
async def replace_a_pack_by_another_of_the_same_size(world):
    for name in await world.names("packs/"):
        content = await world.transport.read(name)
        await world.replace(name, bytes(each ^ 1 for each in content))


@move
async def replace_a_manifest_by_an_evil_one(world):
    evil = await world.save(EVIL)
    await world.replace(generation.name_of(world.good.digest), evil.content)


@move
async def replace_good_packs_by_evil_ones(world):
    names = await world.names("packs/")
    await world.save(EVIL)
    others = [name for name in await world.names("packs/") if name not in names]
    for name in names:
        await world.replace(name, await world.transport.read(others[0]))


@move
async def cut_packs_and_manifests(world):
    for name in [*await world.names("packs/"), *await world.names("manifests/")]:
        content = await world.transport.read(name)
        await world.replace(name, content[: len(content) // 2])


@move
async def leave_a_pack_where_a_trusted_run_will_write_its_own(world):
    """The digest of what will be saved can be guessed: is what stands there believed?"""
    later = {"main.a": b"next" * 20_000}
    guessed = await world.save(later)
    for pack in guessed.packs:
        name = f"packs/{pack.digest.hex()}"
        content = await world.transport.read(name)
        await world.replace(name, b"\0" * len(content))
    made = await world.save(later, world.good)
    await world.heads("trusted", signed=True).publish(KEY, made, unmerged)
    got = await world.run("trusted")
    assert got is None or got == later, "what the attacker left was believed"


@move
async def put_bombs_under_the_names_of_good_objects(world):
    bomb = b"\x28\xb5\x2f\xfd" + os.urandom(16) + b"\0" * (8 << 20)
    for name in [*await world.names("packs/"), *await world.names("manifests/")]:
        await world.replace(name, bomb)


@move
async def put_a_huge_head(world):
    await world.put_head(TRUSTED, b"pipelines head 1\n" + b"{" * (1 << 20))


@move
async def put_a_head_of_nonsense(world):
    for content in (b"\0", b"pipelines head 1\n", b"pipelines head 1\nnull\n\n", b"\n" * 60000):
        await world.put_head(TRUSTED, content)


@move
async def name_a_generation_by_a_path(world):
    sealed = seal(replace(claim("0" * 64), generation="../../../etc/passwd"), None)
    await world.put_head(TRUSTED, sealed)
    await world.put_head(name_of("pr/7", KEY), sealed.replace(b'"trusted"', b'"pr/7"'))


@move
async def flood_the_listing(world):
    for number in range(20):
        await world.put_head(f"heads/trusted/{number}", os.urandom(64))
        await world.transport.write(f"packs/{blake3(str(number).encode()).hexdigest()}", b"x")


@move
async def write_under_the_name_of_another_pull_request(world):
    evil = await world.save(EVIL)
    name = name_of("pr/8", KEY)
    await world.put_head(name, seal(claim(evil.digest, "pr/8"), None))


@move
async def sign_trees_that_would_escape(world):
    """A trusted run that was itself misled signs them: even then nothing leaves the directory."""
    for name, rows in ESCAPES.items():
        evil = forged(*rows)
        await generation.put(world.transport, evil)
        await world.put_head(TRUSTED, seal(claim(evil.digest), world.signer))
        assert await world.run("trusted") is None, name


@directory_move
async def put_links_in_place_of_heads_and_packs(world):
    outside = world.root / "outside"
    outside.mkdir()
    evil = await world.save(EVIL)
    (outside / "head").write_bytes(seal(claim(evil.digest), None))
    where = world.backend.directory / f"{TRUSTED}@"
    for number in range(2, 5):
        (where / f"{number:012}").symlink_to(outside / "head")
    for pack in (world.backend.directory / "packs").iterdir():
        pack.unlink()
        pack.symlink_to("/etc/passwd")


@directory_move
async def put_links_in_place_of_directories(world):
    outside = world.root / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    packs = world.backend.directory / "packs"
    packs.rename(world.root / "elsewhere")
    packs.symlink_to(outside)
    for name in await world.names("packs/"):
        await world.transport.delete(name)
    with suppress(CacheError):
        await world.transport.write("packs/00", b"x")
    assert sorted(os.listdir(outside)) == ["mine"]


@directory_move
async def put_pipes_and_devices_in_place_of_objects(world):
    for path in [*(world.backend.directory / "packs").iterdir()]:
        path.unlink()
        os.mkfifo(path)
    where = world.backend.directory / f"{TRUSTED}@"
    os.mkfifo(where / "000000000002")


@directory_move
async def put_directories_and_the_last_number_in_place_of_heads(world):
    where = world.backend.directory / f"{TRUSTED}@"
    (where / "000000000009").mkdir()
    (where / "999999999999").write_bytes(b"end")


@move
async def put_back_an_old_head(world):
    old = (await world.head(TRUSTED)).content
    memory = world.root / "memory"
    fixed = await world.save({"main.a": b"fixed" * 9000}, world.good)
    await world.heads("trusted", signed=True).publish(KEY, fixed, unmerged)
    assert claim_of((await world.head(TRUSTED)).content).number == 2
    assert (await world.run("trusted", memory))["main.a"][:5] == b"fixed"
    await world.transport.delete(TRUSTED)
    await world.put_head(TRUSTED, old)
    assert await world.run("trusted", memory) is None


@move
async def put_back_a_head_that_has_expired(world):
    evil = await world.save(EVIL)  # signed once, known to be bad since
    old = replace(claim(evil.digest), made=1.0, expires=2.0)
    await world.put_head(TRUSTED, seal(old, world.signer))


@move
async def sign_a_head_that_never_expires(world):
    evil = await world.save(EVIL)
    await world.put_head(TRUSTED, seal(replace(claim(evil.digest), expires=1e15), world.signer))

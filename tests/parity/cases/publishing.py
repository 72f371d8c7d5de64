"""Registries: images that are published and pulled. The registry is this test run's own."""

import dagger

from tests.fake_registry import FakeRegistry
from tests.parity.case import Fails, Given, case

C = "Container."
NEEDS = ("loopback",)
PASSWORD = "correct-horse-battery"


@case(C + "publish", C + "from", C + "imageRef", needs=NEEDS, gives=["hello\n", "v", True, True])
async def a_published_image_is_pulled(given: Given):
    made = given.box.with_label("l", "v").with_entrypoint(["echo"]).with_default_args(["hello"])
    with FakeRegistry() as registry:
        published = await made.publish(f"{registry.host}/lib/app:1")
        back = given.dag.container().from_(f"{registry.host}/lib/app:1")
        return [
            await back.with_exec([], use_entrypoint=True).stdout(),
            await back.label("l"),
            await back.image_ref() == published,
            published.startswith(f"{registry.host}/lib/app:1@sha256:"),
        ]


@case(C + "publish", needs=NEEDS, gives=True)
async def the_same_image_is_published_under_the_same_digest(given: Given):
    made = given.dag.container().with_rootfs(given.dag.directory().with_new_file("f", "1"))
    with FakeRegistry() as registry:
        first = await made.publish(f"{registry.host}/lib/app:1")
        return await made.publish(f"{registry.host}/lib/app:1") == first


@case(C + "publish", C + "from", "Query.container", needs=NEEDS, gives=["1", "2"])
async def a_platform_is_pulled_from_several(given: Given):
    def variant(platform: str, content: str) -> dagger.Container:
        it = given.dag.container(platform=dagger.Platform(platform))
        return it.with_rootfs(given.dag.directory().with_new_file("f", content))

    asked = {"linux/amd64": "1", "linux/arm64": "2"}
    with FakeRegistry() as registry:
        ref = f"{registry.host}/lib/app:1"
        variants = [variant(*one) for one in asked.items()]
        await given.dag.container().publish(ref, platform_variants=variants)
        pulled = [given.dag.container(platform=dagger.Platform(one)).from_(ref) for one in asked]
        return [await one.file("/f").contents() for one in pulled]


@case(C + "from", needs=NEEDS, gives=Fails("(?i)nope"))
async def an_image_that_is_not_there_is_named(given: Given):
    with FakeRegistry() as registry:
        return await given.dag.container().from_(f"{registry.host}/lib/nope:1").sync()


@case(C + "from", needs=NEEDS, gives=["1", "1"])
async def a_tag_is_pinned_for_a_session(given: Given):
    def image(content: str) -> dagger.Container:
        root = given.dag.directory().with_new_file("f", content)
        return given.dag.container().with_rootfs(root)

    with FakeRegistry() as registry:
        ref = f"{registry.host}/lib/app:1"
        await image("1").publish(ref)
        first = await given.dag.container().from_(ref).file("/f").contents()
        await image("2").publish(ref)
        return [first, await given.dag.container().from_(ref).file("/f").contents()]


@case(C + "withRegistryAuth", C + "publish", needs=NEEDS, gives="1")
async def a_registry_is_told_who_asks(given: Given):
    with FakeRegistry(users={"bob": PASSWORD}) as registry:
        ref = f"{registry.host}/lib/app:1"
        secret = given.dag.set_secret("registry", PASSWORD)
        root = given.dag.directory().with_new_file("f", "1")
        it = given.dag.container().with_registry_auth(registry.host, "bob", secret)
        await it.with_rootfs(root).publish(ref)
        return await it.from_(ref).file("/f").contents()


@case(C + "withoutRegistryAuth", C + "from", needs=NEEDS, gives=Fails("(?i)401|unauthori"))
async def a_registry_that_knows_nobody_gives_nothing(given: Given):
    with FakeRegistry(users={"bob": PASSWORD}) as registry:
        secret = given.dag.set_secret("registry", PASSWORD)
        it = given.dag.container().with_registry_auth(registry.host, "bob", secret)
        it = it.without_registry_auth(registry.host)
        return await it.from_(f"{registry.host}/lib/app:1").sync()


@case("Address.container", C + "publish", needs=NEEDS, gives="1")
async def an_address_leads_to_an_image(given: Given):
    made = given.dag.container().with_rootfs(given.dag.directory().with_new_file("f", "1"))
    with FakeRegistry() as registry:
        await made.publish(f"{registry.host}/lib/app:1")
        found = given.dag.address(f"{registry.host}/lib/app:1").container()
        return await found.file("/f").contents()

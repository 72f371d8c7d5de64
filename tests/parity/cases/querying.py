"""The session: ids, versions, errors of queries."""

import dagger

from tests.parity.case import Given, case


@case("Query.version", gives="v0.21")
async def the_engine_says_which_api_it_has(given: Given):
    return (await given.dag.version())[:5]


@case("Container.sync", "Query.node", gives="1")
async def an_id_finds_its_container(given: Given):
    made = await given.box.with_env_variable("A", "1").sync()
    return await made.env_variable("A")


@case("Query.loadContainerFromID", "Container.id", gives="1")
async def an_old_id_finds_its_container(given: Given):
    id_ = await given.box.with_env_variable("A", "1").id()
    return await given.dag.load_container_from_id(dagger.ContainerID(id_)).env_variable("A")


@case("Query.loadDirectoryFromID", "Directory.id", gives=["f"])
async def an_old_id_finds_its_directory(given: Given):
    id_ = await given.dag.directory().with_new_file("f", "").id()
    return await given.dag.load_directory_from_id(dagger.DirectoryID(id_)).entries()


@case("Query.loadSecretFromID", "Secret.id", gives="hidden-value")
async def an_old_id_finds_its_secret(given: Given):
    id_ = await given.dag.set_secret("s", "hidden-value").id()
    return await given.dag.load_secret_from_id(dagger.SecretID(id_)).plaintext()


@case("Query.loadCacheVolumeFromID", "CacheVolume.id", gives="ok\n")
async def an_old_id_finds_its_cache_volume(given: Given):
    id_ = await given.dag.cache_volume("parity").id()
    found = given.dag.load_cache_volume_from_id(dagger.CacheVolumeID(id_))
    return await given.box.with_mounted_cache("/c", found).with_exec(["echo", "ok"]).stdout()

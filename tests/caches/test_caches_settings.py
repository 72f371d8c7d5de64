"""`[tool.pipelines.cache]`: one line switches on, the environment overrides, mistakes are named."""

from pathlib import Path

import pytest

from pipelines.caches.settings import SettingsError, load, mentioned, read, resolve

HERE = Path("/project")
KEY = "A" * 43 + "="


def settings(table, environ=None):
    return read(table, environ or {}, directory=HERE, project="shop")


def test_one_line_switches_caches_on():
    found = settings({"url": "s3://bucket/shop"})
    assert (found.url, found.mode, found.project) == ("s3://bucket/shop", "auto", "shop")
    assert found.restores
    assert found.saves


def test_nothing_configured_is_no_cache():
    assert settings({}) is None
    assert settings({}, {"PIPELINES_CACHE_SCOPE": "trusted", "PIPELINES_CACHE_DIR": "/x"}) is None


def test_a_variable_alone_switches_caches_on():
    assert settings({}, {"PIPELINES_CACHE_URL": "/mnt/cache"}).url == "/mnt/cache"


@pytest.mark.parametrize(
    ("name", "before", "text", "after"),
    [
        ("url", "/a", "s3://b/c", "s3://b/c"),
        ("mode", "always", "never", "never"),
        ("budget", 5, "2m", 120.0),
        ("include", ["go*"], "npm pip-*", ("npm", "pip-*")),
        ("exclude", "x", "y", ("y",)),
        ("results", True, "0", False),
        ("project", "a", "b", "b"),
        ("sign", "env:A", "file:key", "file:key"),
        ("verify", [KEY], "env:PUBLIC", ("env:PUBLIC",)),
        ("keep", "2w", "36h", 129600.0),
    ],
)
def test_the_environment_overrides_every_line(name, before, text, after):
    table = {"url": "/a", name: before}
    assert getattr(settings(table), name) != after
    assert getattr(settings(table, {f"PIPELINES_CACHE_{name.upper()}": text}), name) == after


def test_an_empty_variable_overrides_nothing():
    assert settings({"url": "/a"}, {"PIPELINES_CACHE_URL": ""}).url == "/a"


@pytest.mark.parametrize(
    ("mode", "restores", "saves"),
    [
        ("auto", True, True),
        ("always", True, True),
        ("never", False, True),
        ("read-only", True, False),
    ],
)
def test_a_mode_says_what_is_read_and_written(mode, restores, saves):
    found = settings({"url": "/a", "mode": mode})
    assert (found.restores, found.saves) == (restores, saves)


@pytest.mark.parametrize("off", ["off", False])
def test_off_is_no_cache(off):
    assert settings({"url": "/a", "mode": off}) is None
    assert settings({"url": "/a"}, {"PIPELINES_CACHE_MODE": "off"}) is None


@pytest.mark.parametrize(
    ("table", "environ", "says"),
    [
        ({"ulr": "/a"}, {}, "did you mean url?"),
        ({"url": "/a", "scope": "trusted"}, {}, "set PIPELINES_CACHE_SCOPE"),
        ({"url": "/a"}, {"PIPELINES_CACHE_BUGDET": "1"}, "PIPELINES_CACHE_BUGDET"),
        ({"mode": "auto"}, {}, "has no url"),
        ({"url": 3}, {}, "url = 3: a text is wanted"),
        ({"url": "gs://bucket/x"}, {}, "no caches are kept by gs"),
        ({"url": "s3://"}, {}, "names no place"),
        ({"url": "/a", "mode": "sometimes"}, {}, "one of auto, always, never, read-only, off"),
        ({"url": "/a"}, {"PIPELINES_CACHE_BUDGET": "soon"}, "PIPELINES_CACHE_BUDGET = 'soon'"),
        ({"url": "/a", "budget": True}, {}, "budget = True"),
        ({"url": "/a", "include": [1]}, {}, "a list of texts"),
        ({"url": "/a", "results": "maybe"}, {}, "true or false"),
        ({"url": "/a", "verify": ["nonsense"]}, {}, "'nonsense'"),
    ],
)
def test_a_mistake_names_its_place_and_the_way_out(table, environ, says):
    with pytest.raises(SettingsError) as caught:
        settings(table, environ)
    assert says in str(caught.value)


@pytest.mark.parametrize("url", ["s3://id:hunter2@bucket/x", "oci://hunter2@registry/x"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(SettingsError) as caught:
        settings({"url": url})
    assert "hunter2" not in str(caught.value)


def test_a_private_key_in_the_file_is_refused_and_not_repeated():
    with pytest.raises(SettingsError) as caught:
        settings({"url": "/a", "sign": KEY})
    assert KEY not in str(caught.value)


def test_volumes_travel_by_name():
    found = settings({"url": "/a", "include": ["go-*", "npm"], "exclude": ["go-fuzz*"]})
    assert [name for name in ("go-mod", "go-fuzz-x", "npm", "pip") if found.travels(name)] == [
        "go-mod",
        "npm",
    ]


def test_the_file_of_the_working_directory_is_read(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "shop"\n[tool.pipelines.cache]\nurl = "cache"\n'
    )
    found = load(tmp_path, {})
    assert (found.url, found.project) == (str(tmp_path / "cache"), "shop")
    assert found.directory == tmp_path


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sub/cache", HERE / "sub/cache"),
        ("/mnt/cache", Path("/mnt/cache")),
        ("file:///mnt/a%20b", Path("/mnt/a b")),
        ("s3://bucket/x", None),
    ],
)
def test_a_cache_in_a_directory_has_a_place(url, place):
    assert settings({"url": url}).place == place


def test_a_project_without_a_name_is_called_as_its_directory(tmp_path):
    assert load(tmp_path, {"PIPELINES_CACHE_URL": "/a"}).project == tmp_path.name


@pytest.mark.parametrize("text", ["[tool.pipelines]\ncache = 3\n", "[tool\n"])
def test_a_file_that_makes_no_sense_is_named(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"pyproject\.toml"):
        load(tmp_path, {})


def test_a_project_without_caches_is_told_at_a_glance(tmp_path):
    assert not mentioned(tmp_path, {"PIPELINES_CACHE_DIR": "/x"})
    assert mentioned(tmp_path, {"PIPELINES_CACHE_URL": "/x"})
    (tmp_path / "pyproject.toml").write_text('[tool.pipelines.cache]\nurl = "/x"\n')
    assert mentioned(tmp_path, {})


def test_a_key_is_read_where_it_is(tmp_path):
    (tmp_path / "key").write_text("from a file\n")
    assert resolve("file:key", {}, tmp_path) == "from a file"
    assert resolve("env:NAME", {"NAME": "from a variable"}, tmp_path) == "from a variable"
    assert resolve(KEY, {}, tmp_path) == KEY


@pytest.mark.parametrize("pointer", ["env:NAME", "file:key"])
def test_a_key_that_is_not_there_is_named_by_its_place(pointer, tmp_path):
    with pytest.raises(SettingsError, match=pointer.split(":")[1]):
        resolve(pointer, {}, tmp_path)

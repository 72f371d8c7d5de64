"""What git is told: enough to reach servers, nothing that lets a repository act."""

import subprocess

import pytest

from pipelines.engine.sources.gitsettings import encode, environment, lent, settings, ssh_command


def told(path):
    listing = subprocess.run(
        ["git", "config", "--file", path, "--list", "--null"], capture_output=True, check=True
    ).stdout.decode()
    return dict(entry.split("\n", 1) for entry in listing.split("\0") if entry)


@pytest.mark.parametrize("value", ["plain", "", ' "q" \\ # ; ', "two\nlines", "tab\there", "ü"])
def test_git_reads_back_what_is_written(tmp_path, value):
    (tmp_path / "c").write_bytes(encode([("http.https://h/a.b.extraHeader", value)]))
    assert told(tmp_path / "c") == {"http.https://h/a.b.extraheader": value}


def test_the_host_lends_what_reaching_servers_needs_and_nothing_else():
    listing = (
        "global http.proxy=http://p|system credential.helper=store|"
        "global url.git@h:.insteadof=https://h/|command core.sshcommand=ssh -v|"
        "global core.hookspath=/evil|global alias.x=!sh|global filter.x.smudge=sh|"
        "local http.proxy=http://of-a-repository|global http.sslverify"
    )
    null = "\0".join(
        part for row in listing.split("|") for part in row.replace("=", "\n", 1).split(" ", 1)
    )
    assert lent(null.encode()) == [
        ("http.proxy", "http://p"),
        ("credential.helper", "store"),
        ("url.git@h:.insteadof", "https://h/"),
        ("core.sshcommand", "ssh -v"),
        ("http.sslverify", "true"),
    ]


def test_only_listed_variables_reach_git(tmp_path):
    environ = {"PATH": "/bin", "CI_TOKEN": "secret", "GIT_DIR": "/x", "https_proxy": "http://p"}
    made = environment(environ, tmp_path / "c", local=False)
    assert made["https_proxy"] == "http://p"
    assert not {"CI_TOKEN", "GIT_DIR"} & set(made)
    assert made["GIT_TERMINAL_PROMPT"] == "0"
    assert (made["SSH_ASKPASS"], made["SSH_ASKPASS_REQUIRE"]) == ("/bin/false", "force")
    assert "file" not in made["GIT_ALLOW_PROTOCOL"]


def test_the_file_is_private_and_gone_after(tmp_path):
    with settings(tmp_path, {}, [("http.https://h/.extraHeader", "A: b")], local=False) as made:
        path = made.env["GIT_CONFIG_GLOBAL"]
        (file,) = tmp_path.iterdir()
        assert (str(file), file.stat().st_mode & 0o777) == (path, 0o600)
        assert told(path)["core.hookspath"] == "/dev/null"
        assert not any("A: b" in value for value in made.env.values())
    assert list(tmp_path.iterdir()) == []


def test_ssh_asks_nobody_and_believes_only_known_hosts(tmp_path):
    own = ssh_command("/root", None, root_home=True)
    assert own == "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes"
    assert f"UserKnownHostsFile={tmp_path}" in ssh_command("/root", tmp_path, root_home=True)


def test_ssh_in_a_user_namespace_is_shown_the_users_files(tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519").touch()
    spelled = ssh_command(str(tmp_path), None, root_home=False)
    assert f"IdentityFile={tmp_path}/.ssh/id_ed25519" in spelled
    assert "-F /dev/null" in spelled

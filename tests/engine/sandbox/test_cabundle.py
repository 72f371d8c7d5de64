from pathlib import Path

from pipelines.engine.sandbox.cabundle import (
    ca_environment,
    find_bundle,
    host_environment,
    merge,
    merge_into,
)


def certificate(text: str) -> bytes:
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()


def test_bundles_are_joined_with_each_certificate_once():
    first = b"# one\n" + certificate("A") + certificate("B")
    second = certificate("B").replace(b"\n", b"\r\n") + certificate("C")
    assert merge([first, second]) == certificate("A") + certificate("B") + certificate("C")


def test_a_merged_file_is_readable_by_everyone_and_alone(tmp_path: Path):
    merge_into(tmp_path / "ca.crt", [certificate("A")])
    assert (tmp_path / "ca.crt").read_bytes() == certificate("A")
    assert (tmp_path / "ca.crt").stat().st_mode & 0o777 == 0o644
    assert [p.name for p in tmp_path.iterdir()] == ["ca.crt"]


def test_the_named_bundle_goes_before_the_usual_places(tmp_path: Path):
    usual = tmp_path / "etc/ssl/certs/ca-certificates.crt"
    usual.parent.mkdir(parents=True)
    usual.write_bytes(certificate("usual"))
    named = tmp_path / "named.crt"
    named.write_bytes(certificate("named"))
    assert find_bundle({"SSL_CERT_FILE": str(named)}, str(tmp_path)) == named
    assert find_bundle({"SSL_CERT_FILE": "/nonexistent"}, str(tmp_path)) == usual
    assert find_bundle({}, str(tmp_path / "empty")) is None


def test_every_tool_is_pointed_at_one_path():
    pointed = ca_environment("/dev/x.crt")
    assert {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"} <= set(pointed)
    assert set(pointed.values()) == {"/dev/x.crt"}


def test_only_network_settings_leave_the_host():
    environ = {"http_proxy": "http://p", "NO_PROXY": "local", "PIP_INDEX_URL": "http://i"}
    other = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x", "https_proxy": ""}
    assert host_environment(environ | other, "/nonexistent") == environ


def test_gos_settings_come_from_the_environment_before_its_file(tmp_path: Path):
    file = tmp_path / ".config/go/env"
    file.parent.mkdir(parents=True)
    file.write_text("GOPROXY=http://file\nGOPRIVATE=a.example\nGOFLAGS=-x\n")
    environ = {"GOPROXY": "http://environment"}
    wanted = {"GOPROXY": "http://environment", "GOPRIVATE": "a.example"}
    assert host_environment(environ, str(tmp_path)) == wanted
    assert host_environment(environ | {"GOENV": "off"}, str(tmp_path)) == environ
    assert host_environment({"GOENV": str(file)}, "/nonexistent")["GOPROXY"] == "http://file"

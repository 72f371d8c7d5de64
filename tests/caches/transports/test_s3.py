"""S3 as a backend, on moto's server."""

import uuid

import pytest

from pipelines.caches.errors import Missing, Unavailable
from pipelines.caches.open import open_transport
from pipelines.caches.transports.patience import Patience
from pipelines.caches.transports.s3.bucket import S3Transport
from pipelines.caches.transports.s3.place import place
from pipelines.caches.transports.s3.signing import EMPTY, Credentials, sign
from tests.caches.transports.conformance import Conformance, OneHead, put
from tests.caches.transports.servers import KEYS, bucket

pytestmark = [
    pytest.mark.anyio,
    # moto's and botocore's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def served():
    with bucket() as served:
        yield served


@pytest.fixture
async def transport(served):
    transport = served.open(f"of/{uuid.uuid4().hex}")
    yield transport
    await transport.aclose()


class TestS3(Conformance, OneHead):
    pass


async def test_a_large_object_is_read_in_several_ranges_at_once(served):
    where = place(served.url("large"), KEYS)
    transport = S3Transport(where, part=1000)
    content = bytes(range(256)) * 40
    await transport.write("packs/ab01", content)
    assert await transport.read("packs/ab01") == content
    assert await transport.read("packs/ab01", 500, 5000) == content[500:5500]
    assert await transport.read("packs/ab01", 10_000, 5000) == content[10_000:]
    with pytest.raises(Missing):
        await transport.read("packs/none")
    await transport.aclose()


async def test_a_large_object_is_written_in_parts(served):
    transport = S3Transport(place(served.url("parts"), KEYS), whole=1 << 20)
    content = b"0123456789abcdef" * (17 << 16)
    assert await transport.write("packs/ab01", content)
    assert await transport.read("packs/ab01") == content
    before = len(served.log)
    assert not await transport.write("packs/ab01", content)
    assert [line.split()[0] for line in served.log[before:]] == ["HEAD"]
    await transport.aclose()


async def test_a_small_object_costs_one_request(transport, served):
    before = len(served.log)
    await transport.write("packs/ab01", b"x")
    await transport.read("packs/ab01", 0, 1)
    await transport.heads("heads/local/none")
    assert len(served.log) - before == 3


async def test_listings_of_many_pages_are_read_to_the_end(transport, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for number in range(8):
        await transport.write(f"packs/{number}", b"")
    assert len([item async for item in transport.list("packs/")]) == 8


async def test_a_backend_that_does_not_compare_is_not_saved_to():
    with bucket(conditions=False) as served:
        transport = served.open("prefix")
        assert await transport.write("packs/ab01", b"x")
        with pytest.raises(Unavailable, match="If-None-Match"):
            await put(transport, "heads/local/key", b"head")
        await transport.aclose()


async def test_a_bucket_that_is_not_there_is_told():
    with bucket() as served:
        transport = open_transport(served.url().replace("//bucket", "//missing"), KEYS)
        with pytest.raises(Unavailable, match="no such bucket"):
            await transport.write("packs/ab01", b"x")
        await transport.aclose()


async def test_nobody_listens_is_told_with_the_address():
    url = "s3://bucket/x?endpoint=http://127.0.0.1:1"
    transport = S3Transport(place(url, KEYS), patience=Patience(tries=1))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1/bucket/x/packs/ab01: .*check"):
        await transport.read("packs/ab01")
    await transport.aclose()


# The example "GET Object" of Amazon's documentation of signatures, version 4.
async def test_the_documented_request_has_the_documented_signature():
    signed = sign(
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        headers={"Range": "bytes=0-9"},
        digest=EMPTY,
        at=1369353600.0,
    )
    assert signed["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket.host/a%20b/c~d",
        "http://host:9000/bucket/?list-type=2&prefix=a%2Fb%20c&encoding-type=url",
        "http://host/bucket/key?uploads=",
        "http://host/bucket/key?partNumber=1&uploadId=a%2Bb%3D%3D",
    ],
)
async def test_signatures_are_those_of_amazons_own_client(url):
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    request = AWSRequest("PUT", url, headers={"if-match": '"x"'}, data=b"")
    S3SigV4Auth(Theirs("key", "secret", "token"), "s3", "eu-west-1").add_auth(request)
    stamp = request.headers["X-Amz-Date"]
    from datetime import UTC, datetime

    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    ours = sign(
        Credentials("key", "secret", "token"),
        "eu-west-1",
        "PUT",
        url,
        headers={"if-match": '"x"'},
        digest=request.headers["X-Amz-Content-SHA256"],
        at=at,
    )
    assert ours["authorization"].replace(",", ", ") == request.headers["Authorization"]


def test_addresses_and_the_environment_become_places(tmp_path):
    found = place("s3://bucket.x/a/b", {"AWS_REGION": "eu-west-1"})
    assert found.url("packs/ab") == "https://s3.eu-west-1.amazonaws.com/bucket.x/a/b/packs/ab"
    assert found.credentials is None
    found = place("s3://bucket", {"AWS_DEFAULT_REGION": "x"})
    assert found.url("packs/ab") == "https://bucket.s3.x.amazonaws.com/packs/ab"
    found = place("s3://bucket?style=virtual", {"AWS_ENDPOINT_URL_S3": "http://h:9/"})
    assert found.url("heads/a") == "http://bucket.h:9/heads/a"
    file = tmp_path / "credentials"
    file.write_text("[x]\naws_access_key_id = k\naws_secret_access_key = s%\n")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "x"}
    assert place("s3://bucket", environ).credentials == Credentials("k", "s%")
    assert "s%" not in repr(place("s3://bucket", environ))


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3://user:pw@bucket/x", "s3://bucket?endpoint=ftp://x", "s3://bucket?colour=red",
     "s3://bucket?style=odd", "s3://bucket?endpoint=http://user:pw@host"],
)  # fmt: skip
def test_an_address_that_makes_no_sense_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="cache url") as caught:
        place(url, {})
    assert "pw" not in str(caught.value)

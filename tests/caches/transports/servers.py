"""Backends for tests: moto's S3 on loopback, Debian's docker-registry, and a proxy with faults."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pipelines.caches.open import open_transport

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@dataclass
class Bucket:
    """A server of S3; `log` has the method and path of every request."""

    port: int
    log: list[str] = field(default_factory=list)
    latency: float = 0.0

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def url(self, prefix="", port=0):
        return (
            f"s3://bucket/{prefix}?endpoint=http://127.0.0.1:{port or self.port}&region=eu-west-1"
        )

    def open(self, prefix="", environ=None):
        return open_transport(self.url(prefix), KEYS if environ is None else environ)


@contextmanager
def bucket(*, conditions: bool = True) -> Iterator[Bucket]:
    """Serve S3, one request at a time: moto compares and sets without a lock."""
    import boto3
    from moto.server import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_words):
            pass

    moto = create_backend_app("s3")

    def app(environ, start):
        served.log.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        time.sleep(served.latency)
        if not conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
            environ.pop("HTTP_IF_MATCH", None)
        return moto(environ, start)

    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=Quiet)
    served = Bucket(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
        client = boto3.client("s3", endpoint_url=served.endpoint, region_name="eu-west-1", **keys)
        place = {"LocationConstraint": "eu-west-1"}
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):  # moto keeps one for all
            client.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)
        client.close()
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

import pytest

from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.credentials import Credentials
from pipelines.engine.images.registry.hosts import Hosts
from pipelines.engine.images.registry.retry import Patience
from pipelines.engine.images.registry.transport import Http
from tests.fake_registry import FakeRegistry


class Clock:
    """Sleeps by counting."""

    def __init__(self):
        self.time, self.slept = 1_000_000.0, []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds

    @property
    def patience(self):
        return Patience(sleep=self.sleep, now=self.now, jitter=lambda: 1.0)


class World:
    """A client with its own clock, home and credentials."""

    def __init__(self, home):
        self.environ = {"HOME": str(home)}
        self.clock = Clock()
        self.http = Http({}, read_seconds=2)
        self.credentials = Credentials(self.environ)

    def client(self, hosts=None):
        return Client(self.http, hosts or Hosts(), self.credentials, self.clock.patience)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.http.close()


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


def at(registry, name="lib/app"):
    return Repository(registry.host, name)

"""A stand-in for a Dagger engine: it answers the requests that a travelling cache sends.

Volumes are directories; equal sources are one source, and a volume with a source is another than
the one without, as on the engine. Commands run here, with the paths of a container replaced.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from graphql import value_from_ast_untyped

from pipelines._travel.asking import LISTING, OUT, PATHS, VOLUME


class Refused(Exception):
    """What a command's failure or a query's error is to the client."""


class Engine:
    """One engine; `asked` are the names of the fields of every request."""

    def __init__(self, home: Path, fault=None) -> None:
        self.home = home
        self.fault = fault or (lambda names: None)
        self.asked: list[list[str]] = []
        self.sources: dict[str, Path] = {}
        self.runs = 0
        self.first: dict[str, str] = {}

    async def __call__(self, document):
        chain = list(_chain(document))
        names = [name for name, _ in chain]
        self.asked.append(names)
        if fault := self.fault(names):
            raise fault
        self.first = next((given for name, given in chain if name == "withMountedCache"), {})
        answer = self._answer(names, dict(chain))
        for name in reversed(names):
            answer = {name: answer}
        return answer

    def volume(self, key, source=""):
        """Give the directory of a volume, made from its source if it is new."""
        name = hashlib.sha256(json.dumps([key, source]).encode()).hexdigest()
        path = self.home / name
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            if source:
                subprocess.run(["cp", "-a", str(self.sources[source]), str(path)], check=True)
            else:
                path.mkdir()
        return path

    def _answer(self, names, given):
        match names:
            case ["defaultPlatform"]:
                return "linux/amd64"
            case ["engine", "name"]:
                return str(self.home)
            case ["cacheVolume", "id"]:
                key, source = given["cacheVolume"]["key"], given["cacheVolume"].get("source", "")
                return str(self.volume(key, source))
            case ["host", "file", "id"]:
                return given["file"]["path"]
            case ["container", "import", "rootfs", "sync"]:
                return self._unpacked(Path(given["import"]["source"]))
            case [*_, "rootfs", "id"]:
                return "root"
        return self._run(given) if "withExec" in names and names[-1] != "id" else "id"

    def _unpacked(self, image):
        name = hashlib.sha256(image.read_bytes()).hexdigest()
        into = self.sources[name] = self.home.parent / "sources" / name
        with tarfile.open(image) as whole:
            layer = whole.extractfile(whole.getmembers()[0])
            into.mkdir(parents=True, exist_ok=True)
            done = ["tar", "-x", "-C", str(into)]
            subprocess.run(done, input=layer.read(), check=True)
        return name

    def _run(self, given):
        self.runs += 1
        out = self.home.parent / f"out-{self.runs}"
        out.mkdir()
        mount = given["withMountedCache"]
        places = {VOLUME: mount["cache"], OUT: out / "out", LISTING: out / "listing"}
        if mount["path"] == OUT:  # a second mount, after that of the volume
            places = {f"{VOLUME}/.": f"{self.first['cache']}/.", OUT: mount["cache"]}
        if "withMountedFile" in given:
            places[PATHS] = given["withMountedFile"]["source"]
        args = [str(places.get(arg, arg)) for arg in given["withExec"]["args"]]
        done = subprocess.run(args, cwd=mount["cache"], capture_output=True, check=False)
        if done.returncode:
            raise Refused(done.stderr.decode())
        if "export" in given:
            made = places[(given.get("file") or given["directory"])["path"]]
            into = given["export"]["path"]
            if made.is_dir():
                shutil.copytree(made, into, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copyfile(made, into)
            return into
        return done.stdout.decode()


def _chain(document):
    (operation,) = document.definitions
    chosen = operation.selection_set
    while chosen is not None:
        (part,) = chosen.selections
        yield (
            part.name.value,
            {a.name.value: value_from_ast_untyped(a.value) for a in part.arguments or ()},
        )
        chosen = part.selection_set

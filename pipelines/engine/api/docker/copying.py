"""COPY and ADD: what they name is picked from the context, a stage or an image, then put."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.engine import filemode
from pipelines.engine.api.docker.state import Building
from pipelines.engine.dockerfile.instructions import Copy
from pipelines.engine.keys import absolute
from pipelines.engine.op import Edge, Empty, Extract, Lay, Pick, Put, Scratch, Write

__all__ = ["copy"]


def copy(b: Building, one: Copy, source: Edge, remote: Mapping[str, Edge]) -> Building:
    """Copy from a source; `remote` has the pieces of what comes from elsewhere, by address.

    Raises:
        DockerfileError: a flag's value is wrong.
    """
    made = _Copying(b, one, source, remote)
    return b.rooted(made.root()).said(made.told(), empty=False)


@dataclass(frozen=True, slots=True)
class _Copying:
    building: Building
    one: Copy
    source: Edge
    remote: Mapping[str, Edge]

    @property
    def _where(self) -> str:
        return f"{self.one.where}: {'ADD' if self.one.add else 'COPY'}"

    def _text(self, text: str) -> str:
        return self.building.expand(text, self.one.where)

    def root(self) -> Edge:
        """Give the root filesystem with the files in it."""
        pieces = tuple(self._pieces())
        owner, mode = self._text(self.one.chown), self._mode()
        base, path = self.building.it.rootfs, self._path()
        # Alone, a layer knows no names of users: then it is a copy like any other.
        if self.one.link and re.fullmatch(r"(\d+(:\d+)?)?", owner):
            alone = Put(Edge(Scratch()), pieces, path, owner, mode, self._where)
            return Edge(Lay(base, Edge(alone)))
        return Edge(Put(base, pieces, path, owner, mode, self._where))

    def _pieces(self) -> Iterator[Edge]:
        exclude = tuple(self._text(pattern) for pattern in self.one.exclude)
        for text in self.one.sources:
            path = self._text(text)
            if path in self.remote:
                yield self.remote[path]
                continue
            inside = path if self.one.parents else _inside(path)
            picked = Edge(Pick(self.source, inside, exclude, self.one.parents, self._where))
            unpacked = self.one.add and self.one.unpack is not False
            yield Edge(Extract(picked)) if unpacked else picked
        for heredoc in self.one.heredocs:
            text = heredoc.content
            if heredoc.expand:
                text = self.building.expand(text, self.one.where, quotes=False)
            name = heredoc.name.rpartition("/")[2]
            yield Edge(Write(Edge(Empty()), f"0/f/{name}", text.encode()))

    def _mode(self) -> str:
        text = self._text(self.one.chmod)
        if text:
            try:
                filemode.parse(text)
            except ValueError as exc:
                raise self.one.where.error(f"--chmod={text}: {exc}") from exc
        return text

    def _path(self) -> str:
        """Give the destination; a "/" at its end says that it is a directory."""
        text = self._text(self.one.target)
        path = absolute(text, self.building.config.workdir)[1:]
        is_directory = text in {"", "."} or text.endswith(("/", "/."))
        return path + "/" if is_directory else path

    def told(self) -> str:
        """Tell it as Docker's history does."""
        one = self.one
        flags = [
            *(["--parents"] if one.parents else []),
            *([f"--chown={self._text(one.chown)}"] if one.chown else []),
            *([f"--chmod={self._text(one.chmod)}"] if one.chmod else []),
        ]
        sources = [self._text(text) for text in one.sources]
        documents = [f"<<{heredoc.name}" for heredoc in one.heredocs]
        parts = [*flags, *sources, *documents, self._text(one.target)]
        return f"{'ADD' if one.add else 'COPY'} {' '.join(parts)}"


def _inside(path: str) -> str:
    """Make a source path relative to its root, which it can not leave."""
    return absolute(path, "/")[1:]

"""Trees: directory contents as values, and what is done with them; no bytes are read or written.

model       a tree and its entries
paths       paths inside a tree, resolved as the kernel would
ops         from trees to trees
copying     COPY as Docker means it
changes     what changed between two
"""

from pipelines.engine.tree.model import DIRECTORY, Entry, Kind, Tree, parents

__all__ = ["DIRECTORY", "Entry", "Kind", "Tree", "parents"]

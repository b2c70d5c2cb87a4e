"""What identifies a Python body: the script that is cut out and the local modules, in normal form; cuts nothing out.

The script itself is what is taken, in its order, so that nothing of it can be left out by mistake.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Mapping

from repx.dsl.source.names import names_in
from repx.dsl.source.normal_form import normal_form
from repx.dsl.source.text import SourceText, tree_of

_DOCSTRING_READERS = frozenset(
    "__doc__ getdoc docopt docopt_ng doctest pydoc help fire typer click defopt plac clize tyro jsonargparse "
    "simple_parsing cyclopts".split()
)
"""Names and modules by which code comes to read docstrings."""

_TEXT_READERS = frozenset("getsource getsourcelines getcomments findsource linecache co_firstlineno co_lines".split())
"""Names by which code comes to read its own text, comments and line numbers included."""


def script_identity(script: str, modules: Mapping[str, SourceText]) -> str:
    """Lines that tell a script with its local modules from every other one that may do something else."""
    trees = [tree_of(script), *(source.tree for source in modules.values())]
    names = set().union(*map(names_in, trees))
    docstrings = not names.isdisjoint(_DOCSTRING_READERS)
    lines = [f"script {normal_form(trees[0], docstrings=docstrings)}"]
    lines += [f"module {path!a} {_form(source.tree, docstrings)}" for path, source in sorted(modules.items())]
    if not names.isdisjoint(_TEXT_READERS):
        texts = [script, *(source.text for _, source in sorted(modules.items()))]
        lines += [f"text {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}" for text in texts]
    return "\n".join(lines) + "\n"


@functools.lru_cache(maxsize=4096)
def _form(tree: ast.AST, docstrings: bool) -> str:
    """Many stages share the same local modules; trees are cached, so the same one comes again."""
    return normal_form(tree, docstrings=docstrings)

"""The notebooks' code, cell by cell: to try other answers, other mathematics, and for the student form.

code(name)            the code cells of a notebook, in order, without IPython's magics
reads, writes         the global names a cell needs, and those it makes
needed(cells, last)   the cells that a cell rests on, and no others: most figures are left out
run(source, names)    one cell
"""

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parent
MARK = "# your answer"


def names() -> list[str]:
    """The notebooks' names, as 03_gram_is_mmd."""
    return sorted(path.stem for path in FOLDER.glob("[0-9][0-9]_*.ipynb"))


def code(name: str) -> list[str]:
    """The sources of a notebook's code cells."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return ["\n".join("" if line.startswith("%") else line for line in cell.splitlines()) for cell in cells]


def exercises(cells: list[str]) -> list[int]:
    """Which cells are exercises: those that mark an answer. Their order is the exercises' number."""
    return [i for i, cell in enumerate(cells) if MARK in cell]


def _names(nodes: Iterable[ast.AST], context: type) -> set[str]:
    return {
        n.id for top in nodes for n in ast.walk(top) if isinstance(n, ast.Name) and type(n.ctx) is context
    }


def _inner(statement: ast.AST) -> set[str]:
    """Names that live inside comprehensions and functions only."""
    inner: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.comprehension):
            inner |= _names([node.target], ast.Store)
        elif isinstance(node, ast.FunctionDef | ast.Lambda):
            inner |= {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
            if isinstance(node, ast.FunctionDef):
                inner |= _names(node.body, ast.Store)
    return inner


def _made(statement: ast.AST) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    return _names([statement], ast.Store)


def _walk(body: list[ast.stmt], made: set[str]) -> set[str]:
    """Names read before they are made; `made` grows on the way."""
    read: set[str] = set()
    for statement in body:
        blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        if isinstance(statement, ast.For | ast.While | ast.If | ast.With | ast.Try):
            heads = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)]
            read |= {n for head in heads for n in _names([head], ast.Load) - _inner(head)} - made
            made |= _names(heads, ast.Store)
            for block in blocks:
                read |= _walk(block, made)
        else:
            read |= _names([statement], ast.Load) - _inner(statement) - made
            made |= _made(statement)
    return read


def reads(cell: str) -> set[str]:
    """Global names that a cell needs from cells before it (builtins among them)."""
    return _walk(ast.parse(cell).body, set())


def writes(cell: str) -> set[str]:
    """Global names that a cell makes."""
    made: set[str] = set()
    _walk(ast.parse(cell).body, made)
    return made


def needed(cells: list[str], last: int) -> list[int]:
    """The cells before `last` that it rests on, in order."""
    wanted, found = reads(cells[last]), []
    for i in reversed(range(last)):
        if wanted & (made := writes(cells[i])):
            found.append(i)
            wanted = (wanted - made) | reads(cells[i])
    return found[::-1]


def run(source: str, names: dict[str, Any]) -> None:
    """Runs one cell in a notebook's names."""
    exec(compile(source, "cell", "exec"), names)

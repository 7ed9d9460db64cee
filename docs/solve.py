"""The notebooks with their exercises solved, for teachers: docs/solutions/*.ipynb."""

import ast
import re
from copy import deepcopy
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "solutions"


def asked(line):
    """The name that a line asks for, as in `force = ...  # eV/Å`; None for every other line."""
    try:
        (node,) = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return None
    dots = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    return ast.unparse(node.targets[0]) if dots and node.value.value is ... else None


def gives(block, name):
    """Whether Python code assigns to this name."""
    return re.search(rf"^\s*{re.escape(name)} = ", block, re.MULTILINE) is not None


def solution(cells, name):
    """The first folded block of Python in these cells that gives the name; None without one."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    folds = re.findall(r"<details>.*?</details>", text, re.DOTALL)
    blocks = re.findall(r"```python\n(.*?)\n```", "\n".join(folds), re.DOTALL)
    return next((block for block in blocks if gives(block, name)), None)


def solved(notebook, stem):
    """The notebook with the solution of each exercise in the place of its dots.

    Links are those of a notebook in docs/solutions. ValueError where a solution is missing.
    """
    out = deepcopy(notebook)
    for number, cell in enumerate(out.cells):
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../docs/", "](../")
            cell.source = re.sub(r"\]\((\w+\.ipynb)", r"](../../notebooks/\1", cell.source)
            continue
        lines, given = [], ""
        for line in cell.source.splitlines():
            name = asked(line)
            if name is None:
                lines.append(line)
            elif not gives(given, name):  # one block may answer all that a cell asks
                given = solution(notebook.cells[number + 1 :], name)
                if given is None:
                    raise ValueError(f"{stem}: no folded solution gives {name}")
                indent = line[: len(line) - len(line.lstrip())]
                lines += [indent + x if x else x for x in given.splitlines()]
        cell.source = "\n".join(lines)
    title, _, rest = out.cells[0].source.partition("\n")
    words = f"*This is [{stem}](../../notebooks/{stem}.ipynb) with its exercises solved.*"
    number = stem.partition("_")[0]
    out.cells[0].source = f"# {number} solved: {title.lstrip('# ')}\n\n{words}\n{rest}"
    return out


def write(folder=FOLDER):
    """Write a solved copy of each notebook, and remove those of notebooks that are gone."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.ipynb"):
        old.unlink()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        nbformat.write(solved(nbformat.read(path, as_version=4), path.stem), folder / path.name)

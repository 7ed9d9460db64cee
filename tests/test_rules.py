"""The house keeps its rules: read off the source, one test a rule.

python tests/test_rules.py [PART OF A PATH]     what breaks them, a line each
"""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "tlmlp").rglob("*.py"))
RESEARCH = sorted((ROOT / "research").rglob("*.py"))
# From the ground up: a file imports of its own floor and of those below. The rest is the core.
FLOORS = (
    ("simulate/",),
    ("lammps/",),
    ("properties/",),
    ("datasets.py", "recipes.py", "sweep.py"),
    ("course/",),
    ("show/figures/",),
    ("show/",),
    ("cli.py",),
)
# The core, in the order in which it is read.
CORE = "elements graph bessel dimenet repulsion forces potential train transfer".split()
# May import its own inside a function: the command line, and what would wait 20 s for jax-md.
LATE = ("cli.py", "simulate/__init__.py")
# The package has as many lines as it needs today: one more is one too many.
LARGEST = dict(package=16829, core=1700, file=400, function=60, line=100)


def name_of(path):
    return path.relative_to(ROOT / "tlmlp").as_posix()


def floor(path):
    name = name_of(path)
    return next((k for k, part in enumerate(FLOORS, 1) if name.startswith(part)), 0)


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def module_file(dotted):
    """The file of a module of ours; None for a name that is none."""
    base = ROOT.joinpath(*dotted)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def imports(path):
    """[(node, file of ours that it imports)], those in functions as well."""
    package = path.relative_to(ROOT).parent.parts
    out = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = (*above, *(node.module or "").split(".")) if node.module else above
            if base[:1] not in (("tlmlp",), ("research",)):
                continue
            files = [module_file((*base, alias.name)) or module_file(base) for alias in node.names]
        elif isinstance(node, ast.Import):
            files = [module_file(tuple(alias.name.split("."))) for alias in node.names]
        else:
            continue
        out += [(node, file) for file in files if file is not None and file != path]
    return out


def place(path, node=None):
    return f"{path.relative_to(ROOT)}{f':{node.lineno}' if node is not None else ''}"


def upward():
    """Arrows go down only."""
    for path in PACKAGE:
        for node, file in imports(path):
            if file in RESEARCH:
                yield f"{place(path, node)} imports research"
            elif name_of(path) != "__init__.py" and floor(file) > floor(path):
                yield f"{place(path, node)} imports {name_of(file)}, which is above it"


def circles():
    """No file imports, by whatever way, itself."""
    arrows = {path: {file for _, file in imports(path)} for path in PACKAGE}

    def reaches(start):
        seen, todo = set(), list(arrows[start])
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo += arrows[at]
        return seen

    for path in PACKAGE:
        if path in reaches(path):
            yield f"{place(path)} imports itself, through {', '.join(map(name_of, arrows[path]))}"


def late_imports():
    """What is ours is imported at the top of a file."""
    for path in PACKAGE:
        top = set(tree_of(path).body)
        for node, file in imports(path):
            if node not in top and name_of(path) not in LATE:
                yield f"{place(path, node)} imports {name_of(file)} in a function"


def is_private(name):
    return name.startswith("_") and not name.endswith("_")


def defined(path):
    """Private names that a file gives: functions, classes, constants, attributes, arguments."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def private():
    """No private name crosses a file, by import, as an attribute or by inheritance."""
    own = {path: {name for name in defined(path) if is_private(name)} for path in PACKAGE}
    for path in PACKAGE + RESEARCH:
        others = set().union(*(names for file, names in own.items() if file != path))
        others -= own.get(path, {name for name in defined(path) if is_private(name)})
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom):
                names = [a.name for a in node.names if is_private(a.name)]
                names = names if any(n is node for n, _ in imports(path)) else []
            elif isinstance(node, ast.Attribute):
                names = [node.attr] if node.attr in others else []
            else:
                continue
            for name in names:
                yield f"{place(path, node)} uses {name} of another file"


def shadows():
    """A module and a function or class do not share a name."""
    for package in {path.parent for path in PACKAGE}:
        modules = {p.stem for p in package.glob("*.py")} | {
            p.parent.name for p in package.glob("*/__init__.py")
        }
        for node in tree_of(package / "__init__.py").body:
            if isinstance(node, ast.FunctionDef) and node.name in modules:
                yield f"{place(package)} has a module and a function {node.name}"
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if (alias.asname or alias.name) in modules:
                        yield f"{place(package)} has a module and a name {alias.name}"


def sizes():
    """Files, functions and lines are short."""
    for path in PACKAGE:
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > LARGEST["file"]:
            yield f"{place(path)} has {len(lines)} lines"
        for number, line in enumerate(lines, 1):
            if len(line) > LARGEST["line"]:
                yield f"{place(path)}:{number} is {len(line)} wide"
        for node in ast.walk(tree_of(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = node.end_lineno - node.lineno + 1
                if length > LARGEST["function"]:
                    yield f"{place(path, node)} {node.name} has {length} lines"


def hints():
    """Every public function of the library says what it takes and gives."""
    library = [path for path in PACKAGE if floor(path) < 5 or name_of(path) == "cli.py"]
    for path in library:
        bodies = [tree_of(path).body]
        classes = [n for n in tree_of(path).body if isinstance(n, ast.ClassDef)]
        bodies += [n.body for n in classes if not is_private(n.name)]
        for node in (n for body in bodies for n in body):
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            a = node.args
            arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
            named = [x for x in arguments if x is not None and x.arg not in ("self", "cls")]
            bare = [x.arg for x in named if x.annotation is None]
            if bare or node.returns is None:
                what = ", ".join(bare) or "its result"
                yield f"{place(path, node)} {node.name} has no hint for {what}"


def totals():
    """The core is read in one sitting; the package stays small."""
    count = lambda paths: sum(len(p.read_text(encoding="utf-8").splitlines()) for p in paths)
    core, whole = count([ROOT / "tlmlp" / f"{name}.py" for name in CORE]), count(PACKAGE)
    if core > LARGEST["core"]:
        yield f"the core has {core} lines"
    if whole > LARGEST["package"]:
        yield f"the package has {whole} lines"


RULES = (upward, circles, late_imports, private, shadows, sizes, hints, totals)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule):
    broken = list(rule())
    assert not broken, f"{rule.__doc__}\n" + "\n".join(broken)


def test_importing_has_no_effect_on_the_process():
    """No environment variable, no allocator, no setting of jax, whichever module is imported."""
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in PACKAGE]
    modules = [".".join(p).removesuffix(".__init__") for p in parts]
    code = f"""
import ctypes, importlib, os, jax
told = []
class Library(ctypes.CDLL):
    def __getattr__(self, name):
        told.append(name) if name == "mallopt" else None
        return super().__getattr__(name)
ctypes.CDLL = Library
def settings():
    return dict(os.environ), {{name: jax.config._read(name) for name in jax.config.values}}
# not ours, and they may do what they like
import ase.io, distributed, haiku, ipywidgets, jax_md, matplotlib, nglview, optax, phonopy
before = settings()
for name in {modules!r}:
    importlib.import_module(name)
after = settings()
changed = [k for a, b in zip(before, after) for k in {{**a, **b}} if a.get(k) != b.get(k)]
assert not changed and not told, (changed, told)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=600)


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
def test_lint_and_types(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for rule in RULES:
        for words in rule():
            if wanted in words:
                print(f"{rule.__name__:13}{words}")

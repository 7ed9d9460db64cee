"""What is installed, on how many ways, and what lies in the repository."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile

import nbformat
import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

from tlmlp.allocator import BAD_JAX

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}


def python(code):
    """Standard output of a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def tracked():
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in names.split("\0") if name]


def test_notebooks_are_committed_without_outputs():
    notebooks = sorted((ROOT / "notebooks").glob("**/[!.]*.ipynb"))
    assert notebooks
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        run = [
            cell.id for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")
        ]
        assert run == [], f"{path.name}: Edit > Clear Outputs of All Cells"
        assert "widgets" not in notebook.metadata, f"{path.name} keeps the state of widgets"


def test_every_dependency_has_both_bounds():
    for name, requirement in REQUIREMENTS.items():
        operators = {s.operator for s in requirement.specifier}
        assert {">=", "<"} <= operators or operators == {"=="}, name


@pytest.mark.parametrize("version", ["0.10.2", "0.11.1"])
def test_broken_jax_is_refused(version):
    assert "0.10.1" in REQUIREMENTS["jax"].specifier
    assert version not in REQUIREMENTS["jax"].specifier


def test_conda_and_binder_install_this_package_and_nothing_else():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    version = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert conda == [f"python={version}", "pip", {"pip": ["-e ."]}]
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-e ."]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_a_view_asks_for_the_front_end_that_is_installed():
    from ase.build import bulk

    from tlmlp.show.widgets.viewer import NGLViewer

    files = importlib.metadata.files("nglview")
    (shipped,) = [
        f for f in files if str(f).endswith("labextensions/nglview-js-widgets/package.json")
    ]
    view = NGLViewer(bulk("Si", cubic=True), (100, 100)).widget
    versions = {view._view_module_version, view._model_module_version}
    assert versions == {json.loads(shipped.locate().read_text())["version"]}


def test_importing_tlmlp_leaves_the_slow_modules_alone():
    used = "tlmlp.fit, tlmlp.Potential, tlmlp.datasets, tlmlp.recipes, tlmlp.course"
    loaded = python(f"import sys, tlmlp; {used}; print(*sys.modules)").split()
    assert "tlmlp.train" in loaded
    assert not {"jax_md", "pymatgen", "nglview", "matplotlib"} & set(loaded)


def test_importing_tlmlp_imports_nothing_else_of_weight():
    """Not even jax: `tlmlp --help` and a notebook's first cell do not wait for it."""
    loaded = python("import sys, tlmlp; tlmlp.__version__; print(*sys.modules)").split()
    ours = {name for name in loaded if name.partition(".")[0] == "tlmlp"}
    assert ours == {"tlmlp"}
    assert not {"jax", "haiku", "numpy", "ase", "scipy"} & set(loaded)


def test_the_public_face_is_all_there_is_to_see():
    import tlmlp

    assert dir(tlmlp) == sorted(tlmlp.__all__) and len(set(tlmlp.__all__)) == len(tlmlp.__all__)
    for name in tlmlp.__all__:
        assert getattr(tlmlp, name) is not None
    assert tlmlp.graph.pairs  # what is not listed can be imported all the same
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tlmlp.nothing  # noqa: B018


def test_loading_weights_leaves_the_process_alone():
    """A researcher may look at weights beside computations of their own; a calculator may ask."""
    code = """
import os, jax, tlmlp
settings = lambda: (dict(os.environ), {name: jax.config._read(name) for name in known})
known = list(jax.config.values)
before = settings()
potential = tlmlp.Potential.load("si-sw-course")
print(settings() == before)
potential.calculator()
print("XLA_PYTHON_CLIENT_PREALLOCATE" in os.environ)
"""
    assert python(code).split() == ["True", "True"]


def test_no_large_files():
    large = [str(path) for path in tracked() if path.is_file() and path.stat().st_size > 3e6]
    assert large == []


def test_version_is_said_once_and_explained():
    import tlmlp

    assert tlmlp.__version__ == PROJECT["version"]
    assert re.search(
        rf"^## {re.escape(PROJECT['version'])}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_weights_are_packaged():
    shipped = [path for path in tracked() if path.parent == ROOT / "tlmlp" / "weights"]
    assert {path.suffix for path in shipped} <= {".safetensors", ".toml"}


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14", "3.15"])
def test_dependencies_can_be_resolved(version, tmp_path):
    """`pip install .` on a new machine: nglview 4.0.0 asked for a numpy that Python 3.14 lacks."""
    from uv import find_uv_bin

    environment = dict(os.environ)
    for theirs, ours in (("index-url", "UV_DEFAULT_INDEX"), ("extra-index-url", "UV_INDEX")):
        command = [sys.executable, "-m", "pip", "config", "get", f"global.{theirs}"]
        found = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if found:
            environment.setdefault(ours, found)
    out, own = tmp_path / "requirements.txt", ROOT / "pyproject.toml"
    command = [find_uv_bin(), "pip", "compile", "-q", "--python-version", version, str(own)]
    command += ["-o", str(out), "--index-strategy", "unsafe-best-match"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode and "No solution found" not in result.stderr:
        pytest.skip(f"no package index can be asked: {result.stderr.strip()[-200:]}")
    assert result.returncode == 0, result.stderr
    chosen = dict(re.findall(r"^([\w-]+)==(\S+)", out.read_text(), re.M))
    assert chosen["jax"] not in BAD_JAX and chosen["nglview"] == "4.0.1"
    if version >= "3.14":
        assert tuple(map(int, chosen["numpy"].split(".")[:2])) >= (2, 3)


def test_notebooks_travel_in_the_wheel(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path)]
    result = subprocess.run([*command, str(ROOT)], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"the build backend cannot be fetched: {result.stderr.strip()[-200:]}")
    names = zipfile.ZipFile(next(tmp_path.glob("tlmlp-*.whl"))).namelist()
    for path in [*(ROOT / "notebooks").glob("[!.]*.ipynb"), *(ROOT / "docs").glob("*.md")]:
        assert f"tlmlp/{path.relative_to(ROOT).as_posix()}" in names
    assert not [n for n in names if n.endswith((".pyc", ".checkpoint")) or "/mine" in n]
    assert "tlmlp/weights/si-sw-course.safetensors" in names
    assert {f"tlmlp/lammps/{n}" for n in ("pair_tlmlp.cpp", "pair_tlmlp.h", "slots.cpp")} <= {
        *names
    }

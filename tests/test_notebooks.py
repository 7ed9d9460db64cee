"""Every notebook runs from top to bottom without a person or an error, and has no outputs."""

import asyncio
import os
import re
import shutil
import sys

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HANGS = 1800  # s in one cell: no learner waits so long, and no busy machine takes it

# What a person would do, run after the last cell.
PERSON = {
    "00_start_here": """
assert course.check_kinetic_energy(1.5 * units.kB * 300, temperature_K=300)
viewer.play()
while viewer.run.latest is None:
    viewer.wait(0.2)
viewer.pause()
assert viewer.steps > 0 and 0 < viewer.run.latest.get_temperature() < 900
""",
    "01_silicon": """
{solution}
verdict = course.check_force(force, atoms, atom=0, axis=0)
assert verdict, verdict
assert course.check_constant(0)
assert training.last.step >= 100
""",
    "03_molecular_dynamics": """
{solution}
assert course.check_timestep(timestep, timestep=4, error=error, allowed=1.0), timestep
assert abs(s.positions - r).max() < 1e-3 and not trial.failure
assert hot[-1].potential_energy > hot[0].potential_energy + 30  # eV
duel.play()
while duel.looks[1] is None or duel.looks[1].snapshot.step < 20:
    duel.wait(1)
duel.stop()
""",
    "02_germanium_transfer": """
{solution}
assert course.check_frequency(frequency, known=15.5, length=s, energy=e, mass=mass)
row = explorer.rows[0]
assert set(mine) == {"transfer", "scratch"} and row["curve"][-1][0] == row["steps"]
""",
    "04_out_of_target": """
{solution}
assert course.check_bulk_modulus(bulk_modulus, own["c11"], own["c12"])
assert abs(bulk_modulus - own["bulk_modulus"]) < 0.1 * bulk_modulus
assert 5.5 < crystals["transfer"].cell[0, 0] < 5.8 and elastic["reference"].c11 > 130
results = bench.result()
names = {"reference", "scratch", "transfer", "transfer, reduced units", "silicon unchanged"}
assert set(results) == names
""",
}


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=pytest.mark.xdist_group(p.stem), id=p.stem) for p in NOTEBOOKS]
)
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    copy = shutil.copy(path, tmp_path)
    notebook = nbformat.read(copy, as_version=4)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    )
    monkeypatch.setenv("TLMLP_MODE", "binder")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    if sys.platform == "win32":
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    folded = "".join(
        re.findall(
            r"<details>(.*?)</details>", "".join(c.source for c in notebook.cells), re.DOTALL
        )
    )
    solution = re.findall(r"```python\n(.*?)```", folded, re.DOTALL)
    if path.stem in PERSON:
        code = PERSON[path.stem].replace("{solution}", "".join(solution))
        notebook.cells.append(nbformat.v4.new_code_cell(code))
    NotebookClient(
        notebook,
        timeout=HANGS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    warnings = [
        o.text
        for c in notebook.cells
        if c.cell_type == "code"
        for o in c.outputs
        if o.get("name") == "stderr"
    ]
    assert warnings == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_is_committed_as_a_learner_should_meet_it(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert len(code) <= 15
    assert all(c.outputs == [] and c.execution_count is None for c in code)
    assert len({c.id for c in notebook.cells}) == len(notebook.cells)
    text = "".join(c.source for c in notebook.cells)
    assert (
        "Running time" in notebook.cells[0].source
        and "<details>" in text
        and "Read next" in text + text.title()
    )
    assert "course.check_" in text
    for name in re.findall(r"\]\(([\w./-]+\.ipynb)\)", text):
        assert (path.parent / name).is_file(), f"{path.name} links to {name}, which is not there"

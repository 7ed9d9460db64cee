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
{solution}
assert course.check_kinetic_energy(answer, temperature_K=300)
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
assert training.last.step >= 100
""",
    "01b_where_data_come_from": """
{solution}
assert course.check_constant(change)
far = networks["si-sw-course"].evaluate(dft).groups
near = networks["si-sw-course"].evaluate(relabelled).groups
dft_net = networks["si-dft-course"].evaluate(dft).groups
for group in ("Solid", "Liquid"):  # whose labels the errors are
    assert far[group].force_mae > 5 * near[group].force_mae
assert 23 < dft_net["Solid"].force_rmse and dft_net["Liquid"].force_rmse < 205  # Γ alone
assert 30 < networks["si-sw-course"].evaluate(frames).force_mae < 50  # meV/Å, own structures
""",
    "03_molecular_dynamics": """
{solution}
assert course.check_timestep(timestep, timestep=4, error=error, allowed=1.0), timestep
assert abs(s.positions - r).max() < 1e-3
assert hot[-1].potential_energy > hot[0].potential_energy + 30  # eV
duel.play()
while duel.looks[1] is None or duel.looks[1].snapshot.step < 20:
    duel.wait(1)
duel.stop()
""",
    "03b_stability": """
{solution}
assert course.check_failure_probability(q, held=3)
assert not trial.failure and 0.19 < stability.apart(liquid.n, crystal.n) < 0.21
""",
    "02_germanium_transfer": """
{solution}
assert course.check_reduced_forces(forces, atoms, silicon, reduced)
assert course.check_plan(plan, plans, structures=20, allowed=80)
assert course.check_plan(dict(n=10, frozen=2, start="copied"), plans, structures=20, allowed=80)
row = explorer.rows[0]
assert set(mine) == {"transfer", "scratch"} and row["curve"][-1][0] == row["steps"]
assert abs(copied.evaluate(test).force_mae - 320) < 10 > abs(reduced.evaluate(test).force_mae - 110)
table = {(10, 0, "copied"): 78, (10, 2, "copied"): 80, (10, 3, "copied"): 85, (10, 5, "copied"): 94}
table |= {(10, 0, "scratch"): 125, (50, 0, "copied"): 75, (50, 0, "scratch"): 132}
table |= {(10, 0, "reduced"): 72, (5, 0, "reduced"): 78}
assert {key: round(plans[key]) for key in table} == table
rows = course.rows("frozen") + course.rows("learning-curve")
rows = [r for r in rows if (r["source"], r["method"], r["n"]) == ("dft", "transfer", 10)]
on_silicon = {d: [r["silicon_force_mae"] for r in rows if len(r["frozen"]) == d] for d in (0, 2, 5)}
assert [round(sum(x) / len(x)) for x in on_silicon.values()] == [375, 376, 459]
""",
    "02b_how_much_data": """
{solution}
assert needed == 50 and course.check_fewest(needed, scratch, allowed)
assert not course.check_fewest(20, scratch, allowed)
assert step == 1600 and course.check_overfitting(step, row["curve"], row["best_step"])
assert "validation chose" in course.check_overfitting(200, row["curve"], row["best_step"]).words
assert course.check_frequency(frequency, known=15.5, length=s, energy=e, mass=mass)
assert abs(frequency - 8.5) < 0.1
assert found["reduced units"] < found["lengths scaled"] < found["copied weights"] - 100
numbers = {"copied weights": 321, "lengths scaled": 162, "reduced units": 113}
assert all(abs(found[name] - number) < 3 for name, number in numbers.items())
assert [round(x) for x in (scratch[50], allowed, row["force_mae"])] == [76, 81, 105]
others = ("transfer", 20), ("scratch", 0), ("reduced", 10)
assert [round(mean_error(*other)) for other in others] == [67, 73, 71]
for method, ends in (("transfer", (79, 117)), ("scratch", (115, 150))):
    rows = [r for r in best if (r["source"], r["method"], r["n"]) == ("dft", method, 10)]
    last = [r["curve"][-1][1] for r in rows]
    assert (round(min(last)), round(max(last))) == ends
""",
    "02c_freezing_and_forgetting": """
{solution}
assert course.check_mask(mask, silicon, frozen) and mask == transfer.freeze(silicon, frozen)
assert course.check_forgetting(factor, errors["before"], errors["copied weights"])
assert 3.8 < factor < 4.8 and abs(errors["before"] - 89) < 2
assert errors["reduced units"] < 0.5 * errors["copied weights"]
assert replay.last.step >= 100 and mine.evaluate(si_test).force_mae < 300
assert not course.check_replay(copied, test, si_test, ge_most=100, si_most=115)
""",
    "02d_temperatures": """
{solution}
assert candidate == 4 and course.check_next_structure(candidate, candidates, committee)
assert "second" in course.check_next_structure(3, candidates, committee).words
two = course.disagreement(committee[:2], test)
assert abs(rho - 0.84) < 0.03 and abs(spearmanr(two, error).statistic - 0.9) < 0.03
means = {kind: (sigma[kinds == kind].mean(), error[kinds == kind].mean()) for kind in set(kinds)}
known = {"Strained": (52, 42), "Vacancy": (45, 74)}
assert all(np.allclose(means[kind], pair, atol=2) for kind, pair in known.items())
assert abs(two[kinds == "Liquid"].mean() - 35) < 2 and abs(means["Liquid"][1] - 113) < 3
assert abs(two[2] - 43) < 2 and abs(sigma[2] - 93) < 3 and abs(error[2] - 126) < 3
assert abs(committee[2].evaluate(test).groups["Strained"].force_mae - 98) < 2

def mean_error(phase, method, group):
    own = "dft", phase, method
    rows = [r for r in course.rows("temperature") if (r["source"], r["phase"], r["method"]) == own]
    return round(np.mean([r["groups"][group][0] for r in rows]))

methods = "scratch", "transfer", "reduced"
assert [mean_error("crystal", method, "Liquid") for method in methods] == [656, 282, 181]
assert [mean_error("liquid", method, "Solid") for method in methods[:2]] == [229, 96]
assert mean_error("crystal", "scratch", "Solid") == 83
""",
    "04_out_of_target": """
{solution}
assert course.check_bulk_modulus(bulk_modulus, own.c11, own.c12)
assert abs(bulk_modulus - own.bulk_modulus) < 1e-3 * bulk_modulus
assert course.check_verdicts(verdicts, card, n=10)
assert 5.5 < crystals["transfer"].cell[0, 0] < 5.8 and elastic["reference"].c11 > 130
results = bench.result()
names = {"reference", "scratch", "transfer", "transfer, reduced units", "silicon unchanged"}
assert set(results) == names
""",
    "04b_card_and_melting": """
{solution}
assert course.check_margin(margin, delta)
assert delta.mean() < margin and card.line("c12", "transfer", 10).verdict == "no difference"
""",
    "05_universal_potentials": """
{solution}
assert course.check_slope(slope, x, y) and course.check_share(share, x, y)
assert not course.check_slope(share, x, y) and not course.check_share(slope, x, y)
assert 0.5 < slope < 0.6 and 0.8 < share < 0.9
""",
    "06_how_similar": """
{solution}
assert course.check_hurts(element.result())
assert course.check_expected_gain(gain, 125, own, s, e) and 1.5 < gain < 1.6
""",
    "07_alchemy": """
{solution}
mixed.fractions = 0.3
assert course.check_fraction_slope(slope, mixed, atoms)
assert course.check_composition(x, 5.60, network)
assert [round(errors[name][1]) for name in ("Si", "Ge", "SiGe")] == [389, 64, 283]
tops = {name: p.nu[p.density > 0].max() for name, p in found.items()}
assert tops["alchemical, x = 0.5"] < 11 and tops["random alloy, x = 0.5"] > 12  # THz
""",
    "08_more_from_the_same_data": """
{solution}
assert course.check_labels(chosen, known, candidates, test, allowed={"Liquid": 210, "Strained": 70})
assert [row["method"] for row in trainings.result()] == ["linear"]
""",
    "08b_how_sure": """
{solution}
assert course.check_expected_error(expected, half, 1.2) and 0.3 < expected < 0.5
assert found["transfer"].factor > 3 * found["scratch"].factor
""",
    "09_past_one_machine": """
{solution}
assert course.check_machines(cards, atoms=1_000_000, time_ns=10, timestep_fs=2, rate=4e6, days=3)
assert cards == 5 and sorted(times) == [64, 216, 512, 1728]
counts = {}
for k, per_cell in {(2, 1, 1): 2048, (2, 2, 2): 512, (4, 4, 4): 64}.items():
    found = [course.domains.domain(silicon * (8, 8, 8), k, reach) for reach in (4.5, 13.5)]
    assert all(len(domain.owned) == per_cell for domain in found)
    counts[k] = [len(domain.ghosts) for domain in found]
assert counts == {(2, 1, 1): [2337, 9349], (2, 2, 2): [1017, 4861], (4, 4, 4): [363, 2407]}
assert run.missing or lines[-1]["Step"] == 200
assert run.missing or abs(lines[-1]["TotEng"] - lines[0]["TotEng"]) < 0.01 * 216
assert len(sweep.read(rows)) == 5 and "scratch" in sweep.table(sweep.read(rows))
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


def sentences(text):
    """Sentences of markdown, in words: no code, mathematics, tables or tags."""
    text = re.sub(
        r"```.*?```|\$\$.*?\$\$|<[^>]*>|^[|#][^\n]*$", " ", text, flags=re.DOTALL | re.MULTILINE
    )
    text = re.sub(r"\$[^$]*\$|`[^`]*`|\[([^\]]*)\]\([^)]*\)", r"\1 x", text)
    parts = re.split(r"(?<=[.!?:;])\s|\n\s*(?:[-*]|\d+\.)\s|\n\n", text)
    return [n for part in parts if (n := len(re.findall(r"[^\W_]+", part)))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_is_short_and_plain(path):
    """What a class can read: 15 cells and 6000 characters, sentences of 25 words at most."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    assert len(cells) <= 15 and len(text) <= 6000, (len(cells), len(text))
    lengths = sorted(sentences(text))
    assert len(lengths) > 40 and lengths[int(0.9 * len(lengths))] <= 25, lengths[-5:]
    assert all(words in text for words in ("After this notebook you can", "You need", "Shut Down"))

"""The doctor finds what is wrong, and exercise checks can fail as well as pass."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.lj import LennardJones

from tlmlp import course
from tlmlp.course import machine
from tlmlp.course.results import own_best
from tlmlp.show.figures.learning import where


def line(what):
    return next(x for x in course.doctor() if x.what == what)


@pytest.mark.parametrize(
    "package, shown, version", [("jax", "jax", "0.10.2"), ("jax", "jax", "0.11.1")]
)
def test_doctor_flags_versions_that_must_not_be_there(monkeypatch, package, shown, version):
    true = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: version if name == package else true(name)
    )
    found = line(shown)
    assert found.state == "fail" and version in found.found and "pip install" in found.advice
    assert not course.doctor().ok


def test_doctor_misses_a_package(monkeypatch):
    true = metadata.version

    def version(name):
        if name == "optax":
            raise metadata.PackageNotFoundError(name)
        return true(name)

    monkeypatch.setattr(metadata, "version", version)
    assert line("optax") == machine.Line(
        "fail", "optax", "missing", "Install it: pip install optax"
    )


def test_doctor_compares_both_sides_of_the_viewer(monkeypatch, tmp_path):
    assert line("viewer").state == "ok"
    import jupyter_core.paths

    folder = tmp_path / "nglview-js-widgets"
    folder.mkdir()
    (folder / "package.json").write_text('{"version": "1.2.3"}')
    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *_: [str(tmp_path)])
    assert line("viewer").state == "fail" and "1.2.3" in line("viewer").found
    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *_: [])
    assert line("viewer").found == "no front end"


def test_doctor_misses_data_that_should_have_come_with_the_package(monkeypatch, tmp_path):
    assert line("DFT data").state == "ok"
    monkeypatch.setattr(machine, "DFT", tmp_path)
    assert line("DFT data").state == "fail" and "install tlmlp again" in line("DFT data").advice


def test_doctor_says_where_data_would_come_from(monkeypatch, tmp_path):
    monkeypatch.setenv("TLMLP_DATA", str(tmp_path))
    assert (
        line("public DFT data").state == "warn" and "TLMLP_DATA" in line("public DFT data").advice
    )
    for symbol in ("Si", "Ge"):
        (tmp_path / "mlearn" / symbol).mkdir(parents=True)
        for name in ("training.json", "test.json"):
            (tmp_path / "mlearn" / symbol / name).write_text("{}")
    assert line("public DFT data").state == "ok" and "at hand" in line("public DFT data").found


def test_doctor_tells_a_folder_that_cannot_be_written(monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError

    monkeypatch.setattr(machine.tempfile, "NamedTemporaryFile", refuse)
    assert line("this folder").state == "warn"


def test_doctor_shows_itself_in_both_worlds():
    report = machine.Report(
        [machine.Line("ok", "a", "1"), machine.Line("fail", "b <c>", "2", "Do this.")]
    )
    assert not report.ok and "Do this." in str(report)
    assert "b &lt;c&gt;" in report._repr_html_()


def test_mode(monkeypatch):
    monkeypatch.delenv("BINDER_SERVICE_HOST", raising=False)
    monkeypatch.delenv("TLMLP_MODE", raising=False)
    monkeypatch.setattr("jax.default_backend", lambda: "cpu")
    monkeypatch.setattr(machine, "memory_limit", lambda: 16.0)
    assert course.mode() == "cpu"
    monkeypatch.setattr(machine, "memory_limit", lambda: 2.0)
    assert course.mode() == "binder"
    monkeypatch.setenv("TLMLP_MODE", "gpu")
    assert course.mode() == "gpu"
    monkeypatch.setenv("TLMLP_MODE", "fast")
    with pytest.raises(ValueError, match="gpu, cpu or binder"):
        course.mode()


def test_memory_limit_respects_a_container(monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", "2147483648")
    assert course.memory_limit() == pytest.approx(2.147, abs=1e-3)


def test_the_doctor_needs_no_other_file_of_ours():
    """It is asked where something is missing. And what draws or simulates is imported when used."""
    code = """
import sys
from tlmlp import course
course.doctor()
named = [name for name in sys.modules if name.startswith("tlmlp.")]
assert named == ["tlmlp.course", "tlmlp.course.machine"], named
for name in dir(course):
    getattr(course, name)
heavy = {"jax_md", "matplotlib", "nglview", "distributed"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.parametrize("quota, expected", [("150000 100000", 1.5), ("max 100000", None)])
def test_cores_are_those_of_a_container(monkeypatch, quota, expected):
    free = machine.cores()
    monkeypatch.setattr(machine.Path, "read_text", lambda path, **_: quota)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert machine.cores() == (expected or 64) and free > 0
    monkeypatch.setenv("CPU_LIMIT", "0.5")
    assert machine.cores() == 0.5


def test_the_doctor_names_the_device(monkeypatch):
    monkeypatch.setattr("jax.devices", lambda: [type("Device", (), dict(platform="cpu"))])
    monkeypatch.setattr(machine, "cores", lambda: 1.0)
    assert line("device").found == "CPU, 1 core" and "One core" in line("device").advice


@pytest.fixture(scope="module")
def atoms():
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = LennardJones(sigma=2.1, epsilon=0.5, rc=3.5)
    return atoms


def test_a_force_by_finite_differences_passes_and_mistakes_do_not(atoms):
    def energy(shift):
        moved = atoms.copy()
        moved.calc = LennardJones(sigma=2.1, epsilon=0.5, rc=3.5)
        moved.positions[2, 1] += shift
        return moved.get_potential_energy()

    h = 1e-3
    force = -(energy(h) - energy(-h)) / (2 * h)
    check = lambda answer: course.check_force(answer, atoms, atom=2, axis=1)
    assert check(force) and check(np.float64(force))
    for answer, words in [
        (-force, "wrong sign"),
        (2 * force, "2 h apart"),
        (force / 2, "divide by 2 h"),
        (0.0, "zero"),
        (..., "dots"),
        ("big", "one number"),
        (np.nan, "not a number"),
        (atoms.get_forces()[2, 0], "along x"),
        (force + 100, "near 0.01"),
    ]:
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


@pytest.mark.parametrize(
    "answer, right, words",
    [
        ((138.3 + 2 * 50.9) / 3, True, "GPa: 1 % less volume"),
        (138.3 + 2 * 50.9, False, "three times as much"),
        ((138.3 + 50.9) / 3, False, "C12 counts twice"),
        ((138.3 - 50.9) / 2, False, "shear modulus"),
        (138.3, False, "C11 alone"),
        (80033, False, "in MPa"),
        (1.0, False, "strain all three axes"),
        (..., False, "in place of the dots"),
    ],
)
def test_bulk_modulus(answer, right, words):
    verdict = course.check_bulk_modulus(answer, 138.3, 50.9)
    assert bool(verdict) is right and words in verdict.words


def test_kinetic_energy_and_constant():
    kT = units.kB * 300
    assert course.check_kinetic_energy(0.0388, 300)
    for answer, words in [
        (38.8, "meV"),
        (kT, "three directions"),
        (kT / 2, "one direction"),
        (3 * kT, "half"),
        (7, "equi"),
        (None, "dots"),
    ]:
        verdict = course.check_kinetic_energy(answer, 300)
        assert not verdict and words in verdict.words
        assert "Not yet" in repr(verdict) and "Not yet" in verdict._repr_html_()
    assert (
        course.check_constant(0) and not course.check_constant(1) and not course.check_constant(...)
    )


def test_no_check_of_the_doctor_downloads(monkeypatch):
    import pooch

    monkeypatch.setattr(pooch, "retrieve", lambda *a, **k: pytest.fail("the doctor downloads"))
    monkeypatch.delenv("TLMLP_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: Path("nowhere") / name)
    assert line("public DFT data").state == "ok" and "fetched" in line("public DFT data").found


def test_timestep():
    """0.08 at 2 fs and 1 allowed: 2 sqrt(12.5) = 7.07 fs."""
    assert course.check_timestep(7.07, 2, 0.08, 1.0)
    for answer, words in [
        (25, "as its square"),
        (312.5, "other way round"),
        (2 * 0.08**0.5, "upside down"),
        (3, "error = c dt²"),
        (..., "dots"),
    ]:
        verdict = course.check_timestep(answer, 2, 0.08, 1.0)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_a_frequency_by_corresponding_states():
    known, s, e, m = 15.5, 1.057, 0.9, 2.586
    check = lambda answer: course.check_frequency(answer, known, s, e, m)
    assert check(known * (e / m / s**2) ** 0.5)
    for answer, words in [
        (known * e / m / s**2, "square root"),
        (known * e**0.5 / s, "mass"),
        (known * (e / m) ** 0.5, "length"),
        (1.0, "units of"),
        (known * (e * m) ** 0.5 / s, "slower"),
        (known / m**0.5, "now the spring"),
        (..., "dots"),
    ]:
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_the_fewest_structures_are_read_from_the_curve_that_ships():
    """Scratch on DFT has 97 meV/Å with 10 structures, 91 with 20, 76 with 50; transfer 81 with 10.

    Numbers of docs/results.md, each start at its own best.
    """
    rows = [row for row in own_best(course.rows("own-best")) if row["source"] == "dft"]
    mean = lambda **fields: np.mean([row["force_mae"] for row in where(rows, **fields)])
    scratch = {n: mean(method="scratch", n=n) for n in (5, 10, 20, 50, 100)}
    check = lambda answer: course.check_fewest(answer, scratch, mean(method="transfer", n=10))
    assert check(50) and "76 meV/Å, at most the 81" in check(50).words
    for answer, words in [
        (20, "the error at 20 is 91 meV/Å, more than the 81"),
        (100, "a smaller number is enough too"),
        (42, "points at 5, 10, 20, 50, 100"),
        (..., "dots"),
    ]:
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_failures_that_three_runs_do_not_exclude():
    """0.05 to the power 1/3 is 0.368."""
    assert course.check_failure_probability(0.632, 3)
    for answer, words in [
        (0, "no run ever fails"),
        (0.368, "1 - p"),
        (1 - 0.95 ** (1 / 3), "equal to 0.05"),
        (63.2, "in percent"),
        (0.5, "to the power 3"),
        (..., "dots"),
    ]:
        verdict = course.check_failure_probability(answer, 3)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_margin_of_a_mean_over_seeds():
    """Of five seeds t is 2.776 (any table); 1 to 5 have a standard deviation of 1.5811."""
    check = lambda answer: course.check_margin(answer, [1, 2, 3, 4, 5])
    assert check(2.776 * 1.5811 / 5**0.5)
    for answer, words in [
        (1.5811, "the standard deviation"),
        (1.5811 / 5**0.5, "standard error"),
        (1.96 * 1.5811 / 5**0.5, "for many seeds"),
        (2.776 * 1.5811, "less spread"),
        (2.776 * 2**0.5 / 5**0.5, "ddof=1"),
        (9, "sqrt(S)"),
        (..., "dots"),
    ]:
        verdict = check(answer)
        assert not verdict and words in verdict.words, (answer, verdict)


def test_verdicts_of_three_properties():
    """Lattice constants, C44 and vacancies of five seeds, by scipy's own paired test of errors."""
    from scipy.stats import ttest_rel

    card, names = course.card("Ge", "stillinger-weber"), ("lattice_constant", "c44", "vacancy")
    right = {}
    for name in names:
        scratch, after = (
            abs(np.array(card.line(name, m, 10).values) - card.reference[name])
            for m in ("scratch", "transfer")
        )
        test = ttest_rel(scratch, after)
        changed = "helped" if test.statistic > 0 else "hurt"
        right[name] = changed if test.pvalue < 0.05 else "no difference"
    check = lambda **said: course.check_verdicts(right | said, card, 10)
    assert set(right.values()) == {"helped", "hurt", "no difference"} and check()
    chance, more = "within the margin", "more than chance"
    for said, words in [
        (dict(c44="hurt"), "c44: the mean difference of errors is -3 GPa, its margin 5.3 GPa: "),
        (dict(c44="helped"), chance),
        (dict(vacancy="no difference"), f"{more}, and transfer is nearer"),
        (dict(lattice_constant="no difference"), f"{more}, and scratch is nearer"),
        (dict(vacancy="hurt"), "margin 0.26 eV: transfer is nearer"),
        (dict(vacancy="better"), "'better' is no verdict"),
        (dict(vacancy=...), "is no verdict"),
        (dict(C44="hurt"), "no verdict on 'C44'; there is one on lattice_constant, "),
    ]:
        verdict = check(**said)
        assert not verdict and words in verdict.words, (said, verdict)
    both = check(c44="hurt", vacancy="hurt").words
    assert "c44: " in both and "vacancy: " in both and "lattice_constant: " not in both
    for answer, words in [
        (..., "dots"),
        ("helped", "a dict is asked for"),
        (dict(c44="no difference"), "three properties are asked for, not 1"),
    ]:
        verdict = course.check_verdicts(answer, card, 10)
        assert not verdict and words in verdict.words, (answer, verdict)
    with pytest.raises(ValueError, match="n must be one of 10"):
        course.check_verdicts(right, card, 11)

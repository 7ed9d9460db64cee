"""The page of results says what the rows that ship say."""

import re

import numpy as np
import pytest

from research import answers, few_labels, results
from tlmlp.course import rows
from tlmlp.show.figures.learning import where


@pytest.fixture(scope="module")
def page():
    return results.PAGE.read_text(encoding="utf-8")


def tables(page, title):
    """[[cells of a line, ...], ...] of each table below a heading."""
    part = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    blocks = [b for b in re.split(r"\n\n", part) if b.startswith("| ")]
    return [[re.split(r" *\| *", line)[1:-1] for line in b.splitlines()] for b in blocks]


def test_the_page_is_what_its_generator_writes(page):
    assert page == results.page(), "python -m research.results"


def test_the_page_of_answers_is_what_its_generator_writes():
    assert answers.PAGE.read_text(encoding="utf-8") == answers.page(), "python -m research.answers"


def test_every_table_is_complete(page):
    blocks = [b for b in page.split("\n\n") if b.startswith("| ")]
    assert len(blocks) >= 30
    for block in blocks:
        widths = {line.count(" |") for line in block.splitlines()}
        assert len(widths) == 1 and len(block.splitlines()) > 2, block
    assert "nan" not in page


def test_a_cell_is_the_mean_and_spread_of_its_rows(page):
    """One cell, computed here from the file."""
    own = [r for r in rows("learning-curve") if (r["source"], r["method"]) == ("dft", "transfer")]
    errors = [r["force_mae"] for r in own if r["n"] == 10]
    assert len(errors) == 5
    head, _, *lines = tables(page, "Learning curves at equal steps")[0]
    cell = lines[1][head.index("10")]
    assert lines[1][:2] == ["DFT", "transfer"]
    assert cell == f"{np.mean(errors):.0f} ± {np.std(errors, ddof=1):.0f}"


def test_every_verdict_is_counted_once(page):
    """27 properties with five seeds of Stillinger-Weber at three sizes, 16 of DFT's reference."""
    head, _, *lines = tables(page, "Properties out of target")[0]
    counts = [[int(x) for x in line[3:6]] for line in lines if line[1] == "transfer"]
    assert [sum(c) for c in counts] == [16] * 3 + [27] * 3 + [129]
    assert np.array_equal(np.sum(counts[:-1], axis=0), counts[-1])


def test_sections_of_losses_say_what_their_rows_say(monkeypatch):
    """With the terms errors halve and one liquid more fails; C44 comes to its value."""
    run, real = dict(source="dft", element="Ge", method="scratch", n=10, steps=800), few_labels.rows
    plain = [run | dict(seed=s, force_mae=120.0 + s, energy_rmse=20.0) for s in range(3)]
    both = dict(taylor=1.2, path=0.01, force_mae=60.0)
    known = {row["seed"]: row for row in where(real("properties"), **run)}
    cards = [
        known[s] | both | dict(properties=known[s]["properties"] | dict(c44=48.3)) for s in range(3)
    ]
    trials = [dict(phase="liquid", failure=failure) for failure in ("", "brakes")]
    held = [
        run | dict(source="stillinger-weber", phase=None, seed=0, trials=own)
        for own in (trials[:1], trials)
    ]
    made = {
        "weak": [row | both for row in plain],
        "weak-best": [],
        "learning-curve": plain,
        "own-best": [],
        "weak-properties": cards,
        "weak-stability": held[1:],
        "stability": held[:1],
    }
    monkeypatch.setattr(few_labels, "rows", lambda name: made.get(name) or real(name))
    _, losses, _, properties, stability = few_labels.weak()
    assert "| energies, forces | labels | – | 121 ± 1 | – | – | 20 ± 0 |" in losses
    assert "| Taylor and path | – | 60 ± 0 | – | – | 20 ± 0 |" in losses
    assert "| DFT | scratch | 1 | 15 | 0 | C44 |" in properties
    assert "| labels | 0 of 0 | 1 of 1 |" in stability
    assert "| Taylor and path | 0 of 0 | 1 of 2 |" in stability

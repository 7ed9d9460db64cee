"""The page of results says what the rows that ship say."""

import re

import numpy as np
import pytest

from research import answers, results
from tlmlp.course import rows


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

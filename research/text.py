"""Markdown: numbers with their spread, tables, sections."""

from textwrap import fill

import numpy as np

from tlmlp.course.results import mean_and_spread
from tlmlp.course.sources import SOURCES
from tlmlp.show.figures.style import METHODS as STYLES

SWEEP = "python -m research.sweep"  # performs the runs of a table


def sized(n):
    """A number of training structures; 0 is all."""
    return str(n or "all")


def names(source, method):
    """What a source of data and a start are called."""
    return SOURCES[source].words, STYLES[method].word


def cell(values, digits=0):
    """Mean ± standard deviation of numbers, a dash where there are none."""
    values = [value for value in values if value is not None and np.isfinite(value)]
    if not values:
        return "–"
    mean, spread = mean_and_spread(values)
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if len(values) > 1 else "")


def span(values, digits=0):
    """Smallest to largest."""
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def places(x):
    """Digits behind the point: four significant ones for what is not small."""
    return next((k for k, above in enumerate((1000, 100, 10)) if abs(x) >= above), 3)


def number(x):
    """A property as text."""
    return "–" if x is None or not np.isfinite(x) else f"{x:.{places(x)}f}"


def table(titles, lines):
    """Markdown: titles and cells."""
    out = [titles, ["---"] * len(titles), *lines]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in out) + "\n"


def prose(words):
    """Paragraphs, their lines broken anew."""
    return (
        "\n\n".join(fill(part, 110, break_long_words=False) for part in words.split("\n\n")) + "\n"
    )


def section(title, words, *commands):
    """A heading, the commands that made the rows of its tables, and what these are."""
    made = ", ".join(f"`{command}`" for command in commands)
    return f"## {title}\n\n{made}\n\n{prose(words)}"

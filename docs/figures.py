"""Figures of the slides, drawn from what ships: potentials, data and rows of precomputed runs."""

from collections import Counter
from pathlib import Path

import tlmlp
from tlmlp import course, show


def parity():
    """Errors of a shipped potential on its test structures."""
    return show.parity(course.data("dft", "Si")[1], tlmlp.Potential.load("si-dft-course"))


def likeness():
    """Two crystals at the same fraction of their melting temperature."""
    coldest = {}
    for element in ("Si", "Ge"):
        frames = course.data("stillinger-weber", element)[0]
        lowest = min(atoms.info["temperature"] for atoms in frames)
        coldest[element] = [a for a in frames if a.info["temperature"] == lowest]
    lattice = course.SOURCES["stillinger-weber"].lattice
    return show.likeness(*((coldest[e], lattice[e]) for e in ("Si", "Ge")))


def freezing():
    """Groups of weights frozen, and nothing frozen."""
    return show.freezing(course.rows("frozen") + course.rows("learning-curve"))


FIGURES = {
    "network": lambda: show.picture_network(tlmlp.Potential.load("si-dft-course")),
    "parity": parity,
    "likeness": likeness,
    "equal-steps": lambda: show.learning_curves(course.rows("learning-curve")),
    "own-best": lambda: show.learning_curves(course.rows("own-best")),
    "freezing": freezing,
    "stability": lambda: show.stability_map(course.rows("stability")),
}


def verdicts():
    """{"helped", "no difference" or "hurt": how many properties}, over data and sizes."""
    counts = Counter()
    for source in ("dft", "stillinger-weber"):
        for found in course.card("Ge", source).verdicts().values():
            counts.update({word: len(properties) for word, properties in found.items()})
    return dict(counts)


def draw(folder):
    """Write each figure as a PNG file."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, make in FIGURES.items():
        (Path(folder) / f"{name}.png").write_bytes(make().png(dpi=150))

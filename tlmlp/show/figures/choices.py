"""Figures of what else helps where labels are few: choices of structures, losses, algorithms.

Errors are force MAE on test structures. Bars are one standard deviation over seeds.
"""

import numpy as np

from ...course.choices import ALGORITHMS, CHOICES
from ...course.results import mean_and_spread
from .learning import AXIS, where
from .picture import legend_below, log_axis, nothing, panels
from .style import INK, LINEAR, METHODS, Method

LOOKS = {"linear": LINEAR, "scratch": METHODS["scratch"], "transfer": METHODS["transfer"]}
TUNED = {"fine-tuned": Method("CHGNet, fine-tuned", "CHGNet", INK, "X", 3.0)}
PARTS = {"all test structures": None, "warm crystals": "Solid", "liquids": "Liquid"}
MOST = 8  # attempts in a picture


def _error(row, group):
    return row["force_mae"] if group is None else row["groups"][group]


def choices(rows, n=10):
    """Force errors of each choice of structures, for three algorithms.

    rows: of `course.rows("diversity")`; n: structures of a choice, 10 or 40.
    """
    rows = where(rows, source="dft", n=n)
    if not rows:
        return nothing()
    figure, axes = panels(9.1, 4.0, 1, 3, sharey=True)
    there = [choice for choice in CHOICES if where(rows, choice=choice)]
    words, said = [CHOICES[choice] for choice in there], []
    for ax, (part, group) in zip(axes[0], PARTS.items()):
        seen = [60.0, 150.0]  # the least that the axis shows
        for k, (method, look) in enumerate(LOOKS.items()):
            own = where(rows, method=method)
            found = [[_error(row, group) for row in where(own, choice=c)] for c in there]
            mean, spread = np.nan_to_num([mean_and_spread(values) for values in found]).T
            style = dict(fmt=look.marker, color=look.colour, ms=5, capsize=2, label=look.word)
            ax.errorbar(mean, np.arange(len(words)) + 0.22 * (k - 1), xerr=spread, **style)
            seen += [*mean]
            each = ", ".join(f"{m:.0f} {word}" for m, word in zip(mean, words))
            said.append(f"{part}, {look.word}: {each}.")
        log_axis(ax, seen, "x")
        low, high = ax.get_xlim()
        for fine in ((50, 100, 200, 400, 800), (50, 70, 100, 150)):  # there is no room for more
            ticks = [tick for tick in fine if low < tick < high]
            if len(ticks) > 2:
                break
        ax.set_xticks(ticks, map(str, ticks))
        ax.set(xlabel="force MAE (meV/Å)", title=part)
        ax.set_ylim(len(words) - 0.5, -0.5)
    axes[0, 0].set_yticks(range(len(words)), words)
    return legend_below(figure).describe("choices", *said, n=n)


def attempts(rows, empty="nothing is trained yet"):
    """Force errors of a few trainings, the newest on top; rows of `course.choices.attempt`."""
    rows = rows[-MOST:][::-1]
    figure, ((ax,),) = panels(5.8, 3.6)
    seen, words, said = [60.0, 300.0], [], []
    for k, row in enumerate(rows):
        colour = LOOKS[row["method"]].colour
        there = {name: _error(row, group) for name, group in PARTS.items()}
        every, *both = there.values()
        ax.plot(both, [k, k], color=colour, lw=1, alpha=0.5)
        ax.plot(both[0], k, "o", color=colour, ms=7)
        ax.plot(both[1], k, "s", color=colour, mfc="white", mew=1.6, ms=7)
        ax.plot(every, k, "|", color=INK, ms=13, mew=2)
        seen += [every, *both]
        short = f"{CHOICES[row['choice']]}\n{LOOKS[row['method']].short}, {row['loss']}"
        short += f", step {row['step']}" if row["step"] < row["steps"] else ""
        words.append(f"{row['n']} {short}")
        each = ", ".join(f"{name} {error:.0f}" for name, error in there.items())
        said.append(f"{words[-1].replace(chr(10), ', ')}: {each} meV/Å.")
    log_axis(ax, seen, "x")
    ax.set(xlabel="force MAE (meV/Å)", ylim=(MOST - 0.5, -0.5))
    ax.set_yticks(range(len(words)), words, fontsize=8)
    for shape, name, look in (
        ("o", "warm crystals", {}),
        ("s", "liquids", dict(mfc="white", mew=1.6)),
        ("|", "all", dict(ms=11, mew=2)),
    ):
        ax.plot([], [], shape, color=INK, label=name, **look)
    if not rows:
        ax.text(0.5, 0.5, empty, color=INK, ha="center", va="center", transform=ax.transAxes)
    return legend_below(figure).describe("attempts", *said)


def losses(rows):
    """Force errors with and without weakly supervised terms, against the number of structures.

    rows: those of `course.rows("weak")` and "learning-curve".
    """
    rows = [row for row in where(rows, source="dft", steps=800) if row["method"] in LOOKS]
    sizes = [n for n in (5, 10, 20, 50) if where(rows, n=n)]
    kinds = {"labels": (0, 0), "with Taylor": (1.2, 0), "with Taylor and path": (1.2, 0.01)}
    if not [row for row in rows if row.get("taylor")]:
        return nothing()
    figure, axes = panels(9.1, 3.8, 1, 2)
    said = []
    for ax, forces in zip(axes[0], (True, False)):
        seen = []
        for method in ("scratch", "transfer"):
            look, own = METHODS[method], where(rows, method=method)
            own = [row for row in own if row.get("forces", True) == forces]
            for (kind, terms), style in zip(kinds.items(), ("-", "--", ":")):
                some = [r for r in own if (r.get("taylor", 0), r.get("path", 0)) == terms]
                if not some:
                    continue
                found = [[row["force_mae"] for row in where(some, n=n)] for n in sizes]
                mean, spread = np.nan_to_num([mean_and_spread(each) for each in found]).T
                line = dict(fmt=look.marker + style, color=look.colour, ms=5, capsize=2)
                at = np.arange(len(sizes)) + 0.06 * (list(kinds).index(kind) - 1)
                ax.errorbar(at, mean, spread, label=f"{look.word}, {kind}", **line)
                seen += [*mean]
                each = ", ".join(f"{m:.0f} with {n}" for m, n in zip(mean, sizes))
                labels = "energies and forces" if forces else "energies alone"
                said.append(f"{labels}, {look.word}, {kind}: {each}.")
        log_axis(ax, seen)
        ax.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        title = "labels: energies and forces" if forces else "labels: energies alone"
        ax.set(xlabel="training structures", ylabel=AXIS, title=title)
    return legend_below(figure, 3).describe("losses", *said)


def moves(rows):
    """Errors, and temperatures that held, of each algorithm on the data of each driver.

    rows: of `course.rows("oracle")`, and of `course.rows("universal-oracle")`, which have errors
    alone.
    """
    rows = [row for row in rows if row["method"] in LOOKS | TUNED]
    if not any(row["method"] in LOOKS for row in rows):
        return nothing()
    drivers = list(dict.fromkeys(row["driver"] for row in rows))
    every = {m: look for m, look in (LOOKS | TUNED).items() if where(rows, method=m)}
    shares = dict(width_ratios=(len(every), len(LOOKS)))
    figure, axes = panels(9.1, 3.4, 1, 2, sharey=True, **shares)
    said = []
    error = lambda row: row["force_mae"]
    held = lambda row: sum(not trial["failure"] for trial in row["trials"])
    of = max(len(row["trials"]) for row in rows if "trials" in row)
    for ax, value, title, looks in (
        (axes[0, 0], error, "force MAE (meV/Å)", every),
        (axes[0, 1], held, f"temperatures that held for 3 ps, of {of}", LOOKS),
    ):
        means = np.zeros((len(drivers), len(looks)))
        for i, driver in enumerate(drivers):
            for j, method in enumerate(looks):
                own = [value(row) for row in where(rows, driver=driver, method=method)]
                mean, spread = mean_and_spread(own)
                means[i, j] = mean
                digits = 0 if value is error else 1
                words = f"{mean:.{digits}f} ± {np.nan_to_num(spread):.{digits}f}"
                ax.text(j, i, words, ha="center", va="center", color=INK, fontsize=9.5)
                said.append(f"{title}, data of {driver}, {looks[method].word}: {words}.")
        strength = np.log(means) if value is error else -means
        ax.imshow(strength, cmap="Oranges", vmin=strength.min(), aspect="auto", alpha=0.6)
        ax.grid(False)
        ax.set_xticks(range(len(looks)), [look.short for look in looks.values()])
        ax.set(title=title, xlabel="trained on these data")
    names = [ALGORITHMS.get(driver, driver) for driver in drivers]
    axes[0, 0].set_yticks(range(len(drivers)), names)
    axes[0, 0].set_ylabel("who chose the data")
    words = "CHGNet, a universal potential, was fine-tuned; its dynamics was not run."
    return figure.describe("moves", *said, tuned=words * (len(every) > len(LOOKS)))

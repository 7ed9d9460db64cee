"""The table of runs under the explorer, and what the newest one says."""

from ...course.results import mean_and_spread
from ...course.sources import SOURCES
from ..figures.style import METHODS
from .controls import duration, muted, small

SHORT = {"embedding": "emb", "interaction": "int", "output": "out"}
HEAD = "N,start,frozen,replay,rate,steps,seeds,transfer,scratch,silicon,ms a step,time".split(",")
UNITS = "Force MAE in meV/Å; silicon before → after; ms a step: transfer / scratch. "
NONE = "No runs yet. Each will be a line here: what was chosen, force MAE in meV/Å, "


def count(runs):
    return f"{runs} run{'' if runs == 1 else 's'}"


def thousands(number):
    return f"{number:,}".replace(",", " ")


def _mean(rows, key):
    values = [row[key] for row in rows if row.get(key) is not None]
    return sum(values) / len(values) if values else None


def _spread(rows):
    """Force MAE in words: mean ± standard deviation over seeds."""
    if len(rows) < 2:
        return f"{rows[0]['force_mae']:.0f}" if rows else "–"
    mean, deviation = mean_and_spread([row["force_mae"] for row in rows])
    return f"{mean:.0f} ± {deviation:.0f}"


def sides(rows):
    """(transfer, scratch) rows of the seeds that are complete; of all, as long as none is.

    Errors of rows that are not are those of the last step that all have reached.
    """
    short = {row["seed"] for row in rows if row["curve"][-1][0] < row["steps"]}
    whole = [row for row in rows if row["seed"] not in short] or rows
    last = min(row["curve"][-1][0] for row in whole)
    at = lambda row: {step: error for step, error, *_ in row["curve"]}.get(last, row["force_mae"])
    whole = [row | dict(force_mae=at(row)) for row in whole]
    ours = [row for row in whole if row["method"] != "scratch"]
    return ours, [row for row in whole if row["method"] == "scratch"]


def summary(rows):
    """What the newest run says, in a sentence or two."""
    if not rows:
        return ""
    ours, scratch = sides(rows)
    steps = min(row["curve"][-1][0] for row in ours + scratch)
    out = f"After {steps} steps on {rows[0]['n'] or 'all'} germanium structures, force MAE on "
    out += f"held-out ones: transfer {_spread(ours)}, scratch {_spread(scratch)} meV/Å."
    if (after := _mean(ours, "silicon_force_mae")) is not None:
        before = _mean(ours, "silicon_before")
        out += f" On silicon the transferred network went from {before:.0f} to {after:.0f} meV/Å."
    return out


def table(runs, settings):
    """All runs, newest first; grey where they have other settings than these."""
    rows = ""
    for run in reversed([run for run in runs if run["rows"]]):
        kind = "" if run["settings"] == settings else ' class="other"'
        rows += f"<tr{kind}>{''.join(f'<td>{cell}</td>' for cell in _cells(run))}</tr>"
    if not rows:
        return small(muted(NONE + "and the error on silicon before and after."))
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    units = small(muted(UNITS + "Grey: other settings."))
    return f"{units}<table><tr>{head}</tr>{rows}</table>"


def chosen(s):
    """Settings in words."""
    seeds = f"{s['seeds']} seed{'s' * (s['seeds'] > 1)}"
    words = f"{_data(s)} structures, {METHODS[s['start']].word}, {_frozen(s)} frozen"
    words += f", replay of {s['replay']}" if s.get("replay") else ""
    words += ", Taylor loss" if s.get("taylor") else ""
    return f"{words}, rate {s['learning_rate']:g}, {s['steps']} steps, {seeds}"


def _data(s):
    data = "SW" if s["source"] == "stillinger-weber" else SOURCES[s["source"]].words
    return f"{s['n'] or 'all'} {data}"


def _frozen(s):
    parts = (name.partition("_") for name in s["frozen"])
    return ", ".join(f"{SHORT[kind]} {number}".strip() for kind, _, number in parts) or "nothing"


def _cells(run):
    s, (ours, scratch) = run["settings"], sides(run["rows"])
    after, before = _mean(ours, "silicon_force_mae"), _mean(ours, "silicon_before")
    last = min(row["curve"][-1][0] for row in ours + scratch)
    return [
        _data(s),
        METHODS[s["start"]].short + ", Taylor" * bool(s.get("taylor")),
        _frozen(s),
        f"{s.get('replay', 0)}",  # runs that were saved before there was replay have none
        f"{s['learning_rate']:g}",
        f"{s['steps']}" if last >= s["steps"] else f"{last} of {s['steps']}",
        f"{len(ours)}",
        f"<b>{_spread(ours)}</b>",
        f"<b>{_spread(scratch)}</b>",
        "–" if after is None else f"{before:.0f} → {after:.0f}",
        " / ".join(f"{_mean(side, 'step_ms') or 0:.0f}" for side in (ours, scratch)),
        duration(run["seconds"]),
    ]

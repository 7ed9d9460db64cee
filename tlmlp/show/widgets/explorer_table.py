"""The table of runs under the explorer, and what the newest one says."""

import html

from ...course.results import mean_and_spread
from ...course.sources import SOURCES
from .live import duration


def small(words):
    return f'<div style="font-size:12px; line-height:1.3; color:#56606b">{html.escape(words)}</div>'


def count(runs):
    return f"{runs} run{'' if runs == 1 else 's'}"


def thousands(number):
    return f"{number:,}".replace(",", " ")


def _mean(rows, key):
    values = [row[key] for row in rows if row.get(key) is not None]
    return sum(values) / len(values) if values else None


def _spread(rows):
    """Force MAE in words: mean ± standard deviation over seeds."""
    values = [row["force_mae"] for row in rows]
    if not values:
        return "–"
    mean, deviation = mean_and_spread(values)
    return f"{mean:.0f} ± {deviation:.0f}" if len(values) > 1 else f"{mean:.0f}"


def sides(rows):
    """(transfer, scratch) rows of the seeds that are complete; of all, as long as none is."""
    last = {
        seed: min(r["curve"][-1][0] for r in rows if r["seed"] == seed)
        for seed in {r["seed"] for r in rows}
    }
    whole = [r for r in rows if last[r["seed"]] >= r["steps"]] or rows
    return [r for r in whole if r["method"] != "scratch"], [
        r for r in whole if r["method"] == "scratch"
    ]


def summary(rows):
    """What the newest run says, in a sentence or two."""
    if not rows:
        return ""
    ours, scratch = sides(rows)
    n = rows[0]["n"]
    steps = min(row["curve"][-1][0] for row in ours + scratch)
    out = f"After {steps} steps on {n or 'all'} germanium structures, force MAE on held-out ones: transfer {_spread(ours)}, scratch {_spread(scratch)} meV/Å."
    if _mean(ours, "silicon_force_mae") is not None:
        before, after = _mean(ours, "silicon_before"), _mean(ours, "silicon_force_mae")
        out += f" On silicon the transferred network went from {before:.0f} to {after:.0f} meV/Å."
    return out


def table(runs, settings):
    """All runs, newest first; grey where the controls say something else."""
    head = "N,start,frozen,rate,steps,seeds,transfer,scratch,silicon,ms a step,time".split(",")
    rows = []
    for run in reversed(runs):
        if not run["rows"]:
            continue
        s, (ours, scratch) = run["settings"], sides(run["rows"])
        before, after = _mean(ours, "silicon_before"), _mean(ours, "silicon_force_mae")
        source = SOURCES[s["source"]].words
        frozen = ", ".join(short(name) for name in s["frozen"]) or "nothing"
        last = min(row["curve"][-1][0] for row in ours + scratch)
        cells = [
            f"{s['n'] or 'all'} {'SW' if source.startswith('St') else source}",
            STARTS[s["start"]],
            frozen,
            f"{s['learning_rate']:g}",
            str(s["steps"]) if last >= s["steps"] else f"{last} of {s['steps']}",
            str(len(ours)),
            f"<b>{_spread(ours)}</b>",
            f"<b>{_spread(scratch)}</b>",
            "–" if after is None else f"{before:.0f} → {after:.0f}",
            " / ".join(f"{_mean(side, 'step_ms') or 0:.0f}" for side in (ours, scratch)),
            duration(run["seconds"]),
        ]
        kind = "" if s == settings else ' class="other"'
        rows.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if not rows:
        return '<span style="font-size:12px; color:#8a929b">No runs yet. Each will be a line here: what was chosen, force MAE in meV/Å, what silicon it forgot.</span>'
    units = (
        '<div style="font-size:12px; line-height:1.4; color:#56606b">Force MAE in meV/Å; silicon before → after; ms a step: '
        "transfer / scratch. Grey: not what the controls say.</div>"
    )
    return (
        units
        + "<table><tr>"
        + "".join(f"<th>{h}</th>" for h in head)
        + "</tr>"
        + "".join(rows)
        + "</table>"
    )


def short(group):
    kind, _, number = group.partition("_")
    return {"embedding": "emb", "interaction": "int", "output": "out"}[kind] + (
        f" {number}" if number else ""
    )


STARTS = {"transfer": "transfer", "reduced": "reduced units"}

"""The command line: the same work without a screen. `tlmlp --help` lists it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Transfer learning of machine-learning potentials.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def train(
    data: Annotated[
        Path | None,
        typer.Argument(help="structures with energy and forces: extxyz or what ASE reads"),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="rebuild a shipped potential by its name, instead of DATA")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="file to write [default: NAME.safetensors here]")
    ] = None,
    preset: Annotated[str, typer.Option(help="size of the network: course or paper")] = "course",
    steps: Annotated[int, typer.Option(help="gradient steps, one structure each")] = 4000,
    learning_rate: Annotated[float, typer.Option(help="peak of the learning rate")] = 2e-3,
    valid: Annotated[
        float, typer.Option(help="fraction of the data held out to choose the best weights")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="of weights, order and the held-out frames")] = 0,
):
    """Train a potential on your own structures, or rebuild a shipped one. Stopped, the same command goes on where it was."""
    if (data is None) == (recipe is None):
        raise typer.BadParameter("give either a file of structures or --recipe NAME")
    import tlmlp
    from tlmlp import recipes

    out = out or Path(f"{recipe or data.stem}.safetensors")
    checkpoint = out.with_suffix(".checkpoint")
    try:
        if recipe:
            progress = recipes.run(recipe, checkpoint)
        else:
            frames = tlmlp.datasets.read(data)
            elements = sorted({s for atoms in frames for s in atoms.get_chemical_symbols()})
            held_out = max(1, round(valid * len(frames))) if valid else 0
            part, rest = (
                tlmlp.datasets.split(frames, held_out, seed) if held_out else (frames, None)
            )
            potential = tlmlp.Potential.create(preset, elements, seed)
            potential = potential.replace(
                info=dict(data=data.name, frames=len(frames), steps=steps, seed=seed)
            )
            progress = tlmlp.fit(
                potential,
                part,
                rest,
                steps=steps,
                learning_rate=learning_rate,
                seed=seed,
                checkpoint=checkpoint,
            )
        best = _watch(progress, out.stem)
    except (ValueError, OSError, FloatingPointError) as error:
        typer.secho(f"tlmlp: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    best.save(out)
    checkpoint.unlink(missing_ok=True)
    if not recipe:
        held = rest or part
        typer.echo(f"\n{'held-out' if rest else 'training'} frames:\n{best.evaluate(held)}")
    else:
        typer.echo(f"test set: {best.info['test_errors']}")
    typer.echo(f'\nwrote {out}: tlmlp.Potential.load("{out}").calculator() is an ASE calculator')


@app.command("list")
def list_():
    """Name the potentials that ship and the errors they reached on their test sets."""
    import tlmlp
    from tlmlp.potential import shipped

    for name in shipped():
        potential = tlmlp.Potential.load(name)
        e = potential.info.get("test_errors", {})
        typer.echo(
            f"{name:22} {potential.config.preset:7} {potential.n_weights:7d} weights   "
            f"energy RMSE {e.get('energy_rmse', float('nan')):6.2f} meV/atom   force RMSE {e.get('force_rmse', float('nan')):6.1f} meV/Å"
        )


@app.command()
def sweep(
    table: Annotated[
        str,
        typer.Argument(
            help="learning-curve, own-best, frozen, frozen-best, temperature, cutoff, properties, softening, stability or melting"
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="file of rows to write [default: TABLE.jsonl here]")
    ] = None,
    workers: Annotated[int, typer.Option(help="processes of one thread each")] = 2,
    scheduler: Annotated[
        str | None, typer.Option(help="address of a dask scheduler instead of processes here")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="only the runs on this data, such as stillinger-weber")
    ] = None,
):
    """Train all runs of a table of the course. Rows are written as they come; stopped, the same command does the rest."""
    from tlmlp import sweep as sweeps

    out = out or Path(f"{table}.jsonl")
    try:
        from tqdm import tqdm

        runs = [r for r in sweeps.table(table) if source in (None, r["source"])]
        done = {sweeps.key(row) for row in sweeps.read(out)} if out.is_file() else set()
        bar = tqdm(
            total=len(runs),
            initial=sum(sweeps.key(r) in done for r in runs),
            desc=table,
            unit="run",
            dynamic_ncols=True,
        )
        for row in sweeps.execute(runs, out, workers, scheduler, sweeps.performer(table)):
            error = f": {row['force_mae']:.0f} meV/Å" if row["force_mae"] else ""
            bar.set_postfix_str(f"{row['source']} {row['method']} N={row['n'] or 'all'}{error}")
            bar.update()
        bar.close()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        typer.secho(f"tlmlp: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


@app.command()
def card(
    potential: Annotated[str, typer.Argument(help="a shipped potential's name or a file")],
    element: Annotated[
        str, typer.Option(help="Si or Ge [default: the last it was trained on]")
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option(help="a property to measure, such as c44; may be repeated")
    ] = None,
):
    """Measure the properties of a diamond crystal by a potential, each as it comes. About a minute."""
    import tlmlp
    from tlmlp.properties.card import PROPERTIES, measure

    try:
        loaded = tlmlp.Potential.load(potential)
        for m in measure(loaded.calculator(), element or loaded.trained[-1], only=only):
            words, unit = PROPERTIES[m.name]
            typer.echo(
                f"{words:28}{'–' if m.value is None else format(m.value, '.5g'):>10} {unit:8}{m.note}".rstrip()
            )
    except (ValueError, OSError) as error:
        typer.secho(f"tlmlp: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


def _watch(progress, name):
    """Consume a training with a bar; returns the best potential."""
    from tqdm import tqdm

    bar, valid = None, ""
    for p in progress:
        if bar is None:
            bar = tqdm(
                total=p.steps, initial=0, desc=name, unit="step", mininterval=5, dynamic_ncols=True
            )
        if p.valid:
            valid = f"valid E {p.valid.energy_rmse:.1f} F {p.valid.force_rmse:.0f}"
        bar.set_postfix_str(
            f"train E {p.energy_mae:.1f} meV/atom F {p.force_mae:.0f} meV/Å {valid}", refresh=False
        )
        bar.update(p.step - bar.n)
    bar.close()
    return p.best


if __name__ == "__main__":
    app()

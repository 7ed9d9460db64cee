"""The command line: the same work without a screen. `tlmlp --help` lists it."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from tqdm import tqdm
from typer import Argument, BadParameter, Context, Exit, Option, Typer, echo, secho

from .files import expanded
from .refusal import refuse

app = Typer(invoke_without_command=True, add_completion=False)


@app.callback()
def main(context: Context) -> None:
    """Transfer learning of machine-learning potentials. Without a command: the course, opened."""
    if context.invoked_subcommand is None:
        echo("tlmlp --help lists all commands; this one is tlmlp course")
        course()


@contextmanager
def _work(computes: bool = True) -> Iterator[None]:
    """Memory and jax are ready for it; what a user can mend is said in one sentence."""
    say = lambda message, *where: secho(f"tlmlp: {message}", fg="yellow", err=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = say
            if computes:
                from . import allocator

                allocator.prepare()
            yield
    except (ValueError, OSError, RuntimeError, ImportError, FloatingPointError) as error:
        secho(f"tlmlp: {error}", fg="red", err=True)
        raise Exit(1) from None


@app.command()
def train(
    context: Context,
    data: Annotated[Path | None, Argument(help="structures with energy and forces")] = None,
    recipe: Annotated[str | None, Option(help="a shipped potential to rebuild, by name")] = None,
    out: Annotated[Path | None, Option(help="file [default: NAME.safetensors]")] = None,
    preset: Annotated[str, Option(help="size of the network: course or paper")] = "course",
    steps: Annotated[int, Option(help="gradient steps, one structure each")] = 4000,
    learning_rate: Annotated[float, Option(help="peak of the learning rate")] = 2e-3,
    valid: Annotated[float, Option(help="fraction held out, to choose the best weights")] = 0.1,
    seed: Annotated[int, Option(help="of weights, order and the held-out structures")] = 0,
    format: Annotated[str | None, Option(help="of DATA, as ASE calls it [default: found]")] = None,
    energy_key: Annotated[str | None, Option(help="name of the energies in DATA")] = None,
    forces_key: Annotated[str | None, Option(help="name of the forces")] = None,
    stress_key: Annotated[str | None, Option(help="name of stresses: only measured")] = None,
) -> None:
    """Train on own structures or rebuild a shipped potential; stopped, the same command goes on.

    Known names of labels are found; for others there are the options that end in key.
    """
    from . import datasets, recipes
    from .frames import apart, symbols_of
    from .potential import Potential
    from .train import fit

    if (data is None) == (recipe is None):
        raise BadParameter("give either a file of structures or --recipe NAME")
    given = (k for k in context.params if "COMMAND" in str(context.get_parameter_source(k)))
    others = ", ".join(f"--{k.replace('_', '-')}" for k in given if k not in ("recipe", "out"))
    if recipe and others:
        raise BadParameter(f"a recipe says all but --out itself: leave out {others}")
    name = recipe or Path(str(data)).stem
    out = expanded(out or f"{name}.safetensors")
    checkpoint = out.with_name(out.name + ".checkpoint")
    with _work():
        words = "--valid is a fraction of the frames, at least 0 and less than 1, such as 0.1"
        refuse(not 0 <= valid < 1, f"{words}, not {valid:g}")
        refuse(out.exists(), f"{out} exists: delete it, or give another name with --out")
        if recipe:
            best = _watch(recipes.run(recipe, checkpoint), name)
            errors = f"test set: {best.info['test_errors']}"
        elif data:
            frames = datasets.read(data, format, energy_key, forces_key, stress_key)
            bound, alone = apart(frames)  # isolated atoms are never held out
            n = max(1, round(valid * len(bound))) if valid and bound else 0
            part, rest = datasets.split(bound, n, seed) if n else (bound, None)
            part = part + alone
            elements = sorted(symbols_of(frames))
            info = dict(data=data.name, frames=len(frames), steps=steps, seed=seed)
            fresh = Potential.create(preset, elements, seed).replace(info=info)
            begun = fit(fresh, part, rest, steps, None, seed, learning_rate, checkpoint=checkpoint)
            best = _watch(begun, name)
            errors = f"{'held-out' if rest else 'training'} frames:\n{best.evaluate(rest or part)}"
        best.save(out)
    checkpoint.unlink(missing_ok=True)
    words = f'tlmlp.Potential.load("{out}").calculator() is an ASE calculator'
    echo(f"\n{errors}\n\nwrote {out}: {words}")


@app.command("list")
def list_() -> None:
    """Name the potentials that ship and the errors they reached on their test sets."""
    from .potential import Potential, shipped

    for potential in map(Potential.load, shipped()):
        recipe, preset = potential.info["recipe"], potential.network.preset
        words = f"{recipe:27} {preset:7}{potential.n_weights:7d}"
        errors = "energy RMSE {energy_rmse:5.2f} meV/atom   force RMSE {force_rmse:6.1f} meV/Å"
        echo(f"{words} weights   {errors.format(**potential.info['test_errors'])}")


@app.command()
def sweep(
    source: Annotated[Path, Argument(help="structures of the element to transfer from")],
    target: Annotated[Path, Argument(help="structures of the element to transfer to")],
    sizes: Annotated[str, Option(help="numbers of target structures to train on")] = "10,50",
    seeds: Annotated[int, Option(help="trainings of each kind and size")] = 3,
    steps: Annotated[int, Option(help="of each training; the source has 5 times as many")] = 800,
    preset: Annotated[str, Option(help="size of the network: course or paper")] = "course",
    out: Annotated[Path | None, Option(help="rows [default: SOURCE-TARGET.jsonl]")] = None,
    workers: Annotated[int, Option(help="processes of one thread each")] = 2,
    scheduler: Annotated[str | None, Option(help="address or file of a dask scheduler")] = None,
    energy_key: Annotated[str | None, Option(help="name of the energies in both files")] = None,
    forces_key: Annotated[str | None, Option(help="name of the forces")] = None,
    stress_key: Annotated[str | None, Option(help="name of the stresses or virials")] = None,
) -> None:
    """Measure a learning curve of transfer and scratch on your own structures.

    Rows are written as they come; stopped, the same command does the rest. At the end a table is
    printed and a figure drawn. A fifth of TARGET is held out for the errors.
    """
    from . import sweep as sweeps

    source, target = expanded(source), expanded(target)
    out = expanded(out or f"{source.stem}-{target.stem}.jsonl")
    own = dict(energy_key=energy_key, forces_key=forces_key, stress_key=stress_key)
    keys = {name: key for name, key in own.items() if key}
    figure = out.with_name(out.name.removesuffix(".jsonl") + ".png")
    with _work():
        numbers = [int(n) if n.strip().isdecimal() else n for n in sizes.split(",")]
        sweeps.check_rows(out)
        words = f"{figure} exists, and is not of this sweep: give another name with --out"
        refuse(figure.exists() and not out.exists(), words)
        tasks = sweeps.pair(source, target, numbers, seeds, steps, preset, keys)
        from .show.figures.results import pair_curves  # all of show: not before the files are right

        done = sum(row is not None for row in sweeps.found(tasks, out))
        with tqdm(total=len(tasks), initial=done, unit="training", dynamic_ncols=True) as bar:
            for row in sweeps.learn(tasks, (source, target), out, workers, scheduler):
                bar.set_postfix_str(f"{row['method']} {row['n']}: {row['force_mae']:.0f} meV/Å")
                bar.update()
        rows = [row for row in sweeps.found(tasks, out) if row]
        pair_curves(rows).savefig(figure, dpi=200)
        echo(f"\n{sweeps.table(rows)}\n\nwrote {out} and {figure}")


@app.command()
def card(
    potential: Annotated[str, Argument(help="a shipped potential's name or a file")],
    element: Annotated[str, Option(help="Si or Ge [default: the last it was trained on]")] = "",
    only: Annotated[list[str] | None, Option(help="a property, such as c44; repeatable")] = None,
) -> None:
    """Measure the properties of a diamond crystal by a potential, each as it comes: a minute."""
    from .potential import Potential
    from .properties.measured import PROPERTIES, measure

    with _work():
        loaded = Potential.load(potential)
        refuse(not loaded.trained, f"{potential} was never trained, so it has no properties")
        for m in measure(loaded.calculator(), element or loaded.trained[-1], only=only):
            words, unit = PROPERTIES[m.name]
            value = "–" if m.value is None else format(m.value, ".5g")
            echo(f"{words:28}{value:>10} {unit:8}{m.note}".rstrip())


@app.command(context_settings=dict(allow_extra_args=True, ignore_unknown_options=True))
def lammps(
    context: Context, script: Annotated[Path, Argument(help="with pair_style tlmlp")]
) -> None:
    """Run a script of LAMMPS; mpirun -n 4 tlmlp lammps SCRIPT runs it on four ranks.

    What follows SCRIPT goes to LAMMPS: -var name value, -log file. It needs tlmlp\\[lammps].
    """
    from .lammps import run

    run(script, context.args)


@app.command()
def lammps_jax(
    potential: Annotated[str, Argument(help="a shipped potential's name or a file")],
    elements: Annotated[list[str], Argument(help="of LAMMPS's types, in their order")],
    atoms: Annotated[int, Option(help="most own and ghost atoms of a rank")],
    neighbors: Annotated[int, Option(help="most neighbours of an atom within the cutoff")] = 32,
    platform: Annotated[str, Option(help="where LAMMPS will run: cuda or cpu")] = "cuda",
    out: Annotated[Path | None, Option(help="file [default: POTENTIAL.lammps-jax.json]")] = None,
) -> None:
    """Write a potential for pair_style jax/kk of lammps-jax: LAMMPS with everything on the card.

    It needs tlmlp\\[lammps-jax]; docs/lammps.md says what LAMMPS needs.
    """
    from .lammps.export import bundle

    out = out or Path(f"{Path(potential).stem}.lammps-jax.json")
    with _work(computes=False):
        reach = bundle(potential, elements, out, atoms, neighbors, platform)
        words = f"{reach['n_hops'] * reach['cutoff']:g} Å"
        echo(f"wrote {out}: pair_style jax/kk PLUGIN, pair_coeff * * {out}; ghosts within {words}")


@app.command()
def course(
    folder: Annotated[Path, Argument(help="where to lay the notebooks")] = Path("tlmlp-course"),
    list_: Annotated[bool, Option("--list", help="name the notebooks and do nothing")] = False,
    open_: Annotated[bool, Option("--open/--no-open", help="start JupyterLab there")] = True,
) -> None:
    """Lay the notebooks of the course into a folder and open them; changed files are kept."""
    from .course.folder import lay, titles

    if list_:
        for name, title in titles().items():
            echo(f"{name:28}{title}")
        return
    with _work(computes=False):
        first, kept = lay(folder)
    for name in kept:
        echo(f"kept your {name}: it differs from that of this version")
    echo(f"the course is in {first.parent}")
    if open_:
        raise Exit(subprocess.call([sys.executable, "-m", "jupyter", "lab", str(first)]))


def _watch(progress, name):
    """Consume a training with a bar; returns the best potential."""
    valid = ""
    with tqdm(desc=name, unit="step", mininterval=5, dynamic_ncols=True) as bar:
        for p in progress:
            bar.total = p.steps
            if p.valid:
                valid = f"valid E {p.valid.energy_rmse:.1f} F {p.valid.force_rmse:.0f}"
            words = f"train E {p.energy_mae:.1f} meV/atom F {p.force_mae:.0f} meV/Å {valid}"
            bar.set_postfix_str(words, refresh=False)
            bar.update(p.step - bar.n)
    return p.best


if __name__ == "__main__":
    app()

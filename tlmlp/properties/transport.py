"""Transport: how far atoms move with time; and liquids, in which they diffuse.

    MSD(t) = <|r(t0 + t) - r(t0)|²> over atoms and t0         D = lim MSD(t) / 6t      Einstein

MSD is the mean squared displacement of positions r after a time t, from all time origins t0; D is
the diffusion coefficient. The centre of mass is held. A small periodic cell slows diffusion down.
Units: Å, fs; D in Å²/ps, which is 1e-8 m²/s or 1e-4 cm²/s.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.velocitydistribution import thermalize_momenta

from .. import simulate
from ..crystal import with_calculator
from ..graph import box_of, check_cell, check_masses
from ..refusal import is_whole, positive, refuse
from .blocks import Trajectory, bare, frames_of, interval_of, mean_and_error
from .structure import Coordination, RadialDistribution, coordination, radial_distribution

SETTLING = 1000  # fs, after which a liquid does not depend on where it started
DAMPING, CHAIN_DAMPING = 50, 300  # fs, of the thermostat while it settles, and then
INTERVAL = 24  # fs between two frames
COMPILED = 6  # ps: shorter runs are over in ASE's loop before jax-md's program is compiled


class Diffusion(NamedTuple):
    times: np.ndarray  # [T] fs
    msd: np.ndarray  # [T] Å²
    msd_error: np.ndarray  # [T] Å², by blocks of the trajectory
    coefficient: float  # Å²/ps, of this cell
    error: float  # Å²/ps, by blocks
    fitted: tuple[float, float]  # (from, to) in fs, where MSD was taken as a line
    temperature_K: float  # mean, nan for frames without velocities


def diffusion(
    trajectory: Trajectory,
    interval_fs: float | None = None,
    fit: tuple[float, float] = (0.2, 0.8),
    skip: float = 0.0,
    blocks: int = 4,
) -> Diffusion:
    """Diffusion from a trajectory, cut into `blocks` whose scatter is the error.

    Wrapped positions are unwrapped; between two frames no atom may move by half a cell. The time
    between them is `interval_fs` [default: by their info["time_fs"]]; a fraction `skip` of them is
    left out at the beginning. `fit` are the fractions of a block between which MSD is taken as a
    line. It should begin after a few hundred fs, when velocities are uncorrelated with the first.
    Raises ValueError for fewer than five frames per block.
    """
    frames = frames_of(trajectory, skip)
    interval = interval_of(frames, interval_fs)
    words = "fit must be two fractions of a block such as (0.2, 0.8)"
    refuse(not 0 <= fit[0] < fit[1] <= 1, f"{words}, not {fit!r}")
    refuse(not is_whole(blocks), f"blocks must be a whole number of at least 1, not {blocks!r}")
    words = f"{len(frames)} frames are too few for {blocks} blocks: 5 of each are needed"
    length = len(frames) // blocks
    refuse(length < 5, words)
    words = "all frames of a trajectory must have the same atoms"
    refuse(any(len(atoms) != len(frames[0]) for atoms in frames), words)
    for atoms in frames:
        check_cell(atoms)
    check_masses(frames[0])
    r, mass = _unwrapped(frames), frames[0].get_masses()
    r = r - (mass[:, None] * r).sum(1, keepdims=True) / mass.sum()
    curves = [mean_squared_displacement(r[b * length : (b + 1) * length]) for b in range(blocks)]
    times, first = np.arange(length) * interval, int(np.ceil(fit[0] * (length - 1)))
    first = min(first, length - 2)  # two points make a line
    line = slice(first, max(int(fit[1] * (length - 1)), first + 1) + 1)
    slopes = [np.polyfit(times[line] * 1e-3, curve[line], 1)[0] / 6 for curve in curves]
    coefficient, error = map(float, mean_and_error(slopes, blocks))
    n = len(mass)  # the centre of mass has no temperature
    kinetic = np.mean([np.sum(atoms.get_momenta() ** 2 / mass[:, None]) / 2 for atoms in frames])
    warm = float(kinetic / (1.5 * max(1, n - 1) * units.kB))
    temperature = warm if warm > 0 else float("nan")
    msd, msd_error = mean_and_error(curves, blocks)
    fitted = float(times[line][0]), float(times[line][-1])
    return Diffusion(times, msd, msd_error, coefficient, error, fitted, temperature)


def _unwrapped(frames):
    """Positions [T, N, 3] in Å without jumps through the cell; each step is the shortest."""
    out, pbc = [frames[0].positions], frames[0].pbc
    scaled = [atoms.positions @ np.linalg.inv(box_of(atoms)) for atoms in frames]
    for before, now, atoms in zip(scaled[:-1], scaled[1:], frames[1:]):
        step = now - before
        out.append(out[-1] + (step - np.round(step) * pbc) @ box_of(atoms))
    return np.array(out)


def mean_squared_displacement(r: np.ndarray) -> np.ndarray:
    """Mean squared displacement [T] in Å² over atoms and time origins, of positions [T, N, 3].

    In n log n steps, as the correlation of positions.
    Source: V. Calandrini et al., Collection SFN 12, 201 (2011).
    """
    T = len(r)
    square = (r**2).sum(-1)  # [T, N]
    n = 2 ** int(np.ceil(np.log2(2 * T)))
    spectrum = np.fft.rfft(r, n, axis=0)
    both = np.fft.irfft(np.abs(spectrum) ** 2, n, axis=0)[:T].sum(-1)
    after = np.arange(T)
    ends = np.cumsum(np.concatenate([np.zeros((1, r.shape[1])), square]), 0)  # sums of |r(t)|²
    sums = ends[T - after] + ends[T] - ends[after]
    return np.maximum((sums - 2 * both) / (T - after)[:, None], 0).mean(1)


class Liquid(NamedTuple):
    structure: RadialDistribution
    coordination: Coordination
    diffusion: Diffusion
    pressure: float  # GPa, mean; nan for a calculator without stress
    pressure_error: float  # GPa, by blocks


def liquid(
    atoms: Atoms,
    calculator: Calculator,
    temperature_K: float,
    length_ps: float = 8.0,
    neighbours: float | None = None,
    timestep_fs: float = 3.0,
    seed: int = 0,
) -> Liquid:
    """Liquid by molecular dynamics: 1 ps to settle, then a Nosé-Hoover chain for `length_ps`.

    `atoms` are a liquid, which keeps its cell; they are neighbours within `neighbours` Å [default:
    the first minimum of g(r)]. Runs of 6 ps and more, of potentials that tlmlp.simulate takes, run
    there, others in ASE's loop. A network of the course preset takes some 20 s of one core for 64
    atoms and 8 ps. Raises ValueError for bad input, RuntimeError where atoms fly apart.
    """
    positive(temperature_K=temperature_K, timestep_fs=timestep_fs, length_ps=length_ps)
    (atoms,) = frames_of(atoms)
    refuse(not length_ps >= 1, f"length_ps must be at least 1, not {length_ps!r}")
    settle, every = round(SETTLING / timestep_fs), max(1, round(INTERVAL / timestep_fs))
    n = round(1000 * length_ps / timestep_fs / every)
    start = with_calculator(bare(atoms), calculator)
    plan = (start, calculator, temperature_K, settle, every, n, timestep_fs, seed)
    try:
        run = (_by_jax_md if length_ps >= COMPILED else _by_ase)(*plan)
    except (TypeError, ValueError):  # another's calculator, or a cell too small for jax-md
        run = _by_ase(*plan)
    frames, all_pressures = zip(*run)
    pressures = [p for p in all_pressures if np.isfinite(p)]
    pressure, error = mean_and_error(pressures) if pressures else (np.nan, np.nan)
    about = radial_distribution(frames), coordination(frames, neighbours)
    moved = diffusion(frames, every * timestep_fs)
    return Liquid(*about, moved, float(pressure), float(error))


def _by_jax_md(atoms, calculator, T, settle, every, n, timestep, seed):
    """n pairs of ase.Atoms and a pressure in GPa; ValueError or TypeError for what cannot run."""
    # It settles by a chain as well, a tight one: Langevin would be a second program to compile.
    chain = dict(thermostat="nose-hoover", timestep_fs=timestep, seed=seed)
    settling = dict(damping_fs=DAMPING, steps=settle, every=settle) | chain
    measuring = dict(damping_fs=CHAIN_DAMPING, steps=n * every, every=every) | chain
    first = simulate.nvt(calculator, atoms, T, **settling)

    def run():
        *_, settled = first
        for s in simulate.nvt(calculator, settled.atoms, T, **measuring):
            if s.health == "ok" and s.step:
                yield s.atoms, s.pressure_GPa

    return run()


def _by_ase(atoms, calculator, T, settle, every, n, timestep, seed):
    """The same by ASE, for every calculator; the pressure of one without stress is nan."""
    rng, step = np.random.default_rng(seed), timestep * units.fs
    thermalize_momenta(atoms, temperature_K=T, rng=rng)
    friction = 1 / (DAMPING * units.fs)
    Langevin(atoms, step, temperature_K=T, friction=friction, rng=rng, fixcm=False).run(settle)
    run = NoseHooverChainNVT(atoms, step, temperature_K=T, tdamp=CHAIN_DAMPING * units.fs)
    for k in range(1, n + 1):
        run.run(every)
        words = f"the liquid flew apart after {k * every * timestep / 1000:.1f} ps"
        refuse(not atoms.get_temperature() < 4 * T, words, RuntimeError)
        frame, pressure = bare(atoms), np.nan
        frame.set_momenta(atoms.get_momenta())
        if "stress" in getattr(calculator, "implemented_properties", ()):
            stress = atoms.get_stress(include_ideal_gas=True)
            pressure = -stress[:3].mean() / units.GPa
        yield frame, pressure

"""Transport: how far atoms wander; and liquids, in which they do.

    MSD(t) = <|r(t0 + t) - r(t0)|²> over atoms and t0         D = lim MSD(t) / 6t      Einstein

The centre of mass is held. A small periodic cell slows diffusion down, by 2.837 k_B T / (6 π η L) with the viscosity η and the edge L:
`infinite` gives the value without. Source: I.-C. Yeh and G. Hummer, J. Phys. Chem. B 108, 15873 (2004). Units: Å, fs; D in Å²/ps,
which is 1e-8 m²/s or 1e-4 cm²/s.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.velocitydistribution import thermalize_momenta

from .blocks import frames_of, interval_of, mean_and_error
from .structure import Coordination, RadialDistribution, coordination, radial_distribution

SETTLING = 1000  # fs, in which a liquid forgets where it comes from
DAMPING, CHAIN_DAMPING = 50, 300  # fs, of the thermostat while it settles, and then
INTERVAL = 24  # fs between two frames
COMPILED = 6  # ps: shorter runs are over in ASE's loop before jax-md's program is compiled


class Diffusion(NamedTuple):
    times: np.ndarray  # [T] fs
    msd: np.ndarray  # [T] Å²
    msd_error: np.ndarray  # [T] Å², by blocks of the trajectory
    coefficient: float  # Å²/ps, of this cell
    error: float  # Å²/ps, by blocks
    fitted: tuple  # (from, to) in fs, where MSD was taken as a line
    length: float  # Å, cube root of the cell's volume; nan without a cell
    temperature_K: float  # mean, nan for frames without velocities

    def infinite(self, viscosity_mPa_s):
        """Coefficient in Å²/ps of an infinite system, with the viscosity in mPa s (liquid silicon: 0.6)."""
        # kT in J, viscosity in Pa s, length in m: m²/s, of which 1e-8 is 1 Å²/ps
        kT = units.kB * self.temperature_K / units.J
        return (
            self.coefficient
            + 2.837297 * kT / (6 * np.pi * viscosity_mPa_s * 1e-3 * self.length * 1e-10) * 1e8
        )

    def plot(self):
        from . import plot

        return plot({"": self})


def diffusion(trajectory, interval_fs=None, fit=(0.2, 0.8), skip=0.0, blocks=4):
    """Diffusion from a trajectory, cut into `blocks` whose scatter is the error.

    interval_fs: between two frames [default: as they say]; fit: shares of a block between which the mean squared displacement is
    taken as a line; it should begin after a few hundred fs, when an atom has forgotten its velocity. Wrapped positions are
    unwrapped; between two frames no atom may move by half a cell.

    Raises ValueError for too few frames.
    """
    frames = frames_of(trajectory, skip)
    interval = interval_of(frames, interval_fs)
    if not 0 <= fit[0] < fit[1] <= 1:
        raise ValueError(f"fit must be two shares of a block such as (0.2, 0.8), not {fit!r}")
    length = len(frames) // blocks
    if length < 5:
        raise ValueError(
            f"{len(frames)} frames are too few for {blocks} blocks: 5 of each are needed"
        )
    r = unwrapped(frames)
    mass = frames[0].get_masses()
    r = r - (mass[:, None] * r).sum(1, keepdims=True) / mass.sum()
    curves = np.array([_msd(r[b * length : (b + 1) * length]) for b in range(blocks)])
    times = np.arange(length) * interval
    first, last = int(np.ceil(fit[0] * (length - 1))), int(fit[1] * (length - 1))
    last = max(last, first + 1)
    slopes = [
        np.polyfit(times[first : last + 1] * 1e-3, c[first : last + 1], 1)[0] / 6 for c in curves
    ]
    error = lambda x: (
        np.std(x, axis=0, ddof=1) / blocks**0.5 if blocks > 1 else np.full(np.shape(x[0]), np.nan)
    )
    volumes = [atoms.get_volume() for atoms in frames if atoms.cell.rank == 3]
    warm = np.mean(
        [atoms.get_temperature() * len(mass) / max(1, len(mass) - 1) for atoms in frames]
    )
    return Diffusion(
        times,
        curves.mean(0),
        error(curves),
        float(np.mean(slopes)),
        float(error(slopes)),
        (float(times[first]), float(times[last])),
        float(np.mean(volumes) ** (1 / 3)) if volumes else float("nan"),
        float(warm) if warm > 0 else float("nan"),
    )


def unwrapped(frames):
    """Positions [T, N, 3] in Å without jumps through the cell, of a list of ase.Atoms; each step is the shortest there is."""
    out = [frames[0].positions]
    pbc = frames[0].pbc
    for before, atoms in zip(frames[:-1], frames[1:]):
        cell = atoms.cell.complete().array
        step = (
            np.linalg.solve(cell.T, atoms.positions.T).T
            - np.linalg.solve(before.cell.complete().array.T, before.positions.T).T
        )
        out.append(out[-1] + (step - np.round(step) * pbc) @ cell)
    return np.array(out)


def _msd(r):
    """Mean squared displacement [T] in Å² over atoms and all time origins, of positions [T, N, 3].

    In n log n steps, as the correlation of positions; V. Calandrini et al., Collection SFN 12, 201 (2011).
    """
    T = len(r)
    square = (r**2).sum(-1)  # [T, N]
    n = 2 ** int(np.ceil(np.log2(2 * T)))
    spectrum = np.fft.rfft(r, n, axis=0)
    both = np.fft.irfft(np.abs(spectrum) ** 2, n, axis=0)[:T].sum(-1)
    origins = (T - np.arange(T))[:, None]
    ends = np.cumsum(
        np.concatenate([np.zeros((1, r.shape[1])), square]), 0
    )  # sums over t of |r(t)|²
    sums = ends[T - np.arange(T)] + ends[T] - ends[np.arange(T)]
    return np.maximum((sums - 2 * both) / origins, 0).mean(1)


# -- liquids -----------------------------------------------------------------------------------------------------------


class Liquid(NamedTuple):
    """What a trajectory of a liquid at constant volume says."""

    structure: RadialDistribution
    coordination: Coordination
    diffusion: Diffusion
    pressure: float  # GPa, mean
    pressure_error: float  # GPa, by blocks; nan for a calculator without stress
    temperature_K: float

    def plot(self):
        from . import plot

        return plot({"": self})


def liquid(
    atoms, calculator, temperature_K, length_ps=8.0, neighbours=None, timestep_fs=3.0, seed=0
):
    """Liquid by molecular dynamics of any ASE calculator: 1 ps to settle, then a Nosé-Hoover chain for `length_ps`.

    atoms: a liquid, which keeps its cell; neighbours: Å, within which atoms count as such [default: the first minimum of g(r)].
    Runs of 6 ps and more, of potentials that tlmlp.simulate takes, run there, others in ASE's loop. A network of the course preset takes
    some 20 s of one core for 64 atoms and 8 ps.

    Raises ValueError for bad input, RuntimeError where atoms fly apart.
    """
    if not (np.isscalar(temperature_K) and 0 < temperature_K < np.inf):
        raise ValueError(f"temperature_K must be a positive number, not {temperature_K!r}")
    if not (np.isscalar(length_ps) and 1 <= length_ps < np.inf):
        raise ValueError(f"length_ps must be at least 1, not {length_ps!r}")
    settle, every = round(SETTLING / timestep_fs), max(1, round(INTERVAL / timestep_fs))
    plan = (
        temperature_K,
        settle,
        every,
        round(1000 * length_ps / timestep_fs / every),
        timestep_fs,
        seed,
    )
    start = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    try:
        run = (_by_jax_md if length_ps >= COMPILED else _by_ase)(start, calculator, *plan)
    except (
        TypeError,
        ValueError,
    ):  # another's calculator, or a cell too small for jax-md's neighbours
        run = _by_ase(start, calculator, *plan)
    frames, pressures = map(list, zip(*run))
    pressures = [p for p in pressures if np.isfinite(p)]
    pressure, error = mean_and_error(pressures) if pressures else (np.nan, np.nan)
    return Liquid(
        radial_distribution(frames),
        coordination(frames, neighbours),
        diffusion(frames, every * timestep_fs),
        float(pressure),
        float(error),
        float(temperature_K),
    )


def _by_jax_md(atoms, calculator, T, settle, every, n, timestep, seed):
    """Generator of (ase.Atoms, pressure in GPa), n of them; ValueError or TypeError at once for what tlmlp.simulate cannot run."""
    from .. import simulate

    options = dict(timestep_fs=timestep, seed=seed)
    # by the chain as well, a tight one: with Langevin there would be a second program to compile
    settling = simulate.nvt(
        calculator, atoms, T, "nose-hoover", DAMPING, steps=settle, every=settle, **options
    )

    def run():
        *_, last = settling
        then = simulate.nvt(
            calculator,
            last.atoms,
            T,
            "nose-hoover",
            CHAIN_DAMPING,
            steps=n * every,
            every=every,
            **options,
        )
        for s in then:
            if s.health == "ok" and s.step:
                yield s.atoms, s.pressure_GPa

    return run()


def _by_ase(atoms, calculator, T, settle, every, n, timestep, seed):
    """The same by ASE, for every calculator there is; the pressure of one without stress is nan."""
    atoms.calc, rng, step = calculator, np.random.default_rng(seed), timestep * units.fs
    thermalize_momenta(atoms, temperature_K=T, rng=rng)
    stress = "stress" in getattr(calculator, "implemented_properties", ())
    Langevin(
        atoms, step, temperature_K=T, friction=1 / (DAMPING * units.fs), rng=rng, fixcm=False
    ).run(settle)
    run = NoseHooverChainNVT(atoms, step, temperature_K=T, tdamp=CHAIN_DAMPING * units.fs)
    for k in range(1, n + 1):
        run.run(every)
        if not atoms.get_temperature() < 4 * T:
            raise RuntimeError(f"the liquid flew apart after {k * every * timestep / 1000:.1f} ps")
        frame = Atoms(
            atoms.numbers,
            atoms.positions,
            cell=atoms.cell,
            pbc=atoms.pbc,
            momenta=atoms.get_momenta(),
        )
        yield (
            frame,
            -atoms.get_stress(include_ideal_gas=True)[:3].mean() / units.GPa if stress else np.nan,
        )

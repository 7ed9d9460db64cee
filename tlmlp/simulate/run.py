"""Molecular dynamics as generators of Snapshot: nve, nvt and npt, with any Potential or with Stillinger-Weber.

    for s in tlmlp.simulate.nvt("si-sw-course", atoms, 300, steps=1000):
        print(s.time_fs, s.temperature_K, s.potential_energy)

Many steps run in one compiled function (a chunk, between two snapshots); neighbours are searched within it. Where a list of
neighbours turns out too short, it is made longer and the chunk is repeated from its start: no step ever counts that did
not see all its neighbours.

A run that goes wrong says so: after each chunk it is checked for numbers that are none, for a temperature far above the
one asked for, for atoms closer than physics allows, for a drift of the energy (NVE) and for a cell that became too small
(NPT). The last Snapshot then holds the last good frame, with the reason in `health`, which is "ok" otherwise; ask for one
more and SimulationError is raised, so that no loop ends in silence. Not a number, too hot and too close end a chunk at once.

Positions and momenta are float64, whatever jax is set to; the network's forces are float32 unless asked otherwise. The same
seed gives the same trajectory on the same machine, however it is cut into chunks.

Units: fs, Å, eV, K, GPa.
"""

import os

import ase
import jax
import numpy as np
from ase import units
from ase.data import covalent_radii
from ase.geometry import complete_cell

from .. import graph as graphs
from ..calculator import PotentialCalculator
from ..elements import element as element_row
from ..potential import Potential
from ..stillinger_weber import StillingerWeber
from . import neighbors, steps as integrate, trajectory as files
from .snapshot import SimulationError, Snapshot

SKIN = 0.4  # Å; more means fewer searches but longer lists
VACUUM = 10.0  # Å more than needed beside a slab or around a cluster, so that it may move; doubled whenever too little
NEAREST = (
    0.64  # of the sum of two covalent radii: no closer than this at any temperature that we look at
)
CORE_NEAREST = 0.8  # the same for potentials that repel below a `core`: four fifths of it
DRIFT = 0.1  # of 3 kT per atom: what the total energy of NVE may be off


# -- before anything runs ---------------------------------------------------------------------------------------------


def start(
    ensemble,
    potential,
    atoms,
    temperature_K,
    pressure_GPa,
    damping_fs,
    barostat_damping_fs,
    *,
    steps=None,
    every=50,
    timestep_fs=2.0,
    seed=0,
    trajectory=None,
    resume=False,
    dtype="float32",
    skin=None,
):
    """Checks everything, then returns the generator."""
    whole = lambda x: isinstance(x, (int, np.integer)) and not isinstance(x, bool)
    if not isinstance(atoms, ase.Atoms):
        raise TypeError(f"atoms must be one ase.Atoms, not {type(atoms).__name__}")
    if len(atoms) < 2:
        raise ValueError(f"molecular dynamics needs at least two atoms, not {len(atoms)}")
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.get_momenta()).all():
        raise ValueError(
            "positions and velocities must be finite; at least one of them is nan or infinity"
        )
    if atoms.constraints:
        raise ValueError(
            "atoms with constraints cannot be simulated here; remove them with atoms.set_constraint()"
        )
    if ensemble == "npt" and not atoms.pbc.all():
        raise ValueError(
            "constant pressure needs atoms that are periodic in three directions; set atoms.pbc = True"
        )
    if np.linalg.matrix_rank(atoms.cell.array[atoms.pbc], tol=1e-6) < atoms.pbc.sum():
        raise ValueError(
            "a periodic direction has no cell vector of its own: set the cell, or pbc to False there"
        )
    if steps is not None and (not whole(steps) or steps < 1):
        raise ValueError(
            f"steps must be a whole number of at least 1, or None for ever, not {steps!r}"
        )
    if not callable(every) and (not whole(every) or every < 1):
        raise ValueError(f"every must be a whole number of at least 1, not {every!r}")
    for name, value in dict(
        timestep_fs=timestep_fs, damping_fs=damping_fs, pressure_damping_fs=barostat_damping_fs
    ).items():
        if not (np.isscalar(value) and np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number of femtoseconds, not {value!r}")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
    if skin is not None and not skin >= 0:
        raise ValueError(f"skin must be 0 Å or more, not {skin!r}")
    kind, spec, weights, core, species, reference = _model(potential, atoms, dtype)
    dtype = dtype if kind == "network" else "float64"
    resumed = files.last_frame(trajectory, atoms, resume) if trajectory is not None else None
    first = 0
    if resumed is not None:
        start, first = resumed, int(resumed.info["step"])
    else:
        start = atoms
    temperature = _asked(
        "temperature_K", temperature_K, lowest=0 if ensemble == "langevin" else 1e-3
    )
    pressure = _asked("pressure_GPa", pressure_GPa)
    moving = bool(start.get_momenta().any())
    if ensemble != "nve":
        temperature(0.0), pressure(0.0)
    elif not moving and (temperature_K is None or callable(temperature_K)):
        raise ValueError(
            "atoms at rest need a temperature_K, one number, from which to draw their velocities"
        )

    cutoff = spec.cutoff
    box = _box(start.cell.array, start.pbc, start.positions, cutoff + SKIN)
    room = _room(box, cutoff)
    if skin is not None and skin > room:
        raise ValueError(f"in this cell the skin can be at most {room:.2f} Å, not {skin!r}")
    reach = cutoff + (_skin(room, ensemble) if skin is None else skin)
    mass = start.get_masses()
    momentum = start.get_momenta() if moving else _maxwell_boltzmann(mass, temperature(0.0), seed)
    momentum = momentum - mass[:, None] * momentum.sum(0) / mass.sum()
    if core is not None and core[1] > 0:
        radii = np.full(len(start), CORE_NEAREST / 2 * float(core[1]))
    else:
        radii = NEAREST * covalent_radii[start.numbers]

    job = integrate.Job(
        ensemble, kind, spec, dtype, neighbors.plan(start.positions, box, cutoff, reach)
    )
    system = integrate.System(weights, core, species.astype(np.int32), radii, box, start.pbc, seed)
    time = float(resumed.info["time_fs"]) if resumed is not None else 0.0
    thermostat = resumed.info.get("thermostat") if resumed is not None else None
    run = _Run(job, system, start, momentum, thermostat, reference, first, time, reach)
    run.timestep, run.damping, run.barostat_damping = timestep_fs, damping_fs, barostat_damping_fs
    run.temperature, run.pressure = temperature, pressure
    writer = files.Writer(trajectory) if trajectory is not None else None
    return run.snapshots(steps, every, writer, resumed is not None)


def _model(potential, atoms, dtype):
    """(kind, spec, weights, core, species [N], reference energy in eV) of whatever computes the forces."""
    if isinstance(potential, (str, os.PathLike)):
        potential = Potential.load(potential)
    if isinstance(potential, PotentialCalculator):
        potential = potential.potential
    if isinstance(potential, Potential):
        potential.check_elements(atoms)
        cast = lambda tree: jax.tree.map(lambda x: np.asarray(x, dtype), tree)
        species = graphs.species_of(atoms, potential.elements)
        reference = float(potential.reference_energies(atoms).sum())
        return (
            "network",
            potential.config,
            cast(potential.params),
            cast(potential.repulsion()),
            species,
            reference,
        )
    if isinstance(potential, StillingerWeber):
        row = element_row(potential.row.symbol)
        if others := set(atoms.symbols) - {row.symbol}:
            raise ValueError(
                f"this potential knows {row.symbol} alone, not {', '.join(sorted(others))}"
            )
        return "stillinger-weber", row, None, None, np.zeros(len(atoms), np.int32), 0.0
    raise TypeError(
        "potential must be a tlmlp.Potential, the name or file of one, or datasets.stillinger_weber_calculator(element), "
        f"not {type(potential).__name__}; other ASE calculators run in ase.md"
    )


def _asked(name, value, lowest=-np.inf):
    """f(time in fs) of a number or a function; ValueError for what is no temperature or pressure."""

    def ask(time):
        answer = value(time) if callable(value) else value
        if not (
            np.isscalar(answer) and np.isreal(answer) and np.isfinite(answer) and answer >= lowest
        ):
            bound = "" if lowest == -np.inf else " of at least 0" if lowest == 0 else " above 0"
            raise ValueError(
                f"{name} must be a number{bound}, or a function of the time that gives one, not {answer!r}"
            )
        return float(answer)

    return ask


def _box(cell, pbc, positions, reach, vacuum=VACUUM):
    """The cell [3, 3], with vacuum where it is not periodic: as long as the atoms, twice the reach, and `vacuum` Å more."""
    if pbc.all():
        return cell
    cell = cell * pbc[:, None]
    normal = complete_cell(cell)
    extent = np.ptp(positions @ np.linalg.inv(np.where(pbc[:, None], cell, normal)), axis=0)
    return np.where(pbc[:, None], cell, normal * (extent + 2 * reach + vacuum)[:, None])


def _skin(room, ensemble):
    """Å by which lists reach beyond the cutoff; where the cell may shrink, some of the room is left to it."""
    return min(SKIN, 0.6 * room if ensemble == "npt" else room)


def _room(box, cutoff):
    """Å between the cutoff and half the smallest height of the cell; ValueError where there is none."""
    heights = graphs.heights(box)
    if heights.min() >= 2 * cutoff:
        return heights.min() / 2 - cutoff
    repeats = tuple(int(r) for r in np.ceil(2 * cutoff / heights - 1e-9))
    raise ValueError(
        f"the cell is too small for the cutoff of {cutoff:.2f} Å: its smallest height is {heights.min():.2f} Å and must be at "
        f"least {2 * cutoff:.2f} Å; atoms.repeat({repeats}) is enough"
    )


def _maxwell_boltzmann(mass, temperature, seed):
    """Momenta [N, 3] of a temperature in K."""
    return (
        np.random.default_rng(seed).normal(size=(len(mass), 3))
        * np.sqrt(mass * units.kB * temperature)[:, None]
    )


# -- a run ------------------------------------------------------------------------------------------------------------


class _Run:
    """A simulation under way. `timestep`, `damping`, ... are set by `_start`."""

    def __init__(self, job, system, start, momentum, thermostat, reference, step, time, reach):
        self.job, self.start, self.reference, self.step, self.time = (
            job,
            start.copy(),
            reference,
            step,
            time,
        )
        self.start.calc, self.reach, self.vacuum = None, reach, VACUUM
        self.mass, self.freedom = start.get_masses(), 3 * len(start) - 3
        chain = 4 * integrate.CHAIN
        memory = (
            np.zeros(chain + 1)
            if thermostat is None or np.size(thermostat) != chain + 1
            else np.ravel(thermostat)
        )
        n = len(start)
        with jax.enable_x64(True):
            self.system = jax.device_put(system._replace(seed=jax.random.key(system.seed)))
            zero = np.zeros(())
            self.state = integrate.State(
                start.positions,
                momentum,
                self.mass[:, None],
                np.zeros((n, 3)),
                zero,
                np.zeros((3, 3)),
                self.system.seed,
                memory[:chain].reshape(2, 2, -1),
                zero,
                memory[chain],
                None,
                np.zeros((), np.int32),
                np.zeros((), np.int32),
                np.array(np.inf),
                np.array(np.inf),
                np.zeros((), np.int32),
            )
            self._forget_listing()
        self.hottest, self.energy, self.warmth = 0.0, None, []

    def snapshots(self, steps, every, writer, resumed):
        good = self._chunk(0)
        if good.health == "ok" and not resumed:
            if writer:
                writer.write(good.atoms)
            yield good
        while good.health == "ok" and (steps is None or self.step < steps):
            length = every() if callable(every) else every
            snapshot = self._chunk(length if steps is None else min(length, steps - self.step))
            if snapshot.health == "ok":
                good = snapshot
                if writer:
                    writer.write(good.atoms)
                yield good
            else:
                good = good._replace(health=snapshot.health)
        if good.health != "ok":
            yield good
            raise SimulationError(good)

    def _chunk(self, steps):
        """The Snapshot after so many steps; with 0, that of the start."""
        nve = self.job.ensemble == "nve"
        target = np.nan if nve else self.temperature(self.time)
        pressure = 0.0 if nve else self.pressure(self.time)
        now = 2 * self._kinetic(self.state) / (self.freedom * units.kB)
        self.hottest = max(
            self.hottest, 0.0 if nve else target, now if self.energy is None else 0.0
        )
        limit = np.inf if nve else 2 * self.hottest + 1000
        drive = integrate.Drive(
            self.timestep * units.fs * (steps > 0),
            units.kB * (1.0 if nve else target),
            pressure * units.GPa,
            self.damping * units.fs,
            self.barostat_damping * units.fs,
            0.5 * self.freedom * units.kB * limit,
        )
        with jax.enable_x64(True):
            state, conserved = self._repeat(drive, max(steps, 1))
            snapshot = self._snapshot(
                state, float(conserved) + self.reference, target, self.step + steps
            )
            health = self._health(state, snapshot, limit)
        if health == "ok":
            self.state, self.step, self.time = state, snapshot.step, snapshot.time_fs
            return snapshot
        return snapshot._replace(health=health)

    def _repeat(self, drive, steps):
        """A chunk from the state we are in, with longer lists until none of its steps found them full."""
        while True:
            start = self.state.set(problem=np.zeros((), np.int32), closest=np.array(np.inf))
            _, state, conserved = integrate.chunk(
                self.job, self.system, start, drive, self.step, steps
            )
            problem = int(state.problem)
            if not problem or float(state.closest) < 1 or not np.isfinite(float(state.energy)):
                return state, conserved
            plan, cell = self.job.plan, np.asarray(integrate.cell_of(self.system, self.state))
            if problem & neighbors.VACUUM_SMALL:  # atoms would meet images of others
                self.vacuum *= 2
                cell = _box(
                    self.start.cell.array,
                    self.start.pbc,
                    np.asarray(self.state.position),
                    self.reach,
                    self.vacuum,
                )
                self.system = self.system._replace(cell=jax.numpy.asarray(cell))
                self._forget_listing()
                continue
            if problem & neighbors.CELL_SMALL:
                room = (
                    graphs.heights(np.asarray(integrate.cell_of(self.system, state))).min() / 2
                    - plan.cutoff
                )
                if room < 0.02:
                    return state, conserved
                self.reach = plan.cutoff + _skin(
                    room, "npt"
                )  # shorter: what has room in the plan still has
            if problem & ~neighbors.CELL_SMALL:
                grown = (plan, problem, int(state.most))
                plan = neighbors.plan(
                    np.asarray(self.state.position), cell, plan.cutoff, self.reach, grown
                )
            self.job = self.job._replace(plan=plan)
            self._forget_listing()

    def _forget_listing(self):
        """An empty list, in the size that the plan wants, which is stale."""
        n, M = len(self.mass), self.job.plan.places
        listing = neighbors.Listing(
            np.full((n, M), n, np.int32),
            np.zeros((n, M, 3)),
            np.zeros((n, M), np.int32),
            np.full((n, 3), np.inf),
            np.asarray(self.system.cell),
            np.array(self.reach),
        )
        self.state = self.state.set(listing=listing)

    def _kinetic(self, state):
        return float(0.5 * np.sum(np.asarray(state.momentum) ** 2 / self.mass[:, None]))

    def _snapshot(self, state, conserved, target, step):
        kinetic, forever = self._kinetic(state), self.start.pbc.all()
        virial, positions = np.asarray(state.virial), np.array(state.position)
        scale = float(np.exp(state.strain))
        cell = scale * np.asarray(self.system.cell) if forever else self.start.cell.array
        temperature = 2 * kinetic / (self.freedom * units.kB)
        pressure = np.nan
        if forever:
            ideal = len(positions) * units.kB * temperature
            pressure = (ideal - np.trace(virial) / 3) / abs(np.linalg.det(cell)) / units.GPa
        memory = ()
        if self.job.ensemble in ("nose-hoover", "npt"):
            memory = (*np.asarray(state.chains).ravel().tolist(), float(state.strain_momentum))
        return Snapshot(
            step,
            self.time + (step - self.step) * self.timestep,
            positions,
            np.asarray(state.momentum) / self.mass[:, None] * units.fs,
            float(state.energy) + self.reference,
            kinetic,
            temperature,
            "ok",
            np.array(state.force),
            cell,
            float(pressure),
            conserved,
            target,
            int(state.searches),
            virial,
            memory,
            self.start,
        )

    def _health(self, state, s, limit):
        """ "ok", or one sentence on what went wrong in the chunk that ended in this state."""
        when = f"before {s.time_fs / 1000:.2f} ps"
        if float(state.closest) < 1:
            return (
                f"Two atoms came within {float(state.distance):.2f} Å of each other {when}, closer than they can be: "
                f"the potential does not know such structures, or the timestep is too long."
            )
        numbers = (s.positions, s.velocities, s.potential_energy, s.kinetic_energy)
        if not all(np.isfinite(x).all() for x in numbers):
            return f"A position or an energy was no longer a number {when}: take a shorter timestep, or another potential."
        if int(state.problem) & neighbors.CELL_SMALL:
            height, cutoff = graphs.heights(s.cell).min(), self.job.plan.cutoff
            return (
                f"The cell shrank to a height of {height:.2f} Å {when}, too small for the cutoff of {cutoff:.2f} Å: "
                f"start from a larger one, atoms.repeat(2)."
            )
        if s.temperature_K > limit:
            return (
                f"The temperature rose to {s.temperature_K:.0f} K {when}, far above the {self.hottest:.0f} K asked for: "
                f"the potential does not know such structures, or the timestep is too long."
            )
        if self.job.ensemble == "nve":
            if self.energy is None:
                self.energy = s.conserved_energy
            self.warmth.append(s.temperature_K)
            drift = (s.conserved_energy - self.energy) / len(self.mass)
            allowed = DRIFT * 3 * units.kB * np.mean(self.warmth)
            if abs(drift) > max(allowed, 1e-3):
                return (
                    f"The total energy, which should stay the same, changed by {1000 * drift:.0f} meV per atom {when}: "
                    f"take a shorter timestep."
                )
        self.energy = s.conserved_energy if self.energy is None else self.energy
        return "ok"

"""One run of molecular dynamics: what is asked of it, and the chunks of steps it is made of.

Many steps run in one compiled function (a chunk, between two snapshots), and neighbours are
searched within it. Where a list of neighbours turns out too short, it is made longer and the chunk
is repeated from its start: no step ever counts that did not see all its neighbours.

After each chunk the run is checked: for what is not a number, for a temperature far above the one
asked for, for atoms closer than physics allows, for a drift of the energy (NVE) and for a cell that
became too small (NPT). The last Snapshot then holds the last good frame, with the reason in
`health`, which is "ok" otherwise. Ask for one more and SimulationError is raised, so that no loop
ends in silence. Not a number, too hot and too close end a chunk at once.

Positions and momenta are float64, whatever jax is set to. The same seed gives the same trajectory
on the same machine, however it is cut into chunks.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ase
import jax
import numpy as np
from ase import units
from ase.geometry import complete_cell

from .. import graph as graphs
from ..calculator import PotentialCalculator
from ..potential import Potential
from ..stillinger_weber import StillingerWeber
from . import health, neighbors, trajectory
from .snapshot import SimulationError, Snapshot
from .steps import CHAIN, Drive, Job, State, System, cell_of, chunk

SKIN = 0.4  # Å; more means fewer searches but longer lists
VACUUM = 10.0  # Å beside a slab or a cluster, so that it may move; doubled whenever too little
DRIFT = 0.1  # of 3 kT per atom: what the total energy of NVE may be off

Asked = float | Callable[[float], float]  # a number, or a function of the time in fs


# -- before anything runs -----------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """What is asked of a run, see nvt; ValueError for what cannot be."""

    ensemble: str  # "nve", "langevin", "nose-hoover" or "npt"
    temperature_K: Asked | None
    steps: int | None
    every: int | Callable[[], int]
    timestep_fs: float
    seed: int
    trajectory: str | os.PathLike | None
    resume: bool
    dtype: str
    skin: float | None
    slots: int | None
    damping_fs: float = 100.0
    pressure_GPa: Asked = 0.0
    pressure_damping_fs: float = 1000.0

    def __post_init__(self) -> None:
        whole = lambda x: isinstance(x, (int, np.integer)) and not isinstance(x, bool) and x >= 1
        duration = lambda x: np.isscalar(x) and np.isfinite(x) and x > 0
        count, fs = "a whole number of at least 1", "a positive number of femtoseconds"
        for name, fine, words in (
            ("steps", lambda x: x is None or whole(x), f"{count}, or None for ever"),
            ("every", lambda x: callable(x) or whole(x), count),
            ("slots", lambda x: x is None or whole(x), count),
            ("timestep_fs", duration, fs),
            ("damping_fs", duration, fs),
            ("pressure_damping_fs", duration, fs),
            ("dtype", lambda x: x in ("float32", "float64"), "'float32' or 'float64'"),
            ("skin", lambda x: x is None or x >= 0, "0 Å or more"),
        ):
            if not fine(getattr(self, name)):
                raise ValueError(f"{name} must be {words}, not {getattr(self, name)!r}")
        if self.ensemble != "nve":
            self.temperature(0.0), self.pressure(0.0)

    def temperature(self, time: float) -> float:
        """K, at a time in fs."""
        lowest = 0.0 if self.ensemble == "langevin" else 1e-3
        return _number("temperature_K", self.temperature_K, time, lowest)

    def pressure(self, time: float) -> float:
        """GPa, at a time in fs."""
        return _number("pressure_GPa", self.pressure_GPa, time, -np.inf)


def _number(name: str, asked: Asked | None, time: float, lowest: float) -> float:
    x: Any = asked(time) if callable(asked) else asked
    if not (np.isscalar(x) and np.isreal(x) and np.isfinite(x) and x >= lowest):
        bound = {-np.inf: "", 0.0: " of at least 0"}.get(lowest, " above 0")
        raise ValueError(
            f"{name} must be a number{bound}, or a function of the time that gives one, not {x!r}"
        )
    return float(x)


class Model(NamedTuple):
    """Whatever computes the forces of some atoms."""

    kind: str  # "network" or "stillinger-weber"
    spec: Any  # tlmlp.Config, or the row of tlmlp.elements
    dtype: str
    weights: Any
    core: Any  # its repulsion
    species: np.ndarray  # [N]
    reference: float  # eV, of all atoms


def start(potential: Any, atoms: ase.Atoms, settings: Settings) -> Iterator[Snapshot]:
    """The generator of a run, after everything was checked."""
    _check(atoms, settings.ensemble)
    model = _model(potential, atoms, settings.dtype)
    frame = None
    if settings.trajectory is not None:
        frame = trajectory.last_frame(settings.trajectory, atoms, settings.resume)
    first = (atoms if frame is None else frame).copy()
    momentum, n = _momenta(first, settings), len(first)
    box, reach = _box_and_reach(first, model.spec.cutoff, settings)
    plan = neighbors.plan(first.positions, box, model.spec.cutoff, reach, settings.slots or 0)
    job = Job(settings.ensemble, model.kind, model.spec, model.dtype, plan)
    radii = health.nearest(first.numbers, 0.0 if model.core is None else float(model.core[1]))
    memory = np.zeros(4 * CHAIN + 1)  # of the thermostats
    step, time = 0, 0.0
    if frame is not None:
        step, time = int(frame.info["step"]), float(frame.info["time_fs"])
        if np.size(frame.info.get("thermostat")) == len(memory):
            memory = np.ravel(frame.info["thermostat"])
    with jax.enable_x64(True):
        key = jax.random.key(settings.seed)
        system = System(model.weights, model.core, model.species, radii, box, first.pbc, key)
        system = jax.device_put(system)
        zero, none, far = np.zeros(()), np.zeros((), np.int32), np.array(np.inf)
        forces = (np.zeros((n, 3)), zero, np.zeros((3, 3)))
        chains = (memory[:-1].reshape(2, 2, CHAIN), zero, memory[-1])
        listing = neighbors.nothing(plan, reach, box, n)
        mass, seen = first.get_masses()[:, None], (none, none, far, far, none)
        atom = (first.positions, momentum, mass)
        state = State(*atom, *forces, system.seed, *chains, listing, *seen)
    run = _Run(settings, model, first, job, system, state, reach, step, time)
    return run.snapshots(resumed=frame is not None)


def _check(atoms: Any, ensemble: str) -> None:
    """Whether these can be simulated at all."""
    if not isinstance(atoms, ase.Atoms):
        raise TypeError(f"atoms must be one ase.Atoms, not {type(atoms).__name__}")
    finite = np.isfinite(atoms.positions).all() and np.isfinite(atoms.get_momenta()).all()
    rank = np.linalg.matrix_rank(atoms.cell.array[atoms.pbc], tol=1e-6)
    for wrong, words in (
        (len(atoms) < 2, f"molecular dynamics needs at least two atoms, not {len(atoms)}"),
        (
            not finite,
            "positions and velocities must be finite; at least one of them is nan or infinity",
        ),
        (
            atoms.constraints,
            "atoms with constraints cannot be simulated here; "
            "remove them with atoms.set_constraint()",
        ),
        (
            ensemble == "npt" and not atoms.pbc.all(),
            "constant pressure needs atoms that are periodic in three directions; "
            "set atoms.pbc = True",
        ),
        (
            rank < atoms.pbc.sum(),
            "a periodic direction has no cell vector of its own: "
            "set the cell, or pbc to False there",
        ),
    ):
        if wrong:
            raise ValueError(words)


def _model(potential: Any, atoms: ase.Atoms, dtype: str) -> Model:
    if isinstance(potential, (str, os.PathLike)):
        potential = Potential.load(potential)
    if isinstance(potential, PotentialCalculator):
        potential = potential.potential
    if isinstance(potential, Potential):
        potential.check_elements(atoms)
        cast = lambda tree: jax.tree.map(lambda x: np.asarray(x, dtype), tree)
        weights, core = cast(potential.params), cast(potential.repulsion())
        species = graphs.species_of(atoms, potential.elements)
        reference = float(potential.reference_energies(atoms).sum())
        return Model("network", potential.config, dtype, weights, core, species, reference)
    if isinstance(potential, StillingerWeber):
        row = potential.row
        if others := set(atoms.symbols) - {row.symbol}:
            raise ValueError(
                f"this potential knows {row.symbol} alone, not {', '.join(sorted(others))}"
            )
        species = np.zeros(len(atoms), np.int32)
        return Model("stillinger-weber", row, "float64", None, None, species, 0.0)
    raise TypeError(
        "potential must be a tlmlp.Potential, the name or file of one, "
        "or datasets.stillinger_weber_calculator(element), "
        f"not {type(potential).__name__}; other ASE calculators run in ase.md"
    )


def _momenta(atoms: ase.Atoms, settings: Settings) -> np.ndarray:
    """Momenta [N, 3], the atoms' own or of Maxwell and Boltzmann; the centre of mass rests."""
    mass, momentum = atoms.get_masses(), atoms.get_momenta()
    if not momentum.any():
        T = settings.temperature_K
        if settings.ensemble == "nve" and (T is None or callable(T)):
            raise ValueError(
                "atoms at rest need a temperature_K, one number, from which to draw their velocities"
            )
        noise = np.random.default_rng(settings.seed).normal(size=(len(mass), 3))
        momentum = noise * np.sqrt(mass * units.kB * settings.temperature(0.0))[:, None]
    return momentum - mass[:, None] * momentum.sum(0) / mass.sum()


def _box_and_reach(atoms: ase.Atoms, cutoff: float, settings: Settings) -> tuple[np.ndarray, float]:
    """(cell [3, 3] with vacuum, Å to which lists of neighbours reach)."""
    box = _box(atoms, atoms.positions, cutoff + SKIN, VACUUM)
    heights = graphs.heights(box)
    if heights.min() < 2 * cutoff:
        repeats = tuple(int(r) for r in np.ceil(2 * cutoff / heights - 1e-9))
        raise ValueError(
            f"the cell is too small for the cutoff of {cutoff:.2f} Å: its smallest height is "
            f"{heights.min():.2f} Å and must be at least {2 * cutoff:.2f} Å; "
            f"atoms.repeat({repeats}) is enough"
        )
    room, skin = heights.min() / 2 - cutoff, settings.skin
    if skin is not None and skin > room:
        raise ValueError(f"in this cell the skin can be at most {room:.2f} Å, not {skin!r}")
    return box, cutoff + (_skin(room, settings.ensemble) if skin is None else skin)


def _box(atoms: ase.Atoms, positions: np.ndarray, reach: float, vacuum: float) -> np.ndarray:
    """The cell [3, 3]; directions without pbc get the atoms' extent, twice the reach and vacuum."""
    cell, pbc = atoms.cell.array, atoms.pbc[:, None]
    if pbc.all():
        return cell
    normal = complete_cell(cell * pbc)
    extent = np.ptp(positions @ np.linalg.inv(np.where(pbc, cell, normal)), axis=0)
    return np.where(pbc, cell, normal * (extent + 2 * reach + vacuum)[:, None])


def _skin(room: float, ensemble: str) -> float:
    """Å by which lists reach beyond the cutoff; a cell that may shrink needs some of the room."""
    return min(SKIN, 0.6 * room if ensemble == "npt" else room)


# -- a run --------------------------------------------------------------------------------------


@dataclass
class _Run:
    """A simulation under way."""

    settings: Settings
    model: Model
    start: ase.Atoms  # what it was given, or the frame that it goes on from
    job: Job
    system: System
    state: State
    reach: float  # Å
    step: int
    time: float  # fs
    vacuum: float = VACUUM
    hottest: float = 0.0  # K, the highest temperature asked for so far
    energy: float | None = None  # eV, conserved, of the first snapshot
    warmth: list[float] = field(default_factory=list)  # K, of all snapshots of NVE

    @property
    def freedom(self) -> int:
        return 3 * len(self.start) - 3

    def snapshots(self, resumed: bool) -> Iterator[Snapshot]:
        steps, every = self.settings.steps, self.settings.every
        good = self._chunk(0)
        if good.health == "ok" and not resumed:
            yield self._written(good)
        while good.health == "ok" and (steps is None or self.step < steps):
            length = every() if callable(every) else every
            snapshot = self._chunk(length if steps is None else min(length, steps - self.step))
            if snapshot.health == "ok":
                good = self._written(snapshot)
                yield good
            else:
                good = good._replace(health=snapshot.health)
        if good.health != "ok":
            yield good
            raise SimulationError(good)

    def _written(self, snapshot: Snapshot) -> Snapshot:
        if self.settings.trajectory is not None:
            trajectory.append(self.settings.trajectory, snapshot.atoms)
        return snapshot

    def _chunk(self, steps: int) -> Snapshot:
        """The Snapshot after so many steps; with 0, that of the start."""
        asked, nve = self.settings, self.job.ensemble == "nve"
        target = np.nan if nve else asked.temperature(self.time)
        pressure = 0.0 if nve else asked.pressure(self.time)
        if self.energy is None:
            self.hottest = self._temperature(self._kinetic(self.state))
        self.hottest = np.inf if nve else max(self.hottest, target)
        limit = health.limit(self.hottest)
        drive = Drive(
            asked.timestep_fs * units.fs * (steps > 0),
            units.kB * (1.0 if nve else target),
            pressure * units.GPa,
            asked.damping_fs * units.fs,
            asked.pressure_damping_fs * units.fs,
            0.5 * self.freedom * units.kB * limit,
        )
        with jax.enable_x64(True):
            state, conserved = self._repeat(drive, max(steps, 1))
            snapshot = self._snapshot(state, conserved, target, self.step + steps)
            words = self._health(state, snapshot)
        if words:
            return snapshot._replace(health=words)
        self.state, self.step, self.time = state, snapshot.step, snapshot.time_fs
        return snapshot

    def _repeat(self, drive: Drive, steps: int) -> tuple[State, float]:
        """A chunk from the state we are in, with longer lists until no step found them full."""
        while True:
            start = self.state.set(problem=np.zeros((), np.int32), closest=np.array(np.inf))
            state, conserved = chunk(self.job, self.system, start, drive, self.step, steps)
            problem = int(state.problem)
            broken = float(state.closest) < 1 or not np.isfinite(float(state.energy))
            if not problem or broken or not self._make_room(problem, state):
                return state, float(conserved)

    def _make_room(self, problem: int, state: State) -> bool:
        """Change what was too small in a chunk that ended in this state; False where that cannot be."""
        plan, positions = self.job.plan, np.asarray(self.state.position)
        if problem & neighbors.VACUUM_SMALL:  # atoms would meet images of others
            self.vacuum *= 2
            box = _box(self.start, positions, self.reach, self.vacuum)
            self.system = self.system._replace(cell=jax.numpy.asarray(box))
        else:
            if problem & neighbors.CELL_SMALL:
                room = graphs.heights(np.asarray(cell_of(self.system, state))).min() / 2
                if room - plan.cutoff < 0.02:
                    return False
                # Shorter: what has room in the plan still has.
                self.reach = plan.cutoff + _skin(room - plan.cutoff, "npt")
            if problem & ~neighbors.CELL_SMALL:
                cell, grown = cell_of(self.system, self.state), (plan, problem, int(state.most))
                box = np.asarray(cell)
                plan = neighbors.plan(positions, box, plan.cutoff, self.reach, grown=grown)
            self.job = self.job._replace(plan=plan)
        cell = np.asarray(self.system.cell)
        listing = neighbors.nothing(plan, self.reach, cell, len(positions))
        self.state = self.state.set(listing=listing)
        return True

    def _kinetic(self, state: State) -> float:
        return float(0.5 * np.sum(np.asarray(state.momentum) ** 2 / np.asarray(state.mass)))

    def _temperature(self, kinetic: float) -> float:
        return 2 * kinetic / (self.freedom * units.kB)

    def _snapshot(self, state: State, conserved: float, target: float, step: int) -> Snapshot:
        kinetic, periodic = self._kinetic(state), self.start.pbc.all()
        virial, temperature = np.asarray(state.virial), self._temperature(kinetic)
        cell, pressure = self.start.cell.array, np.nan
        if periodic:
            cell = float(np.exp(state.strain)) * np.asarray(self.system.cell)
            ideal = len(self.start) * units.kB * temperature
            pressure = (ideal - np.trace(virial) / 3) / abs(np.linalg.det(cell)) / units.GPa
        memory: tuple[float, ...] = ()
        if self.job.ensemble in ("nose-hoover", "npt"):
            memory = (*np.asarray(state.chains).ravel().tolist(), float(state.strain_momentum))
        return Snapshot(
            step=step,
            time_fs=self.time + (step - self.step) * self.settings.timestep_fs,
            positions=np.array(state.position),
            velocities=np.asarray(state.momentum) / np.asarray(state.mass) * units.fs,
            potential_energy=float(state.energy) + self.model.reference,
            kinetic_energy=kinetic,
            temperature_K=temperature,
            health="ok",
            forces=np.array(state.force),
            cell=cell,
            pressure_GPa=float(pressure),
            conserved_energy=conserved + self.model.reference,
            target_K=target,
            searches=int(state.searches),
            virial=virial,
            thermostat=memory,
            start=self.start,
        )

    def _health(self, state: State, s: Snapshot) -> str:
        """One sentence on what went wrong in the chunk that ended in this state, or ""."""
        ps = s.time_fs / 1000
        if float(state.closest) < 1:
            return (
                f"Two atoms came within {float(state.distance):.2f} Å of each other before "
                f"{ps:.2f} ps, closer than they can be: {health.WRONG}"
            )
        numbers = (s.positions, s.velocities, s.potential_energy, s.kinetic_energy)
        if words := health.check(numbers, s.temperature_K, self.hottest, ps):
            return words
        if int(state.problem) & neighbors.CELL_SMALL:
            return (
                f"The cell shrank to a height of {graphs.heights(s.cell).min():.2f} Å before "
                f"{ps:.2f} ps, too small for the cutoff of {self.job.plan.cutoff:.2f} Å: "
                f"start from a larger one, atoms.repeat(2)."
            )
        self.energy = s.conserved_energy if self.energy is None else self.energy
        if self.job.ensemble == "nve":
            self.warmth.append(s.temperature_K)
            drift = (s.conserved_energy - self.energy) / len(self.start)
            if abs(drift) > max(DRIFT * 3 * units.kB * np.mean(self.warmth), 1e-3):
                return (
                    f"The total energy, which should stay the same, changed by "
                    f"{1000 * drift:.0f} meV per atom before {ps:.2f} ps: take a shorter timestep."
                )
        return ""

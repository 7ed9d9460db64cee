"""One run of molecular dynamics, in chunks: many steps between two snapshots, compiled together.

Neighbours are searched within a chunk. Where a list of them turns out too short, it is made longer
and the chunk is repeated from its start: no step ever counts that did not see all its neighbours.

After each chunk the run is checked: for what is not a number, for a temperature far above the one
asked for, for atoms too close (these three end a chunk at once), for a drift of the energy (NVE)
and for a cell that became too small (NPT). The last Snapshot then holds the last good frame, with
the reason in `health`, which is "ok" otherwise. The next one raises SimulationError.

Positions and momenta are float64, whatever jax is set to. The same seed gives the same trajectory
on the same machine, however it is cut into chunks.
"""

import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import ase
import jax
import numpy as np
from ase import units

from .. import graph as graphs
from ..calculator import PotentialCalculator
from ..files import expanded
from ..potential import Potential
from ..refusal import is_whole, refuse
from ..stillinger_weber import StillingerWeber
from . import health, neighbors, trajectory
from .settings import Settings
from .snapshot import SimulationError, Snapshot
from .steps import CHAIN, Drive, Job, State, System, cell_of, chunk

SKIN = 0.4  # Å; more means fewer searches but longer lists
VACUUM = 10.0  # Å beside a slab or a cluster, so that it may move; doubled whenever too little
DRIFT = 0.1  # of 3 kT per atom: what the total energy of NVE may be off


def start(potential: Any, atoms: ase.Atoms, settings: Settings) -> Iterator[Snapshot]:
    """The generator of a run, after everything was checked."""
    _check(atoms, settings.ensemble)
    spec, dtype, weights, core, species, reference = _model(potential, atoms, settings.dtype)
    frame, kept = None, None
    if settings.trajectory is not None:
        run, began = _described(settings, spec, (weights, core, reference)), _digest(_moving(atoms))
        frame = trajectory.last_frame(settings.trajectory, atoms, settings.resume, run, began)
        kept, left_out = trajectory.storable(atoms, expanded(settings.trajectory).suffix)
        kept.info |= dict(run=run, start=began if frame is None else frame.info.get("start", began))
        words = f"{settings.trajectory} leaves out {', '.join(left_out)}: it could not be read back"
        if left_out:
            warnings.warn(words, stacklevel=4)
    first = (atoms if frame is None else frame).copy()
    momentum, n = _momenta(first, settings), len(first)
    box, reach = _box_and_reach(first, spec.cutoff, settings)
    plan = neighbors.plan(first.positions, box, spec.cutoff, reach, settings.slots or 0)
    job = Job(settings.ensemble, spec, dtype, plan)
    radii = health.nearest(first.numbers, 0.0 if core is None else float(core[1]))
    memory, step, time = np.zeros(4 * CHAIN + 1), 0, 0.0  # memory: of the thermostats
    if frame is not None:
        step, time = int(frame.info["step"]), float(frame.info["time_fs"])
        if np.size(frame.info.get("thermostat")) == len(memory):
            memory = np.ravel(frame.info["thermostat"])
    with jax.enable_x64(True):
        key = jax.random.key(settings.seed)
        system = jax.device_put(System(weights, core, species, radii, box, first.pbc, key))
        zero, none, far = np.zeros(()), np.zeros((), np.int32), np.array(np.inf)
        moving = (first.positions, momentum, first.get_masses()[:, None])
        forces = (np.zeros((n, 3)), zero, np.zeros((3, 3)))
        chains = (memory[:-1].reshape(2, 2, CHAIN), zero, memory[-1])
        listing = neighbors.nothing(plan, reach, box, n)
        state = State(*moving, *forces, system.seed, *chains, listing, none, none, far, far, none)
    begun = _Run(settings, reference, first, job, system, state, reach, step, time, kept)
    return begun.snapshots(resumed=frame is not None)


def _described(settings: Settings, spec: Any, potential: Any) -> str:
    """What a run is, in words that a resumed one must have as well."""
    names = ("timestep_fs", "damping_fs", "pressure_damping_fs")
    numbers = [f"{name}={getattr(settings, name):g}" for name in names]
    which = f"potential={_digest(jax.tree.leaves(potential), repr(spec))}"
    return " ".join([f"ensemble={settings.ensemble}", *numbers, which])


def _moving(atoms: ase.Atoms) -> list[np.ndarray]:
    cell = atoms.cell.array, atoms.pbc
    return [atoms.numbers, atoms.positions, atoms.get_momenta(), atoms.get_masses(), *cell]


def _digest(arrays: Any, words: str = "") -> str:
    digest = hashlib.sha256(words.encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array, float).tobytes())
    return "sha" + digest.hexdigest()[:12]  # a word that no reader takes for a number


def _check(atoms: Any, ensemble: str) -> None:
    """Whether these can be simulated at all."""
    graphs.check_cell(atoms)
    graphs.check_masses(atoms)
    refuse(len(atoms) < 2, f"molecular dynamics needs at least two atoms, not {len(atoms)}")
    why = "positions and velocities must be finite; at least one of them is nan or infinity"
    refuse(not np.isfinite([atoms.positions, atoms.get_momenta()]).all(), why)
    why = "atoms with constraints cannot be simulated; remove them with atoms.set_constraint()"
    refuse(atoms.constraints, why)
    why = "constant pressure needs atoms periodic in three directions; set atoms.pbc = True"
    refuse(ensemble == "npt" and not atoms.pbc.all(), why)


def _model(potential: Any, atoms: ase.Atoms, dtype: str) -> tuple[Any, ...]:
    """(spec of a Job, dtype, weights, core, species [N], reference energy in eV)."""
    if isinstance(potential, (str, os.PathLike)):
        potential = Potential.load(os.fspath(potential))
    if isinstance(potential, StillingerWeber):
        energies = potential.reference(atoms)  # zero; other elements are refused
        species = np.zeros(len(atoms), np.int32)
        return (potential.row, "float64", None, None, species, energies.sum())
    if type(potential) is PotentialCalculator:  # an alchemical one is more than its potential
        potential = potential.potential
    words = "potential must be a tlmlp.Potential, the name or file of one, or datasets."
    words += f"stillinger_weber_calculator(element), not {type(potential).__name__}; "
    words += "other ASE calculators run in ase.md"
    refuse(not isinstance(potential, Potential), words, TypeError)
    potential.check_elements(atoms)
    cast = lambda tree: jax.tree.map(lambda x: np.asarray(x, dtype), tree)
    weights, core = cast(potential.params), cast(potential.repulsion())
    species = graphs.species_of(atoms, potential.elements)
    reference = float(potential.reference_energies(atoms).sum())
    return potential.config, dtype, weights, core, species, reference


def _momenta(atoms: ase.Atoms, settings: Settings) -> np.ndarray:
    """Momenta [N, 3], the atoms' own or of Maxwell and Boltzmann; the centre of mass rests."""
    mass, momentum, T = atoms.get_masses(), atoms.get_momenta(), settings.temperature_K
    if not momentum.any():
        words = "atoms at rest need a temperature_K, one number, to draw their velocities from"
        refuse(settings.ensemble == "nve" and (T is None or callable(T)), words)
        noise = np.random.default_rng(settings.seed).normal(size=(len(mass), 3))
        momentum = noise * np.sqrt(mass * units.kB * settings.temperature(0.0))[:, None]
    return momentum - mass[:, None] * momentum.sum(0) / mass.sum()


def _box_and_reach(atoms: ase.Atoms, cutoff: float, settings: Settings) -> tuple[np.ndarray, float]:
    """(cell [3, 3] with vacuum, Å to which lists of neighbours reach)."""
    box = _box(atoms, atoms.positions, cutoff + SKIN, VACUUM)
    heights, least = graphs.heights(box), 2 * cutoff
    low, repeats = heights.min(), tuple(int(r) for r in np.ceil(least / heights - 1e-9))
    words = f"the cell is too small for the cutoff of {cutoff:.2f} Å: its smallest height is "
    words += f"{low:.2f} Å and must be at least {least:.2f} Å; atoms.repeat({repeats}) is enough"
    refuse(low < least, words)
    room, skin = low / 2 - cutoff, settings.skin
    if skin is None:
        return box, cutoff + _skin(room, settings.ensemble)
    refuse(skin > room, f"in this cell the skin can be at most {room:.2f} Å, not {skin!r}")
    return box, cutoff + skin


def _box(atoms: ase.Atoms, positions: np.ndarray, reach: float, vacuum: float) -> np.ndarray:
    """The cell [3, 3]; directions without pbc get the atoms' extent, twice the reach and vacuum."""
    box = graphs.box_of(atoms)
    extent = np.ptp(positions @ np.linalg.inv(box), axis=0)
    return np.where(atoms.pbc[:, None], box, box * (extent + 2 * reach + vacuum)[:, None])


def _skin(room: float, ensemble: str) -> float:
    """Å by which lists reach beyond the cutoff; a cell that may shrink needs some of the room."""
    return min(SKIN, 0.6 * room if ensemble == "npt" else room)


@dataclass
class _Run:
    """A simulation under way."""

    settings: Settings
    reference: float  # eV, of all atoms
    start: ase.Atoms  # what it was given, or the frame that it goes on from
    job: Job
    system: System
    state: State
    reach: float  # Å
    step: int
    time: float  # fs
    kept: ase.Atoms | None  # with what a trajectory can hold of them, where one is written
    vacuum: float = VACUUM
    hottest: float = 0.0  # K, the highest temperature asked for so far
    energy: float | None = None  # eV, conserved, of the first snapshot
    warmth: list[float] = field(default_factory=list)  # K, of all snapshots of NVE

    def snapshots(self, resumed: bool) -> Iterator[Snapshot]:
        steps, every = self.settings.steps, self.settings.every
        good = self._chunk(0)
        if good.health == "ok" and not resumed:
            yield self._written(good)
        while good.health == "ok" and (steps is None or self.step < steps):
            length = every() if callable(every) else every
            refuse(not is_whole(length), f"every must give a number of steps, not {length!r}")
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
            kept = snapshot._replace(start=self.kept or self.start)
            trajectory.append(expanded(self.settings.trajectory), kept.atoms)
        return snapshot

    def _chunk(self, steps: int) -> Snapshot:
        """The Snapshot after so many steps; with 0, that of the start."""
        asked, nve = self.settings, self.job.ensemble == "nve"
        target = np.nan if nve else asked.temperature(self.time)
        pressure = 0.0 if nve else asked.pressure(self.time)
        kelvin = 0.5 * (3 * len(self.start) - 3) * units.kB  # kinetic energy in eV of 1 K
        if self.energy is None:
            self.hottest = _kinetic(self.state) / kelvin
        self.hottest = np.inf if nve else max(self.hottest, target)
        kT, hottest = units.kB * (1.0 if nve else target), kelvin * health.limit(self.hottest)
        timestep = asked.timestep_fs * units.fs * (steps > 0)
        dampings = (asked.damping_fs * units.fs, asked.pressure_damping_fs * units.fs)
        drive = Drive(timestep, kT, pressure * units.GPa, *dampings, hottest)
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
            broken = float(state.closest) < 1 or not np.isfinite(float(state.energy))
            if not int(state.problem) or broken or not self._make_room(state):
                return state, float(conserved)

    def _make_room(self, state: State) -> bool:
        """Enlarge what was too small in a chunk that ended in this state; False: it cannot be."""
        problem, plan = int(state.problem), self.job.plan
        positions = np.asarray(self.state.position)
        if problem & neighbors.VACUUM_SMALL:  # atoms would meet images of others
            self.vacuum *= 2
            box = _box(self.start, positions, self.reach, self.vacuum)
            self.system = self.system._replace(cell=jax.numpy.asarray(box))
            problem = 0
        if problem & neighbors.CELL_SMALL:
            room = graphs.heights(np.asarray(cell_of(self.system, state))).min() / 2 - plan.cutoff
            if room < 0.02:
                return False
            self.reach = plan.cutoff + _skin(room, "npt")  # shorter: the plan still has room
        if problem & ~neighbors.CELL_SMALL:
            box, grown = np.asarray(cell_of(self.system, self.state)), (plan, int(state.most))
            plan = neighbors.plan(positions, box, plan.cutoff, self.reach, grown=(problem, *grown))
        self.job = self.job._replace(plan=plan)
        listing = neighbors.nothing(plan, self.reach, np.asarray(self.system.cell), len(positions))
        self.state = self.state.set(listing=listing)
        return True

    def _snapshot(self, state: State, conserved: float, target: float, step: int) -> Snapshot:
        n, kinetic, virial = len(self.start), _kinetic(state), np.asarray(state.virial)
        temperature = 2 * kinetic / ((3 * n - 3) * units.kB)
        cell, pressure = self.start.cell.array, np.nan
        if self.start.pbc.all():
            cell = float(np.exp(state.strain)) * np.asarray(self.system.cell)
            trace = n * units.kB * temperature - np.trace(virial) / 3
            pressure = float(trace / abs(np.linalg.det(cell)) / units.GPa)
        memory: tuple[float, ...] = ()
        if self.job.ensemble in ("nose-hoover", "npt"):
            memory = (*np.asarray(state.chains).ravel().tolist(), float(state.strain_momentum))
        return Snapshot(
            step=step,
            time_fs=self.time + (step - self.step) * self.settings.timestep_fs,
            positions=np.array(state.position),
            velocities=np.asarray(state.momentum) / np.asarray(state.mass) * units.fs,
            potential_energy=float(state.energy) + self.reference,
            kinetic_energy=kinetic,
            temperature_K=temperature,
            health="ok",
            forces=np.array(state.force),
            cell=cell,
            pressure_GPa=pressure,
            conserved_energy=conserved + self.reference,
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
            words = f"Two atoms came within {float(state.distance):.2f} Å of each other before "
            return words + f"{ps:.2f} ps, closer than they can be: {health.WRONG}"
        numbers = (s.positions, s.velocities, s.potential_energy, s.kinetic_energy)
        if words := health.check(numbers, s.temperature_K, self.hottest, ps):
            return words
        if int(state.problem) & neighbors.CELL_SMALL:
            words = f"The cell shrank to a height of {graphs.heights(s.cell).min():.2f} Å before "
            words += f"{ps:.2f} ps, too small for the cutoff of {self.job.plan.cutoff:.2f} Å: "
            return words + "start from a larger one, atoms.repeat(2)."
        self.energy = s.conserved_energy if self.energy is None else self.energy
        if self.job.ensemble == "nve":
            self.warmth.append(s.temperature_K)
            drift = (s.conserved_energy - self.energy) / len(self.start)
            if abs(drift) > max(DRIFT * 3 * units.kB * float(np.mean(self.warmth)), 1e-3):
                words = f"changed by {1000 * drift:.0f} meV per atom before {ps:.2f} ps"
                words = f"The total energy, which should stay the same, {words}"
                return f"{words}: take a shorter timestep."
        return ""


def _kinetic(state: State) -> float:
    return float(0.5 * np.sum(np.asarray(state.momentum) ** 2 / np.asarray(state.mass)))

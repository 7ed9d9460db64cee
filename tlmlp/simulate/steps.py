"""One step of molecular dynamics, and many of them in one compiled function; of jax-md's parts.

    velocity Verlet   p += F dt/2,  r += p/m dt,  F = F(r),  p += F dt/2
    Langevin (BAOAB)  p += F dt/2,  r += p/m dt/2,  p = c p + sqrt((1 - c²) m kT) ξ,
                      r += p/m dt/2,  F = F(r),  p += F dt/2
    Nosé-Hoover       half a step of a chain of thermostats, velocity Verlet, half a step of it
    NPT               the same with a second chain and a cell whose volume is V = V_0 exp(3 ε),
                      p_ε = W dε/dt,  dp_ε/dt = (1 + 3/N_f) Σ p²/m - ∂E/∂ε - 3 P V

| symbol | name here | |
|---|---|---|
| r, p, F, m | position, momentum, force, mass | [N, 3], [N, 1]; Σ p = 0, so N_f = 3 N - 3 |
| c = exp(-dt/τ), ξ | damping τ, key | ξ depends on the seed and the number of the step alone |
| ε, p_ε, W | strain, strain_momentum | W = (N_f + 3) kT τ_b² |

N_f: degrees of freedom. Units are ASE's: Å, eV, amu, and for times Å sqrt(amu/eV) = 10.18 fs.

Source: Leimkuhler & Matthews, Appl. Math. Res. Express 2013, 34 (BAOAB); Martyna et al., Mol.
Phys. 87, 1117 (1996) and Tuckerman et al., J. Phys. A 39, 5629 (2006) (chains, NPT).
jax_md.simulate has all three ensembles, but its NPT evaluates energies twice a step, and its chains
count 3 N degrees of freedom.
"""

from dataclasses import dataclass, replace
from functools import partial
from operator import add
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax_md import simulate

from .. import forces, stillinger_weber
from ..elements import Element
from . import neighbors
from .neighbors import Array

CHAIN = 3  # thermostats in a chain


class Job(NamedTuple):
    """What a program is compiled for."""

    ensemble: str  # "nve", "langevin", "nose-hoover" or "npt"
    spec: Any  # tlmlp.Config of a network, or the Element of Stillinger-Weber
    dtype: str  # of the potential; positions and momenta are always float64
    plan: neighbors.Plan


class System(NamedTuple):
    """What stays the same during a run."""

    weights: Any  # of the network; None
    core: Any  # its repulsion; None
    species: Array  # [N] int32
    radii: Array  # [N] Å, see neighbors.graph_of
    cell: Array  # [3, 3] Å, at strain 0
    pbc: Array  # [3] bool; vacuum in the other directions
    seed: Array  # a jax.random key


class Drive(NamedTuple):
    """What may change from chunk to chunk, without compiling anew."""

    timestep: float
    kT: float  # eV
    pressure: float  # eV/Å^3
    damping: float
    barostat_damping: float
    hottest: float  # eV, kinetic energy that ends a chunk


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """What a step changes; jax-md's steps use position, momentum, force, mass, rng and `set`."""

    position: Array  # [N, 3] Å, not wrapped
    momentum: Array  # [N, 3]
    mass: Array  # [N, 1] amu
    force: Array  # [N, 3] eV/Å
    energy: Array  # [] eV, without reference energies
    virial: Array  # [3, 3] eV, ∂E/∂strain
    rng: Array
    chains: Array  # [2, 2, CHAIN] position and momentum of the chains of atoms and cell
    strain: Array  # [] ε
    strain_momentum: Array  # []
    listing: neighbors.Listing
    problem: Array  # [] bits of neighbors
    most: Array  # [] the largest number of neighbours so far
    closest: Array  # [] the smallest neighbors.Crowd.closest so far
    distance: Array  # [] Å, that distance
    searches: Array  # [] how often neighbours were searched

    def set(self, **changes: Any) -> "State":
        return replace(self, **changes)


def cell_of(system: System, state: State) -> Array:
    """The cell [3, 3] in Å at the strain of this moment."""
    return system.cell * jnp.exp(state.strain)


def _kinetic_energy(state):
    return 0.5 * jnp.sum(state.momentum**2 / state.mass)


def _evaluate(job, system, state):
    """The State with force, energy and virial of its positions."""
    plan, cell = job.plan, cell_of(system, state)
    anew = neighbors.stale(plan, state.listing, state.position, cell)
    listing, bits = jax.lax.cond(
        anew,
        lambda: neighbors.search(plan, state.listing.reach, state.position, cell, system.pbc),
        lambda: (state.listing, jnp.zeros_like(state.problem)),
    )
    atoms = (state.position, cell, system.species, system.radii)
    graph, crowd = neighbors.graph_of(plan, listing, *atoms, job.dtype)
    if isinstance(job.spec, Element):
        out = stillinger_weber.energy_forces(job.spec, graph)
    else:
        out = forces.energy_forces(job.spec, system.weights, graph, system.core)
    energies, force, virial = (x.astype(state.position.dtype) for x in out)
    nearer = crowd.closest < state.closest
    return state.set(
        force=force,
        energy=energies.sum(),
        virial=virial[0],
        listing=listing,
        problem=state.problem | bits | jnp.where(crowd.most > plan.slots, neighbors.SLOTS_FULL, 0),
        most=jnp.maximum(state.most, crowd.most),
        closest=jnp.minimum(state.closest, crowd.closest),
        distance=jnp.where(nearer, crowd.distance, state.distance),
        searches=state.searches + anew,
    )


def _verlet(job, system, state, drive):
    dt = drive.timestep
    state = simulate.momentum_step(state, dt / 2)
    state = simulate.position_step(state, add, dt)
    return simulate.momentum_step(_evaluate(job, system, state), dt / 2)


def _langevin(job, system, state, drive):
    dt = drive.timestep
    state = simulate.momentum_step(state, dt / 2)
    state = simulate.position_step(state, add, dt / 2)
    state = simulate.stochastic_step(state, dt, drive.kT, 1 / drive.damping)
    state = simulate.position_step(state, add, dt / 2)
    return simulate.momentum_step(_evaluate(job, system, state), dt / 2)


def _half_chain(dt, damping, freedom, kT, chain, momentum, mass):
    """(chain, momentum) half a step later; chain [2, CHAIN], freedom: that of these momenta."""
    fns = simulate.nose_hoover_chain(dt, CHAIN, 1, 1, damping)
    kinetic = 0.5 * jnp.sum(momentum**2 / mass)
    chain = simulate.NoseHooverChain(chain[0], chain[1], chain[0], damping, kinetic, freedom)
    momentum, chain = fns.half_step(momentum, fns.update_mass(chain, kT), kT)
    return jnp.stack([chain.position, chain.momentum]), momentum


def _nose_hoover(job, system, state, drive):
    freedom = 3 * len(state.position) - 3
    half = partial(_half_chain, drive.timestep, drive.damping, freedom, drive.kT)
    chain, p = half(state.chains[0], state.momentum, state.mass)
    state = _verlet(job, system, state.set(momentum=p), drive)
    chain, p = half(chain, state.momentum, state.mass)
    return state.set(chains=state.chains.at[0].set(chain), momentum=p)


def _barostat_mass(state, drive):
    return 3 * len(state.position) * drive.kT * drive.barostat_damping**2  # N_f + 3 = 3 N


def _npt(job, system, state, drive):
    dt, freedom = drive.timestep, 3 * len(state.position) - 3
    alpha, W = 1 + 3 / freedom, _barostat_mass(state, drive)
    atoms = partial(_half_chain, dt, drive.damping, freedom, drive.kT, mass=state.mass)
    walls = partial(_half_chain, dt, drive.barostat_damping, 1, drive.kT, mass=W)
    sinhc = lambda x: 1 + x**2 / 6 + x**4 / 120  # sinh(x)/x; x is the strain of one step

    def push(state):  # p_ε and p by half a step; the two orders are each other's mirror image
        volume = jnp.abs(jnp.linalg.det(cell_of(system, state)))
        kinetic = alpha * 2 * _kinetic_energy(state)
        return kinetic - jnp.trace(state.virial) - 3 * drive.pressure * volume

    def kick(state):
        x = alpha * state.strain_momentum / W * dt / 4
        p = state.momentum * jnp.exp(-2 * x) + dt / 2 * state.force * jnp.exp(-x) * sinhc(x)
        return state.set(momentum=p)

    thermostat, p = atoms(state.chains[0], state.momentum)
    barostat, p_strain = walls(state.chains[1], state.strain_momentum)
    state = state.set(momentum=p, strain_momentum=p_strain)
    state = kick(state.set(strain_momentum=state.strain_momentum + dt / 2 * push(state)))
    x = state.strain_momentum / W * dt
    moved = dt * state.momentum / state.mass * jnp.exp(x / 2) * sinhc(x / 2)
    state = state.set(position=state.position * jnp.exp(x) + moved, strain=state.strain + x)
    state = kick(_evaluate(job, system, state))
    state = state.set(strain_momentum=state.strain_momentum + dt / 2 * push(state))
    thermostat, p = atoms(thermostat, state.momentum)
    barostat, p_strain = walls(barostat, state.strain_momentum)
    return state.set(chains=jnp.stack([thermostat, barostat]), momentum=p, strain_momentum=p_strain)


STEPS = {"nve": _verlet, "langevin": _langevin, "nose-hoover": _nose_hoover, "npt": _npt}


def _conserved(job, system, state, drive):
    """Energy in eV that exact dynamics would keep, without reference; nan for Langevin."""
    energy, N = state.energy + _kinetic_energy(state), len(state.position)

    def chain(chain, damping, freedom):
        masses = drive.kT * damping**2 * jnp.array([freedom] + [1] * (CHAIN - 1))
        stretch = freedom * chain[0, 0] + chain[0, 1:].sum()
        return jnp.sum(chain[1] ** 2 / (2 * masses)) + drive.kT * stretch

    if job.ensemble == "langevin":
        return energy * jnp.nan
    if job.ensemble in ("nose-hoover", "npt"):
        energy += chain(state.chains[0], drive.damping, 3 * N - 3)
    if job.ensemble == "npt":
        energy += chain(state.chains[1], drive.barostat_damping, 1)
        energy += drive.pressure * jnp.abs(jnp.linalg.det(cell_of(system, state)))
        energy += state.strain_momentum**2 / (2 * _barostat_mass(state, drive))
    return energy


@partial(jax.jit, static_argnames="job")
def chunk(
    job: Job, system: System, state: State, drive: Drive, first: int, steps: int
) -> tuple[State, Array]:
    """(State, conserved energy) after `steps` steps; after fewer where one went wrong.

    The first of them has the number `first`. With a timestep of 0 nothing moves, and forces are
    evaluated for the first time.
    """

    def sound(carry):
        done, state = carry
        fine = (state.problem == 0) & jnp.isfinite(state.energy) & (state.closest >= 1)
        return (done < steps) & fine & (_kinetic_energy(state) <= drive.hottest)

    def body(carry):
        done, state = carry
        state = state.set(rng=jax.random.fold_in(system.seed, first + done))
        state = STEPS[job.ensemble](job, system, state, drive)
        drift = state.momentum.sum(0) / state.mass.sum()
        return done + 1, state.set(momentum=state.momentum - drift * state.mass)

    _, state = jax.lax.while_loop(sound, body, (jnp.zeros((), jnp.int32), state))
    return state, _conserved(job, system, state, drive)

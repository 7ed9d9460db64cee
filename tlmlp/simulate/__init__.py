"""Molecular dynamics as generators of Snapshot: nve, nvt and npt."""

from .snapshot import SimulationError, Snapshot


def nve(potential, atoms, temperature_K=None, **options):
    """Constant energy: velocity Verlet. Yields Snapshot.

    temperature_K: of the initial velocities, where `atoms` has none. Everything else as in `nvt`.
    """
    from .run import start  # jax-md takes 10 to 20 s to import

    return start("nve", potential, atoms, temperature_K, 0.0, 100.0, 1000.0, **options)


def nvt(potential, atoms, temperature_K, thermostat="langevin", damping_fs=100.0, **options):
    """Constant temperature. Yields Snapshot: the first at step 0, then one every `every` steps.

    potential: a Potential, the name or file of one, or a Stillinger-Weber calculator (tlmlp.datasets)
    atoms: ase.Atoms; their velocities are kept, but for that of the centre of mass; where they have none, they are drawn
        from the Maxwell-Boltzmann distribution. In directions that are not periodic there is vacuum.
    temperature_K: K, or a function of the time in fs, asked before every chunk: a ramp, or what a slider says
    thermostat: "langevin" (BAOAB) or "nose-hoover" (a chain of three)
    damping_fs: time after which velocities are forgotten (Langevin), or of the chain

    Options of all ensembles:
    steps: to do in all; None: for ever. every: steps between two snapshots, a chunk; a number, or a function that gives one.
    timestep_fs: 2 fs is right for silicon and heavier; seed: of initial velocities and of the thermostat's noise.
    trajectory: a file to which every good snapshot is written at once, .extxyz or .traj; an interrupted run leaves a file that
        can be read. It must not exist yet, unless resume=True: then the run goes on from its last frame, with its step, and
        ends at the same `steps`. With .traj that is the same run to rounding, thermostat included; .extxyz keeps eight
        decimals.
    dtype: of the network, "float32" or "float64" (Stillinger-Weber is always computed in float64); skin: Å, by how much lists of neighbours reach farther than the cutoff
        (None: 0.4, or what the cell has room for).

    Raises ValueError in one sentence for what cannot be simulated, before anything is compiled, such as a cell in which an
    atom would see two images of another; and SimulationError after a Snapshot whose `health` is not "ok".
    """
    if thermostat not in ("langevin", "nose-hoover"):
        raise ValueError(f"thermostat must be 'langevin' or 'nose-hoover', not {thermostat!r}")
    from .run import start  # jax-md takes 10 to 20 s to import

    return start(thermostat, potential, atoms, temperature_K, 0.0, damping_fs, 1000.0, **options)


def npt(
    potential,
    atoms,
    temperature_K,
    pressure_GPa=0.0,
    damping_fs=100.0,
    pressure_damping_fs=1000.0,
    **options,
):
    """Constant temperature and pressure: the cell keeps its shape and changes its volume. Nosé-Hoover chains. Yields Snapshot.

    pressure_GPa: GPa, or a function of the time in fs; pressure_damping_fs: of the barostat. `atoms` must be periodic in three
    directions. Everything else as in `nvt`.
    """
    from .run import start  # jax-md takes 10 to 20 s to import

    return start(
        "npt",
        potential,
        atoms,
        temperature_K,
        pressure_GPa,
        damping_fs,
        pressure_damping_fs,
        **options,
    )


__all__ = ["SimulationError", "Snapshot", "npt", "nve", "nvt"]

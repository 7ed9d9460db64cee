"""One structure through CP2K: the protocol, its input, and the reader of its output.

PBE with Goedecker-Teter-Hutter pseudopotentials, Gaussian and plane waves; the same input for every
element, but for carbon's cutoff. Energies are free energies F = E - T_el S of the smeared
electrons, which is what the forces are gradients of. Units: eV, Å, eV/Å, eV/Å^3 (stress in ASE's
sign, positive when the cell wants to shrink, Voigt order xx yy zz yz xz xy).
"""

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

HARTREE, BOHR = 27.211386245988, 0.529177210903  # eV, Å (CODATA 2018)

LINE = "CP2K PBE GTH-q4 DZVP-MOLOPT-SR {cutoff} Ry k222 1000 K"
# The same for every element. What was converged, and against what, is in README.md and
# convergence.csv.
PROTOCOL = dict(
    cutoff=240,  # Ry, of the plane waves for the density; more for HARDER
    rel_cutoff=30,  # Ry, of the grid that a Gaussian of exponent 1 is mapped to
    basis="DZVP-MOLOPT-SR-GTH",
    basis_file="BASIS_MOLOPT",
    potential="GTH-PBE-q4",
    kpoints=(
        2,
        2,
        2,
    ),  # Monkhorst-Pack, for 64 atoms; (4, 4, 4) for 8 atoms are the same points; None: Γ alone
    temperature=1000,  # K, of the Fermi distribution of the electrons
    eps_scf=1e-4,  # largest change of the density matrix
    eps_default=1e-8,
    alpha=0.4,  # of Broyden mixing
)
NAME = LINE.format(**PROTOCOL)
HARDER = {"C": 400}  # Ry: at 240 Ry carbon's forces are off by 21 meV/Å
ELECTRONS = 4  # of an atom of potential q4
MAX_SCF = 60

INPUT = """\
&GLOBAL
  PROJECT run
  RUN_TYPE ENERGY_FORCE
  PRINT_LEVEL LOW
  EXTENDED_FFT_LENGTHS
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  STRESS_TENSOR ANALYTICAL
  &DFT
    BASIS_SET_FILE_NAME {basis_file}
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &MGRID
      CUTOFF {cutoff}
      REL_CUTOFF {rel_cutoff}
    &END MGRID
    &QS
      METHOD GPW
      EPS_DEFAULT {eps_default:.0e}
    &END QS
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
    &END XC
    {kpoints}
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF {eps_scf:.0e}
      MAX_SCF {max_scf}
      ADDED_MOS {empty}
      &SMEAR ON
        METHOD FERMI_DIRAC
        ELECTRONIC_TEMPERATURE [K] {temperature}
      &END SMEAR
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA {alpha}
        NBROYDEN 8
      &END MIXING
      &PRINT
        &RESTART OFF
        &END RESTART
      &END PRINT
    &END SCF
  &END DFT
  &SUBSYS
    &CELL
      A {a}
      B {b}
      C {c}
    &END CELL
    &COORD
{coordinates}
    &END COORD
{kinds}
  &END SUBSYS
  &PRINT
    &FORCES ON
      NDIGITS 10
    &END FORCES
    &STRESS_TENSOR ON
    &END STRESS_TENSOR
  &END PRINT
&END FORCE_EVAL
"""
KIND = """\
    &KIND {symbol}
      BASIS_SET {basis}
      POTENTIAL {potential}
    &END KIND"""


class NotConverged(RuntimeError):
    """The self-consistent field did not converge in max_scf steps."""


def settings_of(atoms, **changes) -> dict:
    """PROTOCOL with the cutoff that the elements of a structure need; `changes` replace entries."""
    cutoffs = [HARDER.get(symbol, PROTOCOL["cutoff"]) for symbol in atoms.symbols]
    return PROTOCOL | dict(cutoff=max(cutoffs)) | changes


def name_of(atoms) -> str:
    """The protocol of a structure, in a line."""
    return LINE.format(**settings_of(atoms))


def input_file(atoms, **changes) -> str:
    """CP2K's input for one structure; `changes` replace entries of PROTOCOL."""
    p = settings_of(atoms, **changes)
    row = lambda vector: " ".join(f"{x:.12f}" for x in vector)
    grid = p["kpoints"] and f"SCHEME MONKHORST-PACK {' '.join(map(str, p['kpoints']))}"
    return INPUT.format(
        **p | dict(kpoints=f"&KPOINTS\n      {grid}\n    &END KPOINTS" if grid else ""),
        max_scf=MAX_SCF,
        empty=len(atoms) * ELECTRONS // 4 + 4,  # orbitals: half as many as are full
        a=row(atoms.cell[0]),
        b=row(atoms.cell[1]),
        c=row(atoms.cell[2]),
        coordinates="\n".join(
            f"      {s} {row(r)}" for s, r in zip(atoms.symbols, atoms.positions)
        ),
        kinds="\n".join(KIND.format(symbol=s, **p) for s in sorted(set(atoms.symbols))),
    )


NUMBER = r"[-+]?\d+\.\d+(?:[DEde][-+]?\d+)?"


def read_output(text: str, n_atoms: int) -> dict:
    """energy, forces [N, 3], stress [6] and what else is known, from what CP2K wrote.

    Raises:
        NotConverged: the self-consistent field did not converge.
        ValueError: the output is not complete.
    """
    if "SCF run NOT converged" in text:
        raise NotConverged("the self-consistent field did not converge")
    energy = re.findall(rf"ENERGY\| Total FORCE_EVAL.*?:\s+({NUMBER})", text)
    forces = re.findall(
        rf"^\s+\d+\s+\d+\s+[A-Z][a-z]?\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})\s*$", text, re.M
    )
    # x, y and z of the tensor, then of its eigenvectors
    stress = re.findall(rf"STRESS\|\s+[xyz]\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})", text)[:3]
    steps = re.findall(r"SCF run converged in\s+(\d+) steps", text)
    if len(energy) != 1 or len(forces) != n_atoms or len(stress) != 3 or not steps:
        found = f"{len(energy)} energies, {len(forces)} forces, {len(stress)} rows of stress"
        raise ValueError(f"incomplete output: {found}")
    entropy = re.findall(rf"Electronic entropic energy:\s+({NUMBER})", text)
    return dict(
        energy=float(energy[0]) * HARTREE,
        forces=np.array(forces, float) * HARTREE / BOHR,
        stress=-full_3x3_to_voigt_6_stress(np.array(stress, float)) * units.GPa,
        entropy=float(entropy[-1]) * HARTREE if entropy else None,
        scf_steps=int(steps[-1]),
    )


def compute(atoms, folder=None, command=("cp2k.psmp",), **changes) -> dict:
    """Energy, forces, stress of one structure by CP2K on one thread, and its `seconds` of time.

    Raises:
        FileNotFoundError: CP2K is not installed.
        NotConverged: the self-consistent field did not converge.
        RuntimeError: CP2K stopped with an error; the end of its output is in the message.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(
            f"{command[0]} is not installed: apt install cp2k cp2k-data libopenblas0-serial"
        )
    environment = os.environ | dict(
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMPI_MCA_ess_singleton_isolated="1",  # no daemon beside a single process
    )
    for _ in range(
        2
    ):  # a run that somebody killed, or the system for want of memory, is repeated once
        with tempfile.TemporaryDirectory(dir=folder, prefix="cp2k-") as scratch:
            Path(scratch, "run.inp").write_text(input_file(atoms, **changes))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [*command, "-i", "run.inp"],
                cwd=scratch,
                env=environment,
                capture_output=True,
                text=True,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode == 0 or "SCF run NOT converged" in done.stdout:
            break
    else:
        raise RuntimeError("CP2K stopped: " + (done.stdout + done.stderr)[-1500:])
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return read_output(done.stdout, len(atoms)) | dict(seconds=seconds)


def cached(atoms, folder, **changes) -> dict:
    """As `compute`, but what was computed once is read from `folder`."""
    settings = settings_of(atoms, **changes)
    numbers = np.concatenate(
        [atoms.numbers, atoms.positions.round(6).ravel(), atoms.cell.array.round(6).ravel()]
    )
    key = hashlib.sha256(
        (repr((numbers + 0.0).tolist()) + json.dumps(settings, sort_keys=True)).encode()
    ).hexdigest()[:20]
    path = Path(folder) / f"{key}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        results = compute(atoms, **changes)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(results, default=np.ndarray.tolist))
        part.rename(path)
    results = json.loads(path.read_text())
    return results | {name: np.array(results[name]) for name in ("forces", "stress")}


class CP2K(Calculator):
    """ASE calculator of the protocol; `seconds` is the processor time of all it computed."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, folder, **changes):
        super().__init__()
        self.folder, self.changes, self.seconds = folder, changes, 0.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        results = cached(atoms, self.folder, **self.changes)
        self.seconds += results["seconds"]
        self.results = {name: results[name] for name in ("energy", "forces", "stress")}
        self.results["free_energy"] = results["energy"]

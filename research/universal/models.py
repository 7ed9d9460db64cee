"""Universal potentials: what each is, and how its ASE calculator is made.

A package is imported when its calculator is made: each has an environment of its own (README.md).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ase.calculators.calculator import Calculator


class Model(NamedTuple):
    words: str  # for people
    package: str  # that runs it
    data: str  # what it was trained on
    licence: str  # of its weights
    weights: str  # where they are
    make: Callable[[Path | None], Calculator]  # from a file of weights, or from the package's own


def chgnet(version):
    def make(weights):
        from chgnet.model import CHGNet, CHGNetCalculator

        model = CHGNet.load(model_name=version, use_device="cpu", verbose=False)
        return CHGNetCalculator(model, use_device="cpu")

    return make


def sevennet(name, modal=None):
    def make(weights):
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(name, device="cpu", modal=modal)

    return make


def nequix(weights):
    from nequix.calculator import NequixCalculator

    if weights is None:
        raise ValueError("Nequix's weights are not in its package: give --weights FILE.nqx")
    return NequixCalculator(model_path=str(weights), use_kernel=False)


BSD, HERE = "modified BSD", "in the package {}"
MPTRJ, OAM = "MPtrj", "OMat24, sAlex, MPtrj"
CHG, SEV = ("chgnet", MPTRJ, BSD, "in chgnet 0.4.2"), ("sevenn", MPTRJ, "MIT", "in sevenn 0.13.0")
NEQ = "MIT", "repository atomicarchitects/nequix at 0ffdf88"
MODELS = {
    "chgnet-0.3.0": Model("CHGNet 0.3.0", *CHG, chgnet("0.3.0")),
    "chgnet-0.2.0": Model("CHGNet 0.2.0", *CHG, chgnet("0.2.0")),
    "chgnet-r2scan": Model(
        *("CHGNet r2SCAN", "chgnet", "MPtrj, then MP-r2SCAN", *CHG[2:]), chgnet("r2scan")
    ),
    "7net-0": Model("SevenNet-0", *SEV, sevennet("7net-0")),
    "7net-l3i5": Model("SevenNet-l3i5", *SEV, sevennet("7net-l3i5")),
    "7net-mf-0": Model(
        *("SevenNet-MF-0", "sevenn", "MPtrj, MP-r2SCAN", *SEV[2:]), sevennet("7net-mf-0", "PBE")
    ),
    "nequix-mp-1": Model("Nequix-mp-1", "nequix", MPTRJ, *NEQ, nequix),
    "nequix-mp-1-pft": Model("Nequix-mp-1-pft", "nequix", "MPtrj, phonons", *NEQ, nequix),
    "nequix-oam-1": Model("Nequix-oam-1", "nequix", OAM, *NEQ, nequix),
}

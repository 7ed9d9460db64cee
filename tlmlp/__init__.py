"""tlmlp: transfer learning of machine-learning potentials across chemical elements, a course and its library."""

from . import datasets, dimenet, elements, graph, potential, train
from .chemtrain import from_chemtrain
from .dimenet import Config
from .potential import Errors, Potential
from .train import Progress, Weights, fit

__version__ = "0.1.0"

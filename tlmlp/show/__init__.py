"""What a person sees: figures, and widgets that work in the background while the notebook stays free."""

from .bench import PropertyBench
from .curves import cutoff_table, error_table, freezing, learning_curves, published_table, temperatures, training_curves
from .duel import Duel
from .dynamics import coexistence, conservation, melting, stability_map
from .explorer import TransferExplorer
from .figures import learning_curve, likeness, parity, picture_bases, picture_network, picture_slots
from .live import Live
from .md import LiveMD
from .properties import repair
from .training import Training
from .watch import Watch, watch

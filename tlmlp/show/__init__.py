"""What a person sees: figures, and widgets that work in the background while the notebook stays free."""

from .figures import learning_curve, parity, picture_bases, picture_network, picture_slots
from .live import Live
from .training import Training
from .watch import Watch, watch

"""What the notebooks lean on: is this computer ready, data, precomputed rows, cards, exercises.

Each name is imported when it is first used, so that `course.doctor()` also runs where a package
is missing.
"""

import importlib

_NAMES = {
    "answers": "collect",
    "machine": "doctor memory_limit mode",
    "checks": "Verdict check_bulk_modulus check_constant check_failure_probability check_fewest "
    "check_force check_frequency check_kinetic_energy check_machines check_margin check_share "
    "check_slope check_timestep check_verdicts",
    "transfer_checks": "check_expected_gain check_forgetting check_hurts check_labels check_mask "
    "check_next_structure check_overfitting check_plan check_reduced_forces check_replay "
    "disagreement plan_errors",
    "alchemy_checks": "check_composition check_fraction_slope",
    "similarity": "Outlook outlook",
    "sources": "COURSE SOURCES data melt",
    "results": "rows",
    "runs": "Run",
    "cards": "card verdict",
    "universals": "universal",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted([*_NAMES, "choices", "domains", "family", "race", "stability", *_HOME])


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_HOME.get(name, name)}", __name__)
    return getattr(module, name) if name in _HOME else module


def __dir__():
    return __all__

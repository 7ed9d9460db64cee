"""Training on several devices: the numbers of one, however a batch is divided."""

import json
import os
import subprocess
import sys

import jax
import pytest
from conftest import ROOT
from test_train import TINY, labelled

import tlmlp

# A processor in eight parts, in a process of its own: jax must be told before it starts. Eleven
# structures in batches of eight leave three, and four have no stress.
CODE = """
import json, sys
import jax, numpy as np
import tlmlp
from tlmlp import train
from tlmlp.devices import place
from test_train import TINY, labelled, last, same

frames, all_of = labelled(11), jax.devices()
for k in (0, 3, 4, 9):
    del frames[k].calc.results["stress"]
potential = tlmlp.Potential.create(TINY, ("Si", "Ge"))
weights = train.Weights(1.0, 2.0, 0.5)

def losses_and_gradients(devices):
    start, step = train.make_step(TINY, 0.9, devices)
    state, unravel = start(potential.params)
    out = []
    for example in train._examples(potential, frames, 8, 1, devices):
        whole = place((state, {}), devices)
        after, metrics = step(unravel, *whole, 1e-3, weights, *example)
        out.append((np.array(metrics, float), np.asarray(after.adam.mu) / 0.1))  # of Adam's first
    return out, step._cache_size()

def differences(devices):
    "Relative, of loss and errors, and of the gradient, over full and ragged batch."
    pairs = list(zip(losses_and_gradients(devices)[0], losses_and_gradients(())[0]))
    values = max(abs(a / b - 1).max() for (a, _), (b, _) in pairs)
    norm = np.linalg.norm
    return len(pairs), float(values), max(float(norm(a - b) / norm(b)) for (_, a), (_, b) in pairs)

def fit(**more):
    how = dict(batch_size=8, average=0.9, steps=16, report_every=8, validate_every=8, shapes=1)
    return tlmlp.fit(potential, frames, **how | dict(weights=weights, final_weights=weights) | more)

told = {str(n): differences(tuple(all_of[:n])) for n in (1, 2, 8)}
one = last(fit())
told["one"] = [same(one.potential, last(fit(devices=d)).potential) for d in (1, [all_of[0]])]
next(fit(devices=2, checkpoint=sys.argv[1]))
resumed = last(fit(devices=all_of[3:7], checkpoint=sys.argv[1]))
told["resumed"] = [one.loss, last(fit(devices=4)).loss, resumed.loss, resumed.seconds > 0]
weak = tlmlp.Consistency(100.0, 10.0, 0.2)  # so much that other displacements would show
told["displaced"] = [last(fit(devices=n, consistency=weak)).loss for n in (None, 3)]
told["compiled"] = [train.make_step(TINY, 0.9, tuple(all_of[:n]))[1]._cache_size() for n in (1, 4)]
try:
    next(fit(devices=4, batch_size=3))
except ValueError as error:
    told["words"] = str(error)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    environment = os.environ | dict(XLA_FLAGS="--xla_force_host_platform_device_count=8")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", CODE, str(tmp_path_factory.mktemp("fit") / "a.checkpoint")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("n", [2, 8])
def test_loss_and_gradient_are_those_of_one_device(told, n):
    """To rounding. A mean over devices of their means would weigh stresses wrongly."""
    batches, loss, gradient = told[str(n)]
    assert batches == 2 and loss < 1e-6 and gradient < 1e-6


def test_one_device_is_what_it_was_to_the_last_bit(told):
    assert told["1"] == [2, 0.0, 0.0] and told["one"] == [True, True]


def test_a_training_goes_on_with_other_devices(told):
    one, four, resumed, went_on = told["resumed"]
    assert (
        went_on and four == pytest.approx(one, rel=1e-4) and resumed == pytest.approx(one, rel=1e-4)
    )


def test_displaced_copies_are_those_of_one_device(told):
    """Whatever the shares of a batch, of which some are ragged."""
    one, three = told["displaced"]
    assert three == pytest.approx(one, rel=1e-4)
    assert one > 1.2 * told["resumed"][0]


def test_devices_compile_once_for_a_shape(told):
    assert told["compiled"] == [1, 1]


def test_a_batch_has_a_structure_for_each_device(told):
    assert told["words"] == "batch_size must be at least the number of devices, 4, not 3"


@pytest.mark.parametrize(
    "devices, words",
    [
        *((bad, "devices must be None, a whole") for bad in (0, -1, 1.5, True, "cpu", [], [0])),
        ("twice", "a list of different jax devices of this process, not"),
        (10**6, "jax has 1 devices here, not 1000000; XLA_FLAGS=.* makes 1000000 of a processor"),
    ],
)
def test_what_are_no_devices_is_one_sentence(devices, words):
    potential = tlmlp.Potential.create(TINY, ("Si",))
    devices = jax.devices() * 2 if devices == "twice" else devices
    with pytest.raises(ValueError, match=words):
        next(tlmlp.fit(potential, labelled(2), devices=devices))

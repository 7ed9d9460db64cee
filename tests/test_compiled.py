"""Programs are kept from process to process, compute the same, and are in nobody's way."""

import json
import os
import stat
import subprocess
import sys

import jax
import pytest

from tlmlp import compiled, course

OURS = ("JAX_", "TLMLP_COMPILATION", "XDG_", "TF_CPP")
COUNT = """
import json, os, sys
import jax, jax.numpy as jnp
from jax import monitoring
hits = []
monitoring.register_event_listener(lambda name, **_: hits.append("cache_hits" in name))
"""
# One program of its own, whose result is in `value`.
SMALL = """
from tlmlp import allocator
BEFORE
allocator.prepare()
step = jax.jit(lambda x: jnp.sin(x @ x).sum() + jnp.linspace(0, 1, 7).sum())
value = float(step(jnp.eye(5))).hex()
"""
# The forces of a potential, and a training.
FORCES = """
import tlmlp
from ase.build import bulk
atoms = bulk("Si", cubic=True)
atoms.rattle(0.1, seed=0)
labelled = tlmlp.Potential.load("si-sw-course").predict([atoms])
value = labelled[0].get_forces().tobytes().hex()
"""
TRAINING = """
*_, last = tlmlp.fit(tlmlp.Potential.create("course", ("Si",)), labelled, steps=2)
value = float(last.loss).hex()
"""
SAY = "\nprint(json.dumps([value, sum(hits), jax.config.jax_compilation_cache_dir]))"


def start(code, place, before="", **environment):
    """A process that runs the code, with its programs kept in a place; None: where it chooses."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    own |= dict(JAX_PLATFORMS="cpu", XDG_CACHE_HOME="/dev/null") | environment
    own |= {} if place is None else {compiled.NAME: str(place)}
    command = [sys.executable, "-W", "error::UserWarning", "-c"]
    command.append(COUNT + code.replace("BEFORE", before) + SAY)
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, env=own, **pipes)


def result(process):
    """(value, programs that were read and not compiled, jax's folder, what stderr got)."""
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return *json.loads(out.splitlines()[-1]), said


def run(code, place, before="", **environment):
    return result(start(code, place, before, **environment))


def names(place):
    return sorted(file.name for _, _, file in compiled.entries(place))


@pytest.mark.parametrize("code", [FORCES, pytest.param(FORCES + TRAINING, marks=pytest.mark.long)])
def test_a_kept_program_computes_the_same_to_the_last_bit(tmp_path, code):
    place = tmp_path / "kept"
    off, cold, warm = (run(code, where) for where in ("off", place, place))
    assert off[0] == cold[0] == warm[0]
    assert (off[1], cold[1], warm[1]) == (0, 0, len(names(place))) and warm[1] > 0
    assert off[2] is None and warm[2] == str(place)
    # XLA's two false lines, which it writes where there is AVX-512, are gone.
    assert off[3] == cold[3] == warm[3] == ""
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_the_two_false_lines_are_hidden_and_no_other(tmp_path):
    lines = [
        "E1128 cpu_aot_loader.cc:195] Target machine feature +prefer-no-gather is not  supported",
        "E1128 cpu_aot_loader.cc:195] Target machine feature +avx512f is not  supported, SIGILL",
        "E1128 cpu_aot_loader.cc:195] Target machine feature +prefer-no-scatter is not  supported",
        "W1128 anything else",
    ]
    before = f"""
from jax._src import compilation_cache
def read(*_):
    os.write(2, {chr(10).join(lines)!r}.encode() + b"\\n")
    return None, None
compilation_cache.{compiled.READ} = read
"""
    said = run(SMALL, tmp_path, before)[3].splitlines()
    assert said and set(said) == {lines[1], lines[3]}


def test_two_first_calls_at_once_do_not_wait_for_each_other(tmp_path):
    """Two threads that came first set up two readers, one within the other."""
    twice = "from tlmlp import compiled\nfor _ in range(2):\n    compiled.keep()\n"
    value, hits, *_ = run(twice + SMALL, tmp_path)
    assert hits == 0 and run(twice + SMALL, tmp_path)[0] == value


def test_a_damaged_program_is_compiled_anew(tmp_path):
    value, *_ = run(SMALL, tmp_path)
    whole = names(tmp_path)
    damage = (lambda data: data[:50], lambda data: b"", lambda data: b"no program" * 99)
    for k, name in enumerate(whole):
        file = tmp_path / name
        file.write_bytes(damage[k % 3](file.read_bytes()))
    assert run(SMALL, tmp_path) == (value, 0, str(tmp_path), "")
    assert run(SMALL, tmp_path) == (value, len(whole), str(tmp_path), "") and len(whole) > 2


def test_nothing_breaks_where_nothing_can_be_kept(tmp_path):
    """No home, a folder that others may write, a full disk: here no file may be large."""
    value = run(SMALL, "off")[0]
    assert run(SMALL, None) == (value, 0, None, "")
    (open_to_all := tmp_path / "open").mkdir()
    open_to_all.chmod(0o777)
    assert run(SMALL, open_to_all) == (value, 0, None, "")
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))"
    assert run(SMALL, tmp_path / "full", full) == (value, 0, str(tmp_path / "full"), "")
    assert all(size < 1500 for _, size, _ in compiled.entries(tmp_path / "full"))
    assert run(SMALL, tmp_path / "full")[0] == value


def test_two_processes_share_a_place(tmp_path):
    both = [start(SMALL, tmp_path) for _ in range(2)]
    (value, _, _, one), (other, _, _, two) = map(result, both)
    assert value == other and one == two == ""
    assert run(SMALL, tmp_path)[:2] == (value, len(names(tmp_path)))


def test_programs_for_other_numbers_of_threads_are_others(tmp_path):
    """XLA divides loops for so many threads: what one thread compiled would be slow for sixteen."""
    one = run(SMALL, tmp_path, NPROC="1")
    assert run(SMALL, tmp_path, NPROC="2")[:2] == (one[0], 0)
    assert run(SMALL, tmp_path, NPROC="1")[1] > 0


def test_the_oldest_go_where_there_are_too_many(tmp_path):
    files = [tmp_path / f"jit_f-{k:064x}-cache" for k in range(4)]
    for k, file in enumerate(files):
        file.write_bytes(bytes(100))
        os.utime(file, (k, k))
    (mine := tmp_path / "mine-cache").write_bytes(bytes(1000))
    run(SMALL, tmp_path, "from tlmlp import compiled; compiled.LIMIT = 250")
    assert [file.exists() for file in files] == [False, False, True, True] and mine.exists()


def test_a_program_in_use_is_not_the_oldest(tmp_path):
    run(SMALL, tmp_path)
    for _, _, file in compiled.entries(tmp_path):
        os.utime(file, (1, 1))
    run(SMALL, tmp_path)
    assert all(used > 1 for used, _, _ in compiled.entries(tmp_path))


def test_a_cache_of_the_user_s_own_is_left_alone(tmp_path):
    mine = f"jax.config.update('jax_compilation_cache_dir', {str(tmp_path)!r})"
    assert run(SMALL, tmp_path / "ours", mine)[2] == str(tmp_path)
    theirs = dict(JAX_COMPILATION_CACHE_DIR=str(tmp_path))
    assert run(SMALL, tmp_path / "ours", **theirs)[2] == str(tmp_path)
    assert run(SMALL, tmp_path / "ours", JAX_ENABLE_COMPILATION_CACHE="false")[2] is None
    assert not (tmp_path / "ours").exists()


def test_another_value_gets_a_sentence(tmp_path, monkeypatch):
    (file := tmp_path / "file").touch()
    for said in ("no", "0", "here/compiled", str(file)):
        monkeypatch.setenv(compiled.NAME, said)
        with pytest.raises(ValueError, match="must be off or the full path of a folder, not"):
            compiled.folder()


@pytest.fixture
def no_place():
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_the_doctor_says_where_programs_are(tmp_path, monkeypatch, no_place):
    look = lambda: next(line for line in course.doctor() if line.what == "compiled programs")
    monkeypatch.setenv(compiled.NAME, str(tmp_path))
    (tmp_path / f"jit_f-{0:064x}-cache").write_bytes(bytes(3_000_000))
    assert look()[:3] == ("ok", "compiled programs", f"1 in {tmp_path}, 3 MB")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert look().state == "warn" and "TLMLP_COMPILATION_CACHE" in look().advice
    monkeypatch.setenv(compiled.NAME, "off")
    assert look().found == "not kept: each kernel compiles anew"

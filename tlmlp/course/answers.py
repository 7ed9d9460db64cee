"""Answers of a student: predictions that were locked, tables that were filled in, exercises.

They stand in one file, answers.json, in the folder of the notebooks: a teacher collects it.

    {"name": "...", "notebooks": {"00_start_here": {
        "predictions": {"1": {"question", "said", "is", "right", "at"}},
        "tables": {"1": [["cell", ...], ...]},
        "exercises": {"kinetic_energy": [{"answer", "right", "words", "at"}, ...]}}}}

What a notebook asks is written in questions/, a file for each.
"""

import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

from ..files import write_whole
from ..refusal import is_number, one_of, refuse

QUESTIONS = resources.files("tlmlp") / "course" / "questions"
FILE = "answers.json"
SHORTENED = 200  # characters of an answer that is no number


class Question(NamedTuple):
    """A prediction to choose before something is measured."""

    ask: str
    choices: list[str]
    right: str  # one of the choices
    because: str


class Table(NamedTuple):
    """A table to fill in: the heads of its columns, the first of which names its rows."""

    title: str
    columns: list[str]
    rows: list[str]


class Questions(NamedTuple):
    """What one notebook asks; both are counted from 1."""

    predictions: dict[int, Question]
    tables: dict[int, Table]


def questions(notebook: str) -> Questions:
    """Predictions and tables of a notebook. Raises ValueError for a notebook that has none."""
    asked = sorted(p.name.removesuffix(".toml") for p in QUESTIONS.iterdir())
    one_of("notebook", notebook, asked)
    own = tomllib.loads((QUESTIONS / f"{notebook}.toml").read_text(encoding="utf-8"))
    number = lambda kind, make: {k: make(**x) for k, x in enumerate(own.get(kind, ()), 1)}
    return Questions(number("predictions", Question), number("tables", Table))


class Answers:
    """Answers to one notebook, written to `path` at every change.

    What the file holds of other notebooks is kept. Where it cannot be written, `trouble` says why
    and the answers stay in memory.
    """

    opened: "Answers | None" = None  # of this kernel: exercises are recorded here

    def __init__(self, notebook: str, path: str | Path = FILE) -> None:
        self.notebook, self.path, self.trouble = notebook, Path(path).absolute(), ""
        self.questions = questions(notebook)
        self.whole = self._file()
        Answers.opened = self

    def _file(self) -> dict[str, Any]:
        """What the file holds. A file that is not ours is left alone, and `trouble` says so."""
        self.trouble = ""
        try:
            if self.path.exists():
                return load(self.path)
        except ValueError as error:
            self.trouble = f"Nothing is saved: {error}. Move it away."
        return {"name": "", "notebooks": {}}

    @property
    def own(self) -> dict[str, Any]:
        """The answers to this notebook."""
        empty: dict[str, Any] = dict(predictions={}, tables={}, exercises={})
        return self.whole["notebooks"].setdefault(self.notebook, empty)

    def fresh(self) -> dict[str, Any]:
        """`own`, as the file has it now: another sheet or kernel may have written meanwhile."""
        there = self._file()
        if not self.trouble and self.path.exists():
            self.whole = there
        return self.own

    def sign(self, name: str) -> None:
        """Record the name."""
        self.fresh()
        self.whole["name"] = name
        self._write()

    def _write(self) -> None:
        """Write the file, after `fresh`."""
        if self.trouble:
            return
        try:
            write_whole(self.path, json.dumps(self.whole, indent=1, ensure_ascii=False).encode())
        except OSError as error:
            self.trouble = f"Nothing is saved in this folder: {error.strerror}."

    def said(self, number: int) -> str | None:
        """What was locked for a prediction; None before that, "" where it was skipped."""
        return self.own["predictions"].get(str(number), {}).get("said")

    def lock(self, number: int, said: str) -> None:
        """Record a choice, or "" for none, for good. Raises ValueError where it is no choice."""
        one_of("prediction", number, self.questions.predictions)
        question = self.questions.predictions[number]
        one_of("choice", said, ["", *question.choices])
        own = self.fresh()
        words = f"prediction {number} is locked: {self.said(number)}"
        refuse(self.said(number) is not None, words)
        entry = dict(question=question.ask, said=said, right=said == question.right)
        entry |= {"is": question.right, "at": now()}
        own["predictions"][str(number)] = entry
        self._write()

    def fill(self, number: int, cells: list[list[str]]) -> None:
        """Record the cells of a table, row by row."""
        self.fresh()["tables"][str(number)] = cells
        self._write()

    def exercise(self, name: str, answer: Any, right: bool, words: str) -> None:
        """Record one try at an exercise."""
        tries = self.fresh()["exercises"].setdefault(name, [])
        new = dict(answer=brief(answer), right=right, words=words)
        if not tries or new != {key: tries[-1][key] for key in new}:
            tries.append(new | {"at": now()})
            self._write()


def now() -> str:
    """The time, to the second, as JSON has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def brief(answer: Any) -> Any:
    """A number as JSON has it, anything else in some words."""
    if is_number(answer):
        return int(answer) if isinstance(answer, Integral) else float(answer)
    return (answer if isinstance(answer, str) else repr(answer))[:SHORTENED]


def load(path: str | Path) -> dict[str, Any]:
    """The answers in a file. Raises ValueError where it holds none."""
    try:
        whole = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(whole["name"], str):
            raise ValueError
        for own in whole["notebooks"].values():
            for kind in ("predictions", "tables", "exercises"):
                own.setdefault(kind, {}).items()
        return whole
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise ValueError(f"{path} holds no answers of this course") from None


def collect(folder: str | Path) -> Iterator[dict[str, Any]]:
    """All answers in the JSON files of a folder and below it, a dict for each.

    Keys: file, name, notebook, kind ("prediction", "table" or "exercise"), which, answer, right
    (None for a table), tries. Raises ValueError for a file that holds no answers.
    """
    for path in sorted(Path(folder).rglob("*.json")):
        whole = load(path)
        for notebook, own in sorted(whole["notebooks"].items()):
            row = dict(file=str(path.relative_to(folder)), name=whole["name"], notebook=notebook)
            for which, x in own["predictions"].items():
                rest = dict(which=which, answer=x["said"], right=x["right"], tries=1)
                yield row | dict(kind="prediction") | rest
            for which, cells in own["tables"].items():
                filled = dict(answer=cells, right=None, tries=1)
                yield row | dict(kind="table", which=which) | filled
            for which, tries in own["exercises"].items():
                last = dict(answer=tries[-1]["answer"], right=tries[-1]["right"], tries=len(tries))
                yield row | dict(kind="exercise", which=which) | last

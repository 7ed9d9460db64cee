"""Worksheet: predictions that are chosen and locked before a measurement, and tables to fill in."""

import html
from collections.abc import Callable
from contextlib import suppress

import ipywidgets as widgets

from ...course import machine
from ...course.answers import Answers, Question
from ...refusal import one_of
from .controls import line, sentence, tag, text
from .status import Status

LATER = "Lock your prediction {} above: the answer appears here."
SKIP = "Show the answer without a prediction"


class Sheet(widgets.VBox):
    """A part of a worksheet; where no kernel runs, `static` (HTML) stands in its place."""

    def __init__(self, children, static):
        super().__init__(children)
        self.static = static
        self.add_class("tlmlp")  # for a Status among them: it names fields, and says the end

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return data | {"text/html": self.static}


class Worksheet:
    """The worksheet of one notebook. It saves each answer, to answers.json beside the notebook.

        sheet = show.Worksheet("01_silicon")
        sheet.predict(1, 2, 3)  # last in a cell: questions, with a button that locks the choice
        sheet.answer(1, 2)      # in the cell that measures: "you said", "it is"; hidden until then
        sheet.table(1)          # a table to fill in

    The first part that is shown has a line for the name, and says where memory is short. A new
    kernel finds what was locked before. Raises ValueError for a notebook without questions.
    """

    def __init__(self, notebook: str, path: str = "answers.json") -> None:
        self.answers = Answers(notebook, path)
        self._watching: dict[int, list[Callable[[], None]]] = {}  # what shows it; 0: any
        look = dict(placeholder="your name", description="Name", continuous_update=False)
        self._name = widgets.Text(self.answers.whole["name"], **look)
        self._saved, self._headed = text(), False
        self._name.observe(lambda _: self._save(self.answers.sign, self._name.value), "value")

    def predict(self, *numbers: int) -> Sheet:
        """Questions of these predictions, with one button that locks all that have a choice."""
        asked = {k: self._question(k) for k in numbers}
        rows = [_Choice(k, question, self.answers.said(k)) for k, question in asked.items()]
        button = widgets.Button(description="Lock", icon="lock", button_style="primary")
        button.tooltip = "Lock my choice: the answers appear where they are measured"
        said, parts = Status(), [row.box for row in rows]

        def refresh(*_):
            open_rows = [row for row in rows if not row.locked]
            button.disabled = not any(row.choice.value for row in open_rows)
            words = f"Choose before you go on ({len(open_rows)} open), then press Lock."
            said.value = sentence(words if open_rows else "Locked. The answers are further below.")

        def lock(_):
            for row in rows:
                if row.choice.value and not row.locked:
                    self._lock(row.number, row.choice.value)

        for row in rows:
            row.choice.observe(refresh, "value")
            show = lambda row=row: row.show(self.answers.said(row.number))
            self._watching.setdefault(row.number, []).append(show)
        self._watching.setdefault(0, []).append(refresh)
        button.on_click(lock)
        refresh()
        static = "".join(_asked(k, question) for k, question in asked.items())
        return Sheet([*self._head(), *parts, line(button, said)], static)

    def answer(self, *numbers: int, found: str = "") -> Sheet:
        """What was said and what is so, of predictions that are locked.

        found: what the notebook has just measured, in words; it is shown beside the answer.
        """
        parts, static = [], ""
        for k in numbers:
            question = self._question(k)
            skip = widgets.Button(description=SKIP, layout={"width": "max-content"})
            words = Status()
            skip.on_click(lambda _, k=k: self._lock(k, ""))

            def show(k=k, question=question, words=words, skip=skip):
                said = self.answers.said(k)
                skip.layout.display = "none" if said is not None else ""
                later = sentence(LATER.format(k))
                words.value = later if said is None else _told(k, question, said, found)

            show()
            self._watching.setdefault(k, []).append(show)
            parts.append(widgets.VBox([words, skip]))
            told = _told(k, question, None, found)
            static += f"<details><summary>Answer to prediction {k}</summary>{told}</details>"
        return Sheet(parts, static)

    def table(self, number: int) -> Sheet:
        """A table of tasks to fill in; each cell is saved when it is left."""
        one_of("table", number, self.answers.questions.tables)
        asked = self.answers.questions.tables[number]
        before = self.answers.own["tables"].get(str(number), [])
        blank = lambda: widgets.Text(continuous_update=False, layout={"width": "120px"})
        cells = [[blank() for _ in asked.columns[1:]] for _ in asked.rows]
        for k, (row, name) in enumerate(zip(cells, asked.rows)):
            for j, (cell, column) in enumerate(zip(row, asked.columns[1:])):
                cell.tooltip = f"{name}: {column}"
                cell.value = before[k][j] if k < len(before) and j < len(before[k]) else ""
        filled = lambda: [[cell.value for cell in row] for row in cells]
        save = lambda _: self._save(self.answers.fill, number, filled())
        for cell in sum(cells, []):
            cell.observe(save, "value")
        head = [text(tag("b", html.escape(column))) for column in asked.columns]
        rows = [[text(html.escape(name)), *row] for name, row in zip(asked.rows, cells)]
        columns = f"minmax(90px, max-content) repeat({len(asked.columns) - 1}, 128px)"
        layout = widgets.Layout(grid_template_columns=columns, align_items="center")
        grid = widgets.GridBox(sum([head, *rows], []), layout=layout)
        static = "".join(f"<th>{html.escape(column)}</th>" for column in asked.columns)
        empty = "<td></td>" * (len(asked.columns) - 1)
        body = "".join(f"<tr><td>{html.escape(name)}</td>{empty}</tr>" for name in asked.rows)
        static = f"<table class='worksheet'><tr>{static}</tr>{body}</table>"
        static = f"<p>{html.escape(asked.title)}</p>{static}"
        return Sheet([*self._head(), Status(value=sentence(asked.title)), grid], static)

    def lock(self, choices: dict[int, str]) -> None:
        """Lock predictions, {number: one of its choices, or "" to skip it}.

        Raises ValueError for another choice, and where one is locked already.
        """
        for number, choice in choices.items():
            self.answers.lock(number, choice)
            self._show(number)

    def _lock(self, number, choice):
        """The same by a button; what another copy of the page has locked is shown as it is."""
        with suppress(ValueError):
            self.answers.lock(number, choice)
        self._show(number)

    def _show(self, number):
        for show in (*self._watching.get(number, ()), *self._watching.get(0, ())):
            show()
        self._tell()

    def _question(self, number):
        one_of("prediction", number, self.answers.questions.predictions)
        return self.answers.questions.predictions[number]

    def _head(self):
        """The line on top of the first part: the name, where answers go, and short memory."""
        if self._headed:
            return []
        self._headed = True
        self._tell()
        memory = machine.memory()
        words = f"{memory.found}. {memory.advice}"
        short = [text(sentence(words, "warn"))] if memory.advice else []
        return [*short, line(self._name, self._saved)]

    def _save(self, record, *what):
        record(*what)
        self._tell()

    def _tell(self):
        trouble = self.answers.trouble
        fine = f"Answers are saved to {self.answers.path.name}, beside this notebook."
        self._saved.value = sentence(trouble or fine, "error" if trouble else "note")


class _Choice:
    """One question with its choices; `box` shows it."""

    def __init__(self, number: int, question: Question, said: str | None):
        self.number, self.locked = number, said is not None
        words = text(f"<b>{number}.</b> {html.escape(question.ask)}")
        look = dict(orientation="horizontal", disabled=self.locked, tooltip=question.ask)
        look |= dict(layout={"width": "auto"})  # ipywidgets' 300 px cut long choices off
        value = said if said in question.choices else None
        self.choice = widgets.RadioButtons(options=question.choices, value=value, **look)
        self.box = widgets.VBox([words, self.choice])

    def show(self, said: str):
        """Locked from now on, with what was said; "" leaves all choices open circles."""
        self.choice.value = said or None
        self.locked = self.choice.disabled = True


def _asked(number, question):
    choices = "".join(f"<li>{html.escape(choice)}</li>" for choice in question.choices)
    return f"<p><b>{number}.</b> {html.escape(question.ask)}</p><ul>{choices}</ul>"


def _told(number, question, said, found):
    """The answer in HTML; said: None or "" where nothing was chosen."""
    right = said == question.right
    verdict = " ✓" if right else " ✗"
    you = f"You said: <b>{html.escape(said)}</b>{verdict}. " if said else ""
    measured = f" Measured here: {html.escape(found)}." if found else ""
    words = f"<b>{number}.</b> {you}It is: <b>{html.escape(question.right)}</b>.{measured} "
    return tag("div", words + html.escape(question.because), line_height=1.5, padding="4px 0")

"""Worksheets: a prediction is locked before its answer is seen, and every answer is saved."""

import json
import re

import browser
import nbformat
import pytest
from conftest import ROOT

from tlmlp import course, show
from tlmlp.course import answers, machine

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def sheet(tmp_path):
    yield show.Worksheet("00_start_here", tmp_path / "answers.json")
    answers.Answers.opened = None


def texts(sheet):
    """All words of a widget."""
    own = getattr(sheet, "value", "")
    own = own if isinstance(own, str) else ""
    return " ".join([own, *map(texts, getattr(sheet, "children", ()))])


def saved(sheet):
    return json.loads(sheet.answers.path.read_text())["notebooks"]["00_start_here"]


def test_an_answer_is_seen_only_after_a_prediction_is_locked(sheet):
    asked, told = sheet.predict(1, 2), sheet.answer(1, found="0.1 Å")
    radio, lock = asked.children[1].children[1], asked.children[-1].children[0]
    assert lock.disabled and "0.1 Å" not in texts(told) and "Lock your prediction 1" in texts(told)
    radio.value = "a third"
    lock.click()
    words = texts(told)
    assert radio.disabled and "You said: <b>a third</b> ✗" in words
    assert "It is: <b>a twentieth</b>" in words and "Measured here: 0.1 Å" in words
    entry = saved(sheet)["predictions"]["1"]
    assert (entry["said"], entry["is"], entry["right"]) == ("a third", "a twentieth", False)
    assert "2" not in saved(sheet)["predictions"] and "1 open" in texts(asked)
    with pytest.raises(ValueError, match="prediction 1 is locked: a third"):
        sheet.lock({1: "a twentieth"})


def test_a_reader_may_skip_a_prediction(sheet):
    told = sheet.answer(3)
    told.children[0].children[1].click()
    assert "It is: <b>it rises</b>" in texts(told) and "You said" not in texts(told)
    assert saved(sheet)["predictions"]["3"]["said"] == ""


def test_a_page_shows_what_another_has_locked(sheet):
    """The first cell was run again, and locked there: Lock and Show still do something here."""
    asked, told = sheet.predict(1, 2), sheet.answer(1, 3)
    other = show.Worksheet("00_start_here", sheet.answers.path)
    other.lock({1: "a third", 3: ""})
    radio, lock = asked.children[1].children[1], asked.children[-1].children[0]
    radio.value = "a twentieth"
    lock.click()
    assert radio.disabled and radio.value == "a third" and "1 open" in texts(asked)
    told.children[1].children[1].click()
    assert "You said: <b>a third</b>" in texts(told) and "It is: <b>it rises</b>" in texts(told)


def test_a_new_kernel_finds_what_was_answered(sheet, tmp_path):
    sheet.lock({1: "a twentieth"})
    table = sheet.table(1)
    table.children[-1].children[6].value = "-4.33"
    again = show.Worksheet("00_start_here", tmp_path / "answers.json")
    assert again.predict(1).children[1].children[1].disabled  # below the head
    assert "You said: <b>a twentieth</b> ✓" in texts(again.answer(1))
    assert "-4.33" in texts(again.table(1))
    assert saved(sheet)["tables"]["1"] == [["-4.33", "", "", ""], [""] * 4]


def test_notebooks_share_one_file(tmp_path):
    """Two kernels are open at once: neither loses what the other has written."""
    first, second = (answers.Answers(name, tmp_path / "a.json") for name in NOTEBOOKS[:2])
    first.sign("Ada")
    second.exercise("force", 1.5, True, "")
    first.lock(1, "a third")
    whole = answers.load(tmp_path / "a.json")
    assert whole["name"] == "Ada" and set(whole["notebooks"]) == set(NOTEBOOKS[:2])
    answers.Answers.opened = None


def test_exercises_are_recorded_where_a_worksheet_is_open(sheet):
    for answer in (..., None, 38.8, 38.8, "big", 0.0388):
        course.check_kinetic_energy(answer, 300)
    tries = saved(sheet)["exercises"]["kinetic_energy"]
    assert [(x["answer"], x["right"]) for x in tries] == [
        (38.8, False),
        ("big", False),
        (0.0388, True),
    ]
    answers.Answers.opened = None
    assert course.check_kinetic_energy(0.0387, 300)
    assert len(saved(sheet)["exercises"]["kinetic_energy"]) == 3


def test_a_teacher_collects_the_files(sheet, tmp_path):
    sheet.lock({1: "a third"})
    sheet._name.value = "Grace"
    course.check_kinetic_energy(38.8, 300)
    sheet.table(1).children[-1].children[6].value = "-4.3"
    rows = list(course.collect(tmp_path))
    assert {row["name"] for row in rows} == {"Grace"}
    assert [(row["kind"], row["which"], row["right"]) for row in rows] == [
        ("prediction", "1", False),
        ("table", "1", None),
        ("exercise", "kinetic_energy", False),
    ]
    (tmp_path / "other.json").write_text('{"runs": []}')
    with pytest.raises(ValueError, match="other.json holds no answers of this course"):
        list(course.collect(tmp_path))


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text("[1, 2]")
    sheet = show.Worksheet("00_start_here", path)
    sheet.lock({1: "a third"})
    assert path.read_text() == "[1, 2]" and "Nothing is saved" in texts(sheet.predict(2))
    answers.Answers.opened = None


def test_a_folder_that_cannot_be_written(sheet, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    asked = sheet.predict(1)
    monkeypatch.setattr(answers, "write_whole", refuse)
    sheet.lock({1: "a third"})
    assert "Nothing is saved in this folder: Permission denied" in texts(asked)
    assert "You said: <b>a third</b>" in texts(sheet.answer(1))


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda sheet: sheet.predict(9), "prediction must be one of 1, 2, 3, not 9"),
        (lambda sheet: sheet.table(2), "table must be one of 1, not 2"),
        (lambda sheet: sheet.lock({1: "often"}), "choice must be one of"),
        (lambda sheet: show.Worksheet("nowhere"), "notebook must be one of 00_start_here"),
    ],
)
def test_what_is_not_asked_is_refused(sheet, wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong(sheet)


def test_short_memory_is_said_above_the_questions(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "memory_limit", lambda: 2.0)
    monkeypatch.setattr(machine, "_other_kernels", lambda: (2, 1.4))
    sheet = show.Worksheet("00_start_here", tmp_path / "answers.json")
    words = texts(sheet.predict(1))
    assert "2 other kernels hold 1.4 GB" in words and "Shut Down All" in words
    assert "Shut Down All" not in texts(sheet.predict(2))  # once
    answers.Answers.opened = None


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_question_is_asked_and_answered(name):
    """What a notebook shows is what its questions have, each with a sentence that explains."""
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert f'show.Worksheet("{name}")' in code
    asked = answers.questions(name)

    def numbers(method):
        calls = re.findall(rf"sheet\.{method}\(([\d, ]+)", code)
        return sorted(int(k) for call in calls for k in call.split(",") if k.strip())

    assert numbers("predict") == numbers("answer") == sorted(asked.predictions)
    assert numbers("table") == sorted(asked.tables)
    assert len(asked.predictions) >= 1
    for question in asked.predictions.values():
        assert question.right in question.choices and 2 <= len(question.choices) <= 5
        assert len(set(question.choices)) == len(question.choices)
        assert question.because.endswith(".")
    for table in asked.tables.values():
        assert 2 <= len(table.columns) <= 6 and 1 <= len(table.rows) <= 6


@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium on the PATH")
def test_a_worksheet_in_the_hands_of_a_learner(tmp_path):
    """Choose, lock, see the answer; another kernel finds both."""
    cells = (
        "from tlmlp import show\nsheet = show.Worksheet('00_start_here')\nsheet.predict(1, 3)",
        "display(sheet.table(1), sheet.answer(1, found='0.1 Å'))",
    )
    with browser.lab(browser.notebook(tmp_path, *cells)) as url, browser.page() as page:
        browser.open_notebook(page, url("live.ipynb"))
        browser.run_all(page)
        browser.wait_idle(page)
        said = page.get_by_text("You said: a third")
        page.get_by_label("a third").check()
        assert not said.is_visible()
        page.locator(".widget-button").filter(has_text="Lock").click()
        said.wait_for()
        cell = page.locator(".widget-text input").nth(1)
        cell.fill("-4.33")
        cell.press("Tab")
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Restart Kernel and Run All Cells…").click()
        page.get_by_role("button", name="Confirm Kernel Restart").click()
        page.wait_for_timeout(500)
        browser.wait_idle(page)
        said.wait_for()
        assert page.locator(".widget-text input").nth(1).input_value() == "-4.33"
        assert page.get_by_label("a third").is_disabled()
        assert browser.errors(page) == []


def test_an_older_sheet_of_the_same_notebook_loses_nothing(tmp_path):
    """The cell was run again, or the notebook is open in two kernels."""
    old, new = (answers.Answers("00_start_here", tmp_path / "a.json") for _ in range(2))
    old.sign("Ada")
    new.lock(1, "a third")
    new.exercise("kinetic_energy", 38.8, False, "meV")
    old.fill(1, [["-4.3"]])
    with pytest.raises(ValueError, match="prediction 1 is locked: a third"):
        old.lock(1, "a twentieth")
    own = answers.load(tmp_path / "a.json")["notebooks"]["00_start_here"]
    assert own["predictions"]["1"]["said"] == "a third" and own["tables"] == {"1": [["-4.3"]]}
    assert len(own["exercises"]["kinetic_energy"]) == 1
    new.exercise("kinetic_energy", 38.8, True, "another measurement")  # judged otherwise: a new try
    own = answers.load(tmp_path / "a.json")["notebooks"]["00_start_here"]
    assert [x["right"] for x in own["exercises"]["kinetic_energy"]] == [False, True]
    answers.Answers.opened = None


@pytest.mark.parametrize(
    "text", ['{"name": null, "notebooks": {}}', '{"name": "", "notebooks": []}']
)
def test_damaged_answers_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="holds no answers"):
        answers.load(tmp_path / "a.json")

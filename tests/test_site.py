"""The site, its links, the badges, the solved notebooks: what is made of the course's own files."""

import json
import os
import re
import shutil
import subprocess
import sys
import types
from html.parser import HTMLParser
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

import tlmlp
from tlmlp.course.answers import Answers

sys.path.insert(0, str(ROOT / "docs"))
import address
import build
import pictures
import solve

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "site").glob("*.md"))


class Page(HTMLParser):
    """Links, anchors and pictures of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.unnamed = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        self.anchors |= {own[key] for key in ("id", "name") if own.get(key)}
        self.links += [own[key] for key in ("href", "src") if own.get(key)]
        if tag == "img" and not own.get("alt"):
            self.unnamed.append(own.get("src"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, without a run of its notebooks, built by the command."""
    pytest.importorskip("myst_nb", reason="pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_PLATFORMS="cpu")
    command = [sys.executable, "docs/build.py", "site", str(folder), "--no-run"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder


def test_every_link_of_the_site_leads_somewhere(site):
    """Pages, anchors, pictures and the API reference; links to other sites are CI's."""
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path) for path in found}
    assert {"index.html", "slides/index.html", "api/tlmlp/potential.html"} <= {
        path.relative_to(site).as_posix() for path in pages
    }
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link) or link == "#":
                continue
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            # pdoc lists attributes of other packages' classes, and does not show them
            free = target not in pages or not anchor or "api" in target.parts
            named = free or anchor in pages[target].anchors
            if not target.is_file() or not named:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_every_notebook_has_its_page_and_every_picture_its_words(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert f"notebooks/{path.stem}.html" in home
        assert (site / "docs" / "solutions" / f"{path.stem}.html").is_file()
    for path in [*site.glob("*.html"), *site.glob("docs/*.html"), *site.glob("slides/*.html")]:
        assert Page(path).unnamed == [], path.name


def test_the_slides_are_ten_and_their_numbers_are_results(site):
    text = (site / "slides" / "index.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<h1>", text)) == 10 and "{" not in re.sub(
        r"<(script|style).*?</\1>", "", text, flags=re.DOTALL
    )
    quoted = re.findall(r"\d+ ± \d+", (ROOT / "docs" / "site" / "slides.md").read_text())
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert quoted and all(number in results for number in quoted)


def test_a_page_shows_a_picture_in_the_place_of_a_widget():
    output = lambda plain: nbformat.v4.new_output(
        "execute_result", {build.WIDGET: {}, "text/plain": plain}
    )
    outputs = [output(plain) for plain in ("Duel(children=())", "Dropdown()", "")]
    cell = nbformat.v4.new_code_cell("duel", outputs=outputs)
    shown = build.pictured(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    duel, other = (o.data["text/html"] for o in shown)
    assert "Duel.webp" in duel and "Germanium atoms" in duel and "JupyterLab" in duel
    assert "<img" not in other and "JupyterLab" in other


def test_a_page_shows_the_questions_of_a_worksheet(tmp_path):
    asked = tlmlp.show.Worksheet("00_start_here", tmp_path / "a.json").predict(1)
    Answers.opened = None
    output = nbformat.v4.new_output("execute_result", asked._repr_mimebundle_())
    cell = nbformat.v4.new_code_cell("sheet.predict(1)", outputs=[output])
    (shown,) = build.pictured(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert build.WIDGET not in shown.data and "How far do atoms swing" in shown.data["text/html"]


def test_every_widget_has_a_small_picture():
    shown = [getattr(tlmlp.show, name) for name in tlmlp.show.__all__]
    widgets = {widget.__name__ for widget in shown if isinstance(widget, type)}
    assert set(pictures.PICTURES) == widgets - {
        "Live",
        "Worksheet",
    }  # one is what others are made of, one has words
    files = {path.stem: path.stat().st_size for path in pictures.FOLDER.iterdir()}
    assert set(files) == set(pictures.PICTURES) and max(files.values()) < 200_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_solved_notebook_is_up_to_date(path):
    made = solve.solved(nbformat.read(path, as_version=4), path.stem)
    kept = nbformat.read(solve.FOLDER / path.name, as_version=4)
    assert kept == made, "run: python docs/build.py solutions"
    text = "\n\n".join(c.source for c in made.cells if c.cell_type == "markdown")
    assert len(text) <= 6000, f"{path.stem} solved has {len(text)} characters of text"
    assert len([*solve.FOLDER.glob("*.ipynb")]) == len(NOTEBOOKS)


def test_a_solution_takes_the_place_of_the_dots():
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    fold = "<details><summary>Solution</summary>\n\n```python\na = 1\nb = 2\n```\n</details>"
    asked = code("x = y[..., 0]\na = ...  # eV\nb = ...\ncheck(a, b)")
    notebook = nbformat.v4.new_notebook(cells=[text("# T\n[x](../docs/a.md)"), asked, text(fold)])
    made = solve.solved(notebook, "00_t").cells
    assert made[1].source == "x = y[..., 0]\na = 1\nb = 2\ncheck(a, b)"
    assert "](../a.md)" in made[0].source and "# 00 solved: T" in made[0].source
    with pytest.raises(ValueError, match="no folded solution gives a"):
        solve.solved(nbformat.v4.new_notebook(cells=notebook.cells[:2]), "00_t")


def test_the_address_stands_in_pyproject_and_is_the_same_everywhere(tmp_path):
    assert address.named() == address.ADDRESS
    for path in PAGES:  # badges and links that name a repository of GitHub's name this one
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"(?:/v2/gh|google\.com/github|codespaces\.new)/([\w.-]+/[\w.-]+)", text)
        assert set(found) <= {"/".join(address.slug(address.ADDRESS))}, path.name
    copy = tmp_path / "copy"
    for path in [*PAGES, ROOT / "CITATION.cff", *NOTEBOOKS]:
        (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    assert address.rename(copy) == []
    new = "https://github.com/Some-One/else.where"
    names = {path.name for path in address.rename(copy, new)}
    assert {"README.md", "CITATION.cff", "index.md", "licence.md", "online.md"} <= names
    left = "\n".join(path.read_text() for path in copy.rglob("*") if path.is_file())
    assert "/".join(address.slug(address.ADDRESS)) not in left and address.pages() not in left
    assert address.pages(new) == "https://some-one.github.io/else.where" in left
    assert address.named(copy) == new


def test_codespaces_installs_as_the_readme_does():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    steps = f"{container['postCreateCommand']} && {container['postAttachCommand']}"
    assert f"    {steps.replace(' --no-browser', '')}\n" in (ROOT / "README.md").read_text()


def test_licence_and_citation_agree_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == tlmlp.__version__
    assert " AND ".join(citation["license"]) == address.PROJECT["license"]
    assert f"version {tlmlp.__version__}," in (ROOT / "docs" / "licence.md").read_text()


def test_the_foot_of_a_notebook_names_this_version():
    for path in NOTEBOOKS:
        last = nbformat.read(path, as_version=4).cells[-1].source
        foot = re.search(r"^\*tlmlp (\S+) · .*\]\(\.\./docs/licence\.md\)\*$", last, re.MULTILINE)
        assert foot and foot[1] == tlmlp.__version__ and len(foot[0]) <= 200, path.name


def test_colab_is_given_all_but_its_own_jupyter():
    """The lines of the cell that choose what to install, as they stand on the page."""
    text = (ROOT / "docs" / "online.md").read_text(encoding="utf-8")
    (cell,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    lines = [
        line for line in cell.splitlines() if line.startswith(("import ", "colabs_own", "needed"))
    ]
    space = {}
    exec("\n".join(lines), space)
    given = {Requirement(line).name for line in space["needed"]}
    ours = {Requirement(line).name for line in address.PROJECT["dependencies"]}
    assert ours - given == {"jupyterlab", "ipykernel", "ipywidgets", "nglview"} and given < ours


def test_atoms_are_drawn_on_the_canvas_on_colab(monkeypatch):
    from tlmlp.show.widgets.viewer import Canvas

    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    live = tlmlp.show.LiveMD("Stillinger-Weber")
    assert live.viewer_menu.value == "canvas" and isinstance(live.views[0].widget, Canvas)
    monkeypatch.delitem(sys.modules, "google.colab")
    assert tlmlp.show.LiveMD("Stillinger-Weber").viewer_menu.value == "nglview"


def test_one_worker_has_all_tests_of_a_file(request):
    """Two workers that build the site at once would overwrite each other's files."""
    if request.config.getoption("loadgroup", False):  # a worker of xdist
        assert request.node.nodeid.endswith("@test_site")

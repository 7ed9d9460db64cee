"""The site, the solutions, and the links: all that is made of the course's own files.

    pip install -e ".[docs]"
    python docs/build.py site [FOLDER]            HTML pages [site], with notebooks as they have run
    python docs/build.py site [FOLDER] --no-run   with notebooks that have not run
    python docs/build.py solutions [FOLDER]       solved notebooks [docs/solutions]
    python docs/build.py links                    pyproject's address into all files that name it

A build asks nothing of the network. A notebook that has run is kept in build/notebooks until it or
the package changes.
"""

import argparse
import hashlib
import html
import os
import pkgutil
import re
import shutil
import warnings
from pathlib import Path

import nbformat

import address
import pictures
import solve

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, DOCS, BUILD = ROOT / "notebooks", ROOT / "docs", ROOT / "build"
CLASS_PATH, IN_DEPTH = "[0-9][0-9]_*.ipynb", "[0-9][0-9][a-z]_*.ipynb"
HANGS = 1800  # s in one cell
WIDGET = "application/vnd.jupyter.widget-view+json"
OPEN = "Open this notebook in JupyterLab to use it."


def goals(path):
    """(title, what one can do afterwards) of a notebook, in Markdown."""
    title, _, rest = nbformat.read(path, as_version=4).cells[0].source.partition("\n")
    found = re.findall(r"^- (.+)$", rest.partition("you can")[2], re.MULTILINE)
    return title.lstrip("# ").removeprefix("In depth: "), [
        goal.replace("**", "").rstrip(".") for goal in found[:3]
    ]


def table(pattern):
    """A table of the notebooks whose names are like this, with what each is for."""
    rows = ["| | notebook | afterwards you can |", "|---|---|---|"]
    for path in sorted(NOTEBOOKS.glob(pattern)):
        title, can = goals(path)
        number = path.stem.partition("_")[0]
        rows.append(f"| **{number}** | [{title}](notebooks/{path.name}) | {'; '.join(can)} |")
    return "\n".join(rows)


def executed(path):
    """The notebook [NotebookNode] as it has run with what a Binder has."""
    from nbclient import NotebookClient

    kept = BUILD / "notebooks"
    (kept / "work").mkdir(parents=True, exist_ok=True)
    code = sorted(p for p in (ROOT / "tlmlp").rglob("*.*") if p.suffix != ".pyc" and p.is_file())
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in [path, *code])).hexdigest()[:16]
    run = kept / f"{path.stem}-{digest}.ipynb"
    if not run.exists():
        print(f"running {path.name}", flush=True)
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": str(kept / "work")}}
        NotebookClient(notebook, timeout=HANGS, kernel_name="python3", resources=where).execute()
        for old in kept.glob(f"{path.stem}-*.ipynb"):
            old.unlink()
        nbformat.write(notebook, run)
    return nbformat.read(run, as_version=4)


def pictured(notebook):
    """The notebook, with a picture where an output is a widget, which no page can show."""
    notebook.metadata.pop("widgets", None)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs = [o for o in map(_pictured, cell.outputs) if o is not None]
    return notebook


def _pictured(output):
    if WIDGET not in output.get("data", {}):
        return output
    if "text/html" in output.data:  # a worksheet says in words what it asks
        del output.data[WIDGET]
        return output
    name = output.data.get("text/plain", "").partition("(")[0]
    if not name:  # nglview's own, which shows nothing anywhere
        return None
    shown = f"<figcaption>A widget. {OPEN}</figcaption>"
    if name in pictures.PICTURES:
        alt = html.escape(pictures.PICTURES[name].alt)
        image = f'<img src="../_static/{name}.webp" alt="{alt}">'
        shown = f"{image}<figcaption>A picture of the widget. {OPEN}</figcaption>"
    output.data = {"text/html": f'<figure class="widget">{shown}</figure>'}
    return output


def sources(folder, run=True):
    """Lay out what Sphinx reads, as the repository is laid out: links between files stay right."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("*.py", "site", "__py*"))
    home = (DOCS / "site" / "index.md").read_text(encoding="utf-8")
    home = home.replace("{class path}", table(CLASS_PATH)).replace("{in depth}", table(IN_DEPTH))
    (folder / "index.md").write_text(home, encoding="utf-8")
    shutil.copy(DOCS / "site" / "api.md", folder / "docs")
    (folder / "notebooks").mkdir()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = executed(path) if run else nbformat.read(path, as_version=4)
        first, number = notebook.cells[0], path.stem.partition("_")[0]
        first.source = first.source.replace("# ", f"# {number} · ", 1)  # as the sidebar shows it
        nbformat.write(pictured(notebook), folder / "notebooks" / path.name)


def sphinx(*arguments):
    """Run Sphinx, for which a warning is an error."""
    from sphinx.cmd.build import main

    if main(["-q", "-W", "--keep-going", "-E", *map(str, arguments)]):
        raise SystemExit("Sphinx has found the faults above.")


def site(folder, run=True, builder="html"):
    """Build all pages into a folder: the course, slides, and the API reference."""
    os.environ.setdefault("TLMLP_MODE", "binder")
    folder, laid = Path(folder).resolve(), BUILD / "site"
    sources(laid, run)
    sphinx("-b", builder, "-c", DOCS / "site", "-d", BUILD / "doctrees", laid, folder)
    if builder == "html":
        slides(folder / "slides")
        reference(folder / "api")


def slides(folder):
    """The slides, with figures that are drawn now."""
    import figures

    laid = BUILD / "slides"
    shutil.rmtree(laid, ignore_errors=True)
    shutil.copytree(DOCS / "pictures", laid / "pictures")
    text = (DOCS / "site" / "slides.md").read_text(encoding="utf-8")
    for word, count in figures.verdicts().items():
        text = text.replace(f"{{{word}}}", str(count))
    (laid / "index.md").write_text(text, encoding="utf-8")
    figures.draw(laid / "figures")
    sphinx("-b", "revealjs", "-c", DOCS / "site", "-d", laid / "doctrees", laid, folder)


def reference(folder):
    """The API reference, from the docstrings."""
    import pdoc

    import tlmlp

    # pdoc does not ask a lazy __getattr__: the package shows its modules, some their names
    tlmlp.__all__ = [module.name for module in pkgutil.iter_modules(tlmlp.__path__)]
    for module in (tlmlp.course, tlmlp.show, tlmlp.simulate):
        vars(module).update({name: getattr(module, name) for name in module.__all__})
    look = dict(footer_text=f"tlmlp {tlmlp.__version__}", template_directory=DOCS / "site" / "pdoc")
    pdoc.render.configure(docformat="google", math=True, **look)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # pdoc warns of what it cannot import
        warnings.filterwarnings(
            "ignore", "Error parsing type annotation"
        )  # a class that names itself
        pdoc.pdoc("tlmlp", "!tlmlp.cli", output_directory=folder)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("site", "linkcheck", "solutions", "links"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--no-run", action="store_true", help="notebooks as they are committed")
    asked = parser.parse_args()
    if asked.what == "links":
        print(*address.rename(), sep="\n")
    elif asked.what == "solutions":
        solve.write(asked.folder or solve.FOLDER)
    elif asked.what == "linkcheck":
        site(asked.folder or BUILD / "linkcheck", False, "linkcheck")
    else:
        site(asked.folder or ROOT / "site", not asked.no_run)


if __name__ == "__main__":
    main()

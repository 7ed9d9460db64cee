"""The repository's address stands in pyproject.toml; this writes it into all files that name it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMED = (
    "README.md",
    "CITATION.cff",
    "docs/*.md",
    "docs/site/*.md",
    "notebooks/*.ipynb",
    "docs/solutions/*.ipynb",
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]


def slug(address):
    """(owner, repository) of an address on GitHub."""
    return re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+)", address).groups()


def pages(address=ADDRESS):
    """The address of the site, which GitHub Pages derives from that of the repository."""
    owner, name = slug(address)
    return f"https://{owner.lower()}.github.io/{name}"


def named(root=ROOT):
    """The address that the files name at present: CITATION.cff has it."""
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    return re.search(r"^repository-code: (\S+)$", text, re.MULTILINE)[1]


def rename(root=ROOT, new=ADDRESS):
    """Write the new address into all files that name another. Returns their paths."""
    old, changed = named(root), []
    for path in sorted(path for pattern in NAMED for path in root.glob(pattern)):
        text = path.read_text(encoding="utf-8")
        moved = text.replace(pages(old), pages(new))
        moved = moved.replace("/".join(slug(old)), "/".join(slug(new)))
        if moved != text:
            path.write_text(moved, encoding="utf-8")
            changed.append(path)
    return changed

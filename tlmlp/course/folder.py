"""The course in a folder of the learner's: notebooks and the pages that they link to.

They travel in the wheel beside the package's files; in a checkout they are those of the repository.
"""

import filecmp
import json
import shutil
from pathlib import Path

from ..files import expanded

PACKAGE = Path(__file__).parents[1]
PARTS = {"notebooks": "*.ipynb", "docs": "*.md"}


def titles() -> dict[str, str]:
    """{name of a notebook: its title}, in their order."""
    out = {}
    for path in sorted((_source() / "notebooks").glob("*.ipynb")):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        out[path.stem] = first.splitlines()[0].lstrip("# ")
    return out


def lay(folder: str | Path) -> tuple[Path, list[str]]:
    """(the first notebook, names of the files that were changed before and kept as they are)."""
    root, kept = expanded(folder), []
    for part, pattern in PARTS.items():
        (root / part).mkdir(parents=True, exist_ok=True)
        for source in sorted((_source() / part).glob(pattern)):
            target = root / part / source.name
            if not target.exists():
                shutil.copyfile(source, target)
            elif not filecmp.cmp(source, target, shallow=False):
                kept.append(f"{part}/{source.name}")
    return root / "notebooks" / "00_start_here.ipynb", kept


def _source() -> Path:
    return PACKAGE if (PACKAGE / "notebooks").is_dir() else PACKAGE.parent

"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path

from .refusal import refuse


def write_whole(path: str | Path, data: bytes) -> None:
    """Write through a temporary file beside `path`, so that no reader ever sees half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)  # the only way to read it is to set it
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def expanded(path: str | os.PathLike) -> Path:
    """A Path whose "~" is the home folder."""
    words = f"a file is named by a str or a Path, not by {type(path).__name__}"
    refuse(not isinstance(path, (str, os.PathLike)), words, TypeError)
    return Path(path).expanduser()

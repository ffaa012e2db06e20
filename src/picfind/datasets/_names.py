"""Names of pictures as files of other people give them: nothing outside of the dataset's own folder can be meant."""

from __future__ import annotations

import os
import re

_DRIVE = re.compile("[A-Za-z]:")


def below(name: str) -> str | None:
    r"""A name as a path below its folder, with `/` between its parts; None for one that leads elsewhere.

    Refused are absolute paths, drives, `..`, NUL and what has no name at all. `\` separates as `/` does.
    """
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    odd = (
        ":" in plain if os.name == "nt" else _DRIVE.match(plain) is not None
    )  # on Windows also `a.jpg:stream`
    if not parts or plain.startswith("/") or odd or ".." in parts or "\0" in plain:
        return None
    return "/".join(parts)

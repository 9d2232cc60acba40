"""Files that a command reads and writes."""

import os
from pathlib import Path

from nstlib.images import check_output


def check_distinct(target: Path, *sources: Path | None) -> None:
    """Raises ValueError where the output would overwrite an input."""
    for source in sources:
        same = source is not None and (  # realpath follows a path through a folder that is not there
            os.path.realpath(target) == os.path.realpath(source)
            or (target.exists() and source.exists() and os.path.samefile(target, source))
        )
        if same:
            raise ValueError(f"{target} would overwrite the input {source}: give another --output")


def check_target(target: Path, *sources: Path | None) -> None:
    """Raises as `check_distinct`, and as `check_output` for an image."""
    check_distinct(target, *sources)
    check_output(target)

"""The shape of the package: imports point one way, modules stay small, heavy imports stay out."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nstlib"
ORDER = [  # each module may import only from modules before it
    ("version",),
    ("torchvision_cpu", "kernels", "pointwise", "images", "optimizers", "precision", "allocator"),
    ("moments",),
    ("discrepancy", "networks", "checkpoints", "synthesis"),
    ("taps",),
    ("gaussian", "objective", "features"),
    ("methods",),
    ("settings",),
    ("memory", "run"),
    ("recipes",),
    ("figures", "__main__"),
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_imports_point_one_way(path: Path) -> None:
    assert path.stem in RANK, f"give {path.name} a place in ORDER"
    inside = {name.split(".")[1] for name in imports(path) if name.startswith("nstlib.")} & set(RANK)
    for other in inside:
        assert RANK[other] < RANK[path.stem], f"{path.stem} imports {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_each_library_has_its_room(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(path)}
    assert "gradio" not in outside
    assert path.stem == "figures" or "matplotlib" not in outside
    assert path.stem == "images" or "PIL" not in outside
    assert path.stem == "__main__" or "tqdm" not in outside
    assert "torchvision" not in outside  # torchvision_cpu imports it by name, on first use


@pytest.mark.parametrize(
    "path", [*PACKAGE.glob("*.py"), *PACKAGE.parent.glob("demo/*.py")], ids=lambda p: p.stem
)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 250


def test_importing_nstlib_imports_nothing_heavy() -> None:
    code = (
        "import sys, nstlib; print([m for m in ('torchvision', 'matplotlib', 'gradio') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert result.stdout.strip() == "[]"


def test_the_style_of_the_code() -> None:
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "nstlib"]):
        result = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, cwd=PACKAGE.parent, check=False
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}{result.stderr}"

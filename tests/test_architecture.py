"""The structure of the code: independent packages, imports in one direction, short modules.

`docs/explanation/architecture.md` draws it from the same imports (`docs/architecture.py`).
"""

import ast
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [  # the packages of nstlib/: each may import only from layers before its own
    {"version", "threads", "inputs"},
    {"images", "alignment", "encoders"},
    {"synthesis", "figures", "kernels"},
    {"feedforward"},
    {"recipes", "export"},
    {"cli"},
    {"__main__"},
]
ORDER = {  # inside a folder: each module may import only from modules before it
    "nstlib.alignment": [
        {"samples"},
        {"kernels", "options"},
        {"moments", "pairs"},
        {"discrepancy", "random_features", "linear_time"},
        {"gaussian", "wasserstein", "sliced", "witness", "palette"},
        {"sketches"},
        {"methods"},
        {"transports"},
        {"fitted", "rearrangement"},
    ],
    "nstlib.encoders": [
        {"networks", "weight_files", "precision", "boxes"},
        {"windows"},
        {"features"},
        {"encoder"},
    ],
    "nstlib.synthesis": [
        {"optimizers", "allocator", "terms", "colours"},
        {"objective"},
        {"optimize", "pixels"},
        {"settings", "diagnostics", "tiles"},
        {"pyramid", "memory", "regions"},
        {"run"},
    ],
    "nstlib.feedforward": [
        {"norms", "layers"},
        {"decoders", "networks", "crops", "distributed"},
        {"pipeline", "settings", "checkpoint", "memory"},
        {"tiles"},
        {"prepared", "training"},
    ],
    "nstlib.export": [{"files", "convolutions"}, {"tracing"}, {"models"}],
    "nstlib.images": [{"opening"}, {"pixels"}, {"decoding"}, {"isolation"}, {"files"}],
    "nstlib.cli": [
        {"options", "errors"},
        {"repeat"},
        {"progress"},
        {"apply"},
        {"commands"},
    ],
    "demo": [{"runs"}, {"guard"}, {"components"}, {"tabs"}, {"api"}, {"page"}, {"serve"}],
}
LAYER = {f"nstlib.{package}": number for number, packages in enumerate(LAYERS) for package in packages}
RANK = {f"{group}.{m}": rank for group, order in ORDER.items() for rank, ms in enumerate(order) for m in ms}
FILES = sorted(
    path for group in ("nstlib", "demo") for path in (ROOT / group).rglob("*.py") if path.stem != "__init__"
)
FOLDERS = sorted({path.parent for path in FILES} - {ROOT / "nstlib"})


def named(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {named(path) for path in FILES}


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, wherever in the file; `from a import b` is a.b where that is a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inner if name in MODULES or (ROOT / name.replace(".", "/")).is_dir()}
            found |= modules or {node.module or ""}
    return frozenset(found)


def package(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_point_down(path: Path) -> None:
    module = named(path)
    group = module.rpartition(".")[0] if module.startswith("nstlib.") else "demo"
    for other in imports(path):
        if other.split(".")[0] == "nstlib" and module.startswith("nstlib."):
            assert other != "nstlib", f"{module} imports the top-level package"
            if package(other) != package(module):
                assert LAYER[package(other)] < LAYER[package(module)], f"{module} imports {other}"
        if group == "demo" and other.startswith("demo.") and package(other) != package(module):
            assert RANK[package(other)] < RANK[package(module)], f"{module} imports {other}"
        if other.startswith(f"{group}.") and module in RANK and group != "demo":
            assert RANK[other] < RANK[module], f"{module} imports {other}"
    if group in ORDER and group != "demo":
        assert module in RANK, f"give {module} a place in ORDER"


def reaches(module: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """Everything of ours that a module imports, directly or not."""
    path = ROOT / (module.replace(".", "/") + ".py")
    if module in seen or not path.is_file():
        return seen
    seen |= {module}
    for other in imports(path):
        seen = reaches(other, seen)
    return seen


@pytest.mark.parametrize(
    ("group", "forbidden"),
    [
        ("nstlib.alignment", "nstlib.encoders"),
        ("nstlib.encoders", "nstlib.alignment"),
        ("nstlib.alignment", "nstlib.synthesis"),
        ("nstlib.encoders", "nstlib.synthesis"),
        ("nstlib.synthesis", "nstlib.feedforward"),
        ("nstlib", "demo"),
        ("demo.runs", "demo.tabs"),
        ("demo.components", "demo.tabs"),
    ],
)
def test_packages_are_independent(group: str, forbidden: str) -> None:
    for module in MODULES:
        if module.startswith(f"{group}."):
            met = {other for other in reaches(module) if other.startswith(f"{forbidden}.")}
            assert not met, f"{module} reaches {met}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_each_library_has_its_module(path: Path) -> None:
    module, outside = named(path), {name.split(".")[0] for name in imports(path)}
    if not module.startswith("nstlib."):
        assert "gradio" not in outside or not module.startswith("demo.runs.")
        return
    assert "gradio" not in outside
    assert module == "nstlib.figures" or "matplotlib" not in outside
    assert module.startswith("nstlib.images.") or "PIL" not in outside
    assert module.startswith("nstlib.cli.") or "tqdm" not in outside
    assert "torchvision" not in outside  # encoders.networks imports it by name, on first use


def test_the_app_s_own_process_opens_no_image() -> None:
    """nstlib.images does, in child processes; see demo/runs/files.py."""
    for path in (ROOT / "demo").rglob("*.py"):
        assert "Image.open" not in path.read_text(encoding="utf-8"), path
    assert "\nisolate(" in (ROOT / "demo" / "runs" / "files.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_folder_says_what_lives_there(folder: Path) -> None:
    words = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    lives = {path.stem for path in folder.glob("*.py") if path.stem != "__init__"}
    lives |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert "ead " in words or len(lives) < 4, f"{folder}: no reading order"
    assert not {name for name in lives if name not in words}, f"{folder}/__init__.py leaves out a module"


def test_there_are_few_packages_in_few_layers() -> None:
    packages = {path.stem for path in (ROOT / "nstlib").glob("*.py")} - {"__init__"}
    packages |= {path.parent.name for path in (ROOT / "nstlib").glob("*/__init__.py")}
    assert len(packages) <= 14 and len(LAYERS) <= 7
    assert packages <= {name.removeprefix("nstlib.") for name in LAYER}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 250


def test_the_diagram_is_current() -> None:
    code = "import sys; sys.path.insert(0, 'docs'); import architecture; print(architecture.draw(), end='')"
    drawn = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, encoding="utf-8"
    )
    drawing = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    assert drawn.stdout == drawing, "run python docs/architecture.py"


def test_public_names() -> None:
    import nstlib
    import nstlib.kernels
    from nstlib.kernels import gaussian

    assert nstlib.kernels.gaussian is gaussian
    assert len(set(nstlib.__all__) - {"__version__"}) <= 30
    assert all(getattr(nstlib, name) for name in nstlib.__all__)
    assert set(nstlib.__all__) <= set(dir(nstlib))
    assert {*nstlib._PUBLIC, "__version__"} == set(nstlib.__all__)
    assert pickle.loads(pickle.dumps(nstlib.GaussianMMD(sigma=2.0))) == nstlib.GaussianMMD(sigma=2.0)
    with pytest.raises(AttributeError, match="module 'nstlib' has no attribute 'nothing'"):
        nstlib.nothing  # noqa: B018


def test_old_public_names_warn_and_work() -> None:
    import nstlib

    for name in nstlib._DEPRECATED:
        words = rf"nstlib\.{name} is deprecated.* use nstlib\.\w+\.{name}$"
        with pytest.warns(DeprecationWarning, match=words):
            assert getattr(nstlib, name)
    with pytest.warns(DeprecationWarning) as caught:
        from nstlib import Wasserstein
    assert [w.filename for w in caught] == [__file__] and Wasserstein is nstlib.alignment.Wasserstein


@pytest.mark.parametrize(
    ("first", "heavy"),
    [
        ("import nstlib", ["torch"]),
        ("from nstlib.__main__ import main; main(['--help'])", ["torch"]),
        ("from nstlib import *", ["torchvision", "matplotlib", "gradio"]),
    ],
)
def test_imports_are_as_late_as_they_can_be(first: str, heavy: list[str]) -> None:
    last = f"lambda: print([m for m in {heavy} if m in sys.modules])"
    code = f"import atexit, sys; atexit.register({last}); {first}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_the_style_of_the_code() -> None:
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "nstlib"]):
        result = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}{result.stderr}"

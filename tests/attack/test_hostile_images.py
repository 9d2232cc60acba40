"""Hostile images: each is read or refused by name, without a crash, within little memory and time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import corpus
import pytest
from app_server import ROOT
from attacked import Host
from client import Client, file, memory, together

import nstlib

NOT_SHOWN = (".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pfm", ".tga", ".pcx")
MOST_MB, MOST_SECONDS = 400, 6.0  # of memory above the process's own, of one core
READ = """
import json, sys, time
import nstlib
def memory(name):
    return next(int(x.split()[1]) for x in open("/proc/self/status") if x.startswith(name)) / 1000
nstlib.load_image(sys.argv[1], 64)
for path in sys.argv[2:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
    before, begun = memory("VmRSS"), time.process_time()
    try:
        nstlib.load_image(path, 64, max_pixels=24_000_000)
        outcome = "read"
    except (nstlib.ImageError, FileNotFoundError) as error:
        outcome = str(error)
    spent = time.process_time() - begun
    print(json.dumps([path, outcome, memory("VmHWM") - before, spent]), flush=True)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.name: path for path in corpus.large(tmp_path_factory.mktemp("large"))}


def outcomes(paths: list[Path]) -> list[tuple[str, str, float, float]]:
    """(path, "read" or the message, MB, seconds) of each, in a process that must survive them all."""
    example = ROOT / "examples" / "styles" / "waves.jpg"
    result = subprocess.run(
        [sys.executable, "-c", READ, str(example), *map(str, paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    notes = re.compile("UserWarning: .*(the values of | has only .* enlarged| has several frames )")
    told = [line for line in result.stderr.splitlines() if not notes.search(line)]
    assert not [line for line in told if "Traceback" in line or "Warning" in line]
    return [tuple(json.loads(line)) for line in result.stdout.splitlines()]


def test_three_hundred_hostile_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    paths = corpus.small(tmp_path)
    assert len(paths) >= 300
    found = outcomes(paths)
    assert [path for path, *_ in found] == [str(path) for path in paths]
    for path, words, megabytes, seconds in found:
        assert words == "read" or Path(path).name in words, words
        assert megabytes < 150 and seconds < 2, (path, megabytes, seconds)
    assert sum(words == "read" for _, words, *_ in found) > 50, "the corpus holds good files, too"
    assert not os.path.exists("/tmp/nstlib-attack-pickle")


def test_the_largest_images_a_public_host_takes_are_cheap(large: dict[str, Path]) -> None:
    for path, words, megabytes, seconds in outcomes([*large.values()]):
        assert words == "read", path
        assert megabytes < MOST_MB and seconds < MOST_SECONDS, (path, megabytes, seconds)


def test_a_shrunk_image_is_the_image(tmp_path: Path) -> None:
    whole = corpus.gradient("RGB", 1200, 900)
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 95}), ("TIFF", {})):
        path = tmp_path / f"p.{kind.lower()}"
        whole.save(path, kind, **options)
        plain = whole.resize((64, 48), 1)  # LANCZOS, without a detour
        found = nstlib.load_image(path, 64)
        expected = nstlib.load_image(plain)
        assert (found - expected).abs().max() < 0.04, kind


@pytest.mark.parametrize("name", ["x.eps", "x.png", "x.jpg", "x.ps", "x.pdf", "x.svg", "x.fli"])
def test_nothing_starts_ghostscript(host: Host, name: str) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"
    client = host.client()
    (path,) = client.upload((name, eps))
    status, text = client.call(client.event("check"), [file(path)])
    assert status == 200 and f"Cannot read {name}" in text and "gs" not in text.split("image")[-1]
    assert str(host.app.files) not in text.replace(path, "") and not host.trap.exists()
    with pytest.raises(nstlib.ImageError):
        nstlib.load_image(_written(host, name, eps))


def _written(host: Host, name: str, data: bytes) -> Path:
    path = host.trap.parent / name
    path.write_bytes(data)
    return path


def test_the_published_bomb_is_refused_and_three_checks_at_once_stay_small(
    host: Host, tmp_path: Path, large: dict[str, Path]
) -> None:
    from PIL import Image

    bomb = tmp_path / "bomb.png"
    Image.new("I;16", (8000, 8000)).save(bomb)
    client = host.client()
    check = client.event("check")
    (path,) = client.upload(("bomb.png", bomb.read_bytes()))
    before = memory(host.app.process.pid)
    status, text = client.call(check, [file(path)])
    assert status == 200 and "limit of 24 million pixels" in text
    costly = large["large-RGBA.webp"]
    (path,) = client.upload((costly.name, costly.read_bytes()))
    answers: list[int] = []

    def ask() -> None:
        answers.append(Client(host.app.url).call(check, [file(path)])[0])

    together(*[ask] * 6)
    assert answers == [200] * 6
    assert memory(host.app.process.pid, "VmHWM") - before < 600


def test_a_sample_of_the_corpus_reaches_the_app_and_no_path_comes_back(host: Host, tmp_path: Path) -> None:
    client = host.client()
    check = client.event("check")
    for path in [p for p in corpus.small(tmp_path) if p.is_file() and not p.is_symlink()][::6]:
        (where,) = client.upload((path.name, path.read_bytes()))
        status, text = client.call(check, [file(where)])
        assert status == 200, text
        words = text.replace(where, "")
        if isinstance(shown := json.loads(text)["data"][0], dict) and "path" in shown:
            assert not shown["path"].endswith(NOT_SHOWN)  # these come back as PNG
            words = words.replace(shown["path"], "")
        assert str(host.app.files) not in words and "site-packages" not in words and "Error" not in words

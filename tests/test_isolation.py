"""Decoding in child processes: the same answers, limits that hold, and no process left behind."""

import io
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from app_server import ROOT
from image_files import cmyk_profile
from PIL import Image

from nstlib import ImageError, images, load_image, read_recipe, save_image
from nstlib.images import isolation, load_mask

WAVES = ROOT / "examples" / "styles" / "waves.jpg"


@pytest.fixture
def isolated() -> Iterator[None]:
    before = isolation._pool and isolation._pool.limits
    images.isolate()
    yield
    images.isolate(workers=0)
    if before:  # another test imported the app, which isolates
        images.isolate(seconds=before[0], memory=before[1], workers=before[2])


def children() -> list[subprocess.Popen[bytes]]:
    """The processes that are free."""
    assert isolation._pool
    found = [child.process for _, free in isolation._pool.lanes for child in free.queue]
    return [process for process in found if process]


def at_work(child: int) -> None:
    """Waits until a child works on something."""

    def used() -> int:
        return sum(map(int, Path(f"/proc/{child}/stat").read_text().split()[13:15]))

    begun = used()
    while used() < begun + 20:  # hundredths of a second
        time.sleep(0.01)


def slow(path: Path) -> Path:
    """A TIFF of so many strips that Pillow needs many seconds for them: 3.9 MB."""
    from attack.corpus import strips

    path.write_bytes(strips(970_000))
    return path


def test_a_child_answers_as_this_process_does(tmp_path: Path, isolated: None) -> None:
    odd = tmp_path / "Grüße, \udcff.png"  # a name that is no Unicode
    picture = np.random.default_rng(0).integers(0, 255, (40, 30, 4), dtype=np.uint8)
    Image.fromarray(picture).save(odd, icc_profile=cmyk_profile([0, 0, 0, 0, 0]))
    recipe = {"kind": "transfer", "note": "Grüße"}
    made = save_image(torch.rand(1, 3, 20, 30), tmp_path / "made.png", recipe)

    def answers() -> list[object]:
        with pytest.warns(UserWarning, match="profile of .* cannot be used"):
            whole = load_image(odd)
        small, stream = load_image(WAVES, 64), io.BytesIO(WAVES.read_bytes())
        stream.seek(7)
        found: list[object] = [whole, small, load_mask(odd), load_image(stream, 48), load_mask(WAVES, 32)]
        found += [images.image_info(odd), images.image_size(WAVES), read_recipe(made)]
        for path, max_pixels in ((tmp_path / "no.png", 9), (tmp_path, 9), (WAVES, 1000), (__file__, 9)):
            with pytest.raises((ImageError, FileNotFoundError)) as error:
                load_image(path, max_pixels=max_pixels)
            found.append((error.type, str(error.value)))
        for source in (WAVES.open(), np.zeros((40, 30)), None):
            with pytest.raises(ImageError, match="cannot read .* as an image"):
                load_image(source)
        with pytest.raises(ImageError, match="holds no nstlib recipe"):
            read_recipe(WAVES)
        return found

    there = answers()
    assert children()
    images.isolate(workers=0)
    for one, other in zip(there, answers(), strict=True):
        assert one.equal(other) if isinstance(one, torch.Tensor) else one == other
    images.isolate()
    assert load_image(Image.open(WAVES), 64).shape == (1, 3, 64, 64)  # a Pillow image needs no child
    assert not children()


def test_children_import_no_torch(isolated: None) -> None:
    load_image(WAVES, 64)
    (child,) = children()
    assert "libtorch" not in Path(f"/proc/{child.pid}/maps").read_text()


def test_one_slow_file_is_given_up_and_others_are_answered_meanwhile(tmp_path: Path, isolated: None) -> None:
    images.isolate(seconds=3)
    path, outcome = slow(tmp_path / "strips.tif"), []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    def ask() -> None:
        with pytest.raises(
            images.CostlyImageError, match=r"strips\.tif takes more than 3 s to decode; save it again"
        ):
            load_image(path, 64)
        outcome.append("given up")

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(20):
        assert load_image(WAVES, 64).shape == (1, 3, 64, 64)
    assert not outcome, "the slow file has had less than its 3 s of a core by now"
    thread.join()
    assert outcome
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # of children that have ended
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1 + 3 + 2


def test_many_slow_files_leave_a_child_for_the_next(tmp_path: Path, isolated: None) -> None:
    images.isolate(seconds=0.3)
    path = slow(tmp_path / "strips.tif")
    with ThreadPoolExecutor(8) as pool:
        slow_ones = [pool.submit(load_image, path, 64) for _ in range(6)]
        good = [pool.submit(load_image, WAVES, 64) for _ in range(6)]
        assert all(one.result().shape == (1, 3, 64, 64) for one in good)
        for one in slow_ones:
            with pytest.raises(ImageError, match="takes more than 0.3 s"):
                one.result()


def test_a_child_that_dies_is_named_and_replaced(tmp_path: Path, isolated: None) -> None:
    images.isolate(workers=1)
    load_image(WAVES, 64)
    (child,) = children()
    child.kill()
    child.wait()  # while it was free: nobody notices
    assert load_image(WAVES, 64).shape == (1, 3, 64, 64)
    (child,) = children()
    path = slow(tmp_path / "strips.tif")
    threading.Thread(target=lambda: (at_work(child.pid), child.send_signal(signal.SIGSEGV))).start()
    with pytest.raises(ImageError, match=r"strips\.tif as an image: its decoder crashed \(code -11\)"):
        load_image(path, 64)
    assert load_image(WAVES, 64).shape == (1, 3, 64, 64)


def test_an_interrupted_question_leaves_no_answer_for_the_next(
    tmp_path: Path, isolated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "TRY_SECONDS", 60.0)  # a busy machine must not reach the limit first
    images.isolate(seconds=60, workers=1)
    load_image(WAVES, 64)
    (child,), path = children(), slow(tmp_path / "strips.tif")
    here = threading.get_ident()
    threading.Thread(target=lambda: (at_work(child.pid), signal.pthread_kill(here, signal.SIGINT))).start()
    with pytest.raises(KeyboardInterrupt):
        load_image(path, 64)
    assert load_image(WAVES, 80).shape == (1, 3, 80, 80)


def test_a_fork_has_children_of_its_own(isolated: None) -> None:
    load_image(WAVES, 64)
    code = 1
    if (process := os.fork()) == 0:
        try:
            code = 0 if load_image(WAVES, 48).shape[-1] == 48 else 2
        finally:
            os._exit(code)
    assert load_image(WAVES, 80).shape[-1] == 80
    assert os.waitpid(process, 0)[1] == 0


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_no_child_outlives_the_process(sign: signal.Signals | None) -> None:
    code = (
        "import sys, nstlib.images as images; from nstlib.images import isolation; images.isolate()\n"
        f"images.image_size({str(WAVES)!r})\n"
        "found = [child.process for _, free in isolation._pool.lanes for child in free.queue]\n"
        "print(*[process.pid for process in found if process], flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdin and process.stderr
    (child,) = map(int, process.stdout.readline().split())
    if sign is None:
        process.stdin.close()
    else:
        process.send_signal(sign)
    assert process.wait(60) == (-sign if sign else 0)
    assert sign or not process.stderr.read()
    for _ in range(600):
        if not Path(f"/proc/{child}").exists() or "(zombie)" in Path(f"/proc/{child}/status").read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the child still runs")


@pytest.mark.parametrize(
    "limits", [{"seconds": 0}, {"seconds": float("nan")}, {"seconds": 1e9}, {"memory": 0}, {"workers": -1}]
)
def test_limits_that_cannot_be(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="limits must be positive"):
        images.isolate(**limits)

"""Small files that cost much to decode: a child process decodes them, up to its limits."""

import json
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import corpus
import pytest
from attacked import Host
from client import Client, file, memory, noise

from demo.runs import files, preview
from demo.runs.engine import Job
from nstlib import ImageError, Settings, images, load_image
from nstlib.images import CostlyImageError, DecoderBusyError, isolation


def with_exif(data: bytes) -> bytes:
    return corpus.png(64, 64, 8, 2, corpus.chunk(b"eXIf", data), pixels=bytes(64 * 193))


SECONDS, MEMORY = 0.4, 60_000_000  # lower than an app's, for small files
COSTLY = {
    "tags.tif": corpus.overlapping(400, 300_000),
    "tags.png": with_exif(corpus.overlapping(400, 300_000)),
    "comment.gif": corpus.comment(5_000_000),
    "grey.pgm": corpus.grey(3_000_000),
    "strips.tif": corpus.strips(200_000),
}


def spent(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture
def isolated() -> Iterator[None]:
    before = isolation._pool and isolation._pool.limits
    images.isolate(seconds=SECONDS, memory=MEMORY, workers=1)
    yield
    images.isolate(workers=0)
    if before:
        images.isolate(seconds=before[0], memory=before[1], workers=before[2])


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_file_is_refused_at_the_child_s_limit(name: str, tmp_path: Path, isolated: None) -> None:
    path = tmp_path / name
    path.write_bytes(COSTLY[name])
    assert len(COSTLY[name]) < 5_100_000
    own, begun, held = spent(resource.RUSAGE_SELF), spent(resource.RUSAGE_CHILDREN), memory("self")
    with pytest.raises(CostlyImageError, match=f"{name} takes more than (60 MB|0.4 s)"):
        load_image(path, 64)
    images.isolate(workers=0)  # children count when they have ended
    assert spent(resource.RUSAGE_SELF) - own < 0.5
    assert spent(resource.RUSAGE_CHILDREN) - begun < SECONDS + 2, "its start, and its time"
    assert memory("self") - held < 30


def test_a_long_recipe_is_not_parsed(tmp_path: Path, isolated: None) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(corpus.bomb(5_000_000))
    for workers in (1, 0):
        images.isolate(workers=workers)
        held, own = memory("self"), spent(resource.RUSAGE_SELF)
        with pytest.raises(ImageError, match=r"recipe in .*bomb\.png has more than 100,000 characters"):
            images.read_recipe(path)
        assert memory("self") - held < 30 and spent(resource.RUSAGE_SELF) - own < 0.5
    assert load_image(path).shape == (1, 3, 64, 64)


def check(host: Host, name: str, data: bytes) -> str:
    """What the page says after this upload."""
    client = host.client()
    (path,) = client.upload((name, data))
    status, text = client.call(client.event("check"), [file(path)])
    assert status == 200
    return text


@pytest.mark.parametrize("name", ["tags.tif", "tags.png"])
def test_overlapping_tags_cost_the_app_nothing(host: Host, name: str) -> None:
    tags = corpus.overlapping(1000, 1_000_000)
    data = tags if name == "tags.tif" else with_exif(tags)
    with host.bounded(seconds=1.5, megabytes=100):
        assert f"{name} takes more than 400 MB" in check(host, name, data)


def test_a_slow_file_costs_the_app_nothing_and_nobody_else_waits(host: Host) -> None:
    answers: list[str] = []
    data = corpus.strips(900_000)
    slow = threading.Thread(target=lambda: answers.append(check(host, "strips.tif", data)))
    with host.bounded(seconds=2, megabytes=100):
        slow.start()
        for number in range(3):
            assert "alert" not in check(host, f"{number}.png", corpus.encoded(corpus.gradient("RGB"), "PNG"))
        slow.join()
    assert "strips.tif takes more than 2 s to decode" in answers[0]


def test_slow_files_of_live_images_hold_up_no_other_live_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are decoded before their image takes one of the threads that compute."""
    decoding, end = threading.Semaphore(0), threading.Event()

    def read(path: str, size: int) -> None:
        if path == "slow":
            decoding.release()
            end.wait()

    monkeypatch.setattr(preview, "load_input", read)
    monkeypatch.setattr(preview, "_make", lambda job, strength: job.content)
    slow = [
        threading.Thread(target=preview.one_pass, args=(Job(Settings(size=64), "slow", "a"),))
        for _ in range(4)
    ]
    for thread in slow:
        thread.start()
        assert decoding.acquire(timeout=60)
    assert preview.one_pass(Job(Settings(size=64), "quick", "a")) == "quick"
    assert all(thread.is_alive() for thread in slow)
    end.set()
    for thread in slow:
        thread.join()


def test_a_refused_file_costs_its_time_once_and_a_busy_decoder_refuses_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def refuse(path: str, **options: object) -> None:
        asked.append(path)
        if path == "busy.png":
            raise DecoderBusyError("too many images are being decoded now; try again in a moment")
        raise CostlyImageError("bad.png takes more than 6 s to decode")

    monkeypatch.setattr(files.nstlib, "load_image", refuse)
    monkeypatch.setattr(files, "image_info", refuse)
    for path in ("bad.png", "busy.png"):
        for size in (63, 65):  # another size is no new try
            with pytest.raises(ImageError, match="more than 6 s" if path == "bad.png" else "too many"):
                files.load_input(path, size)
    with pytest.raises(ImageError, match="more than 6 s"):
        files.input_info("bad.png")
    assert asked == ["bad.png", "busy.png", "busy.png"]


def test_the_check_of_a_small_image_writes_no_large_one(host: Host) -> None:
    """Browsers show no PPM, so the check answers with a PNG."""
    with host.bounded(seconds=2, megabytes=100):
        shown = json.loads(check(host, "small.ppm", noise(90, 70)))["data"][0]["path"]
    assert max(images.image_size(shown)) == 320, "as large as the largest run of this host"


@pytest.mark.parametrize("key", ["x", "versions"])
@pytest.mark.parametrize("size", [3_500_000, 60_000])
def test_a_session_keeps_no_long_recipe(host: Host, key: str, size: int) -> None:
    client = host.client()
    (path,) = client.upload(("bomb.png", corpus.bomb(size, key)))
    event = client.event("upload")
    drop = [client.components[i]["props"].get("elem_id") for i in event["inputs"]].index("drop")
    data = client.usual(event)
    data[drop] = file(path)
    held = memory(host.app.process.pid)
    for _ in range(3):
        status, text = Client(host.app.url).call(event, data)
        assert status == 200
        assert (
            "more than 100,000 characters" if size > 10**5 else "recipe is too long" if key != "x" else ""
        ) in text
    assert memory(host.app.process.pid) - held < 60

"""Many requests at once: a class behind one address, and floods that must not hold up other addresses. No
test measures time: the order of the answers shows whether somebody waited for a flood."""

import http.client
import json
import socket
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attacked import Host
from client import DIRECT, Client, file, noise, together
from lesson import heartbeat, lesson, page_values

import nstlib
from demo.runs import limits, preview
from demo.runs.engine import Job


def test_a_class_behind_one_address_is_not_refused(host: Host) -> None:
    happened = lesson(host.app.url, pupils=30)
    assert happened.refused == [] and happened.ends == {"done": 30} and len(happened.seconds) == 120


@contextmanager
def connected(page: Client):
    """Keeps the stream open that a page keeps open."""
    leave = threading.Event()
    heart = threading.Thread(target=heartbeat, args=(page, leave), daemon=True)
    heart.start()
    yield
    leave.set()
    heart.join()


def unsent(host: Host, path: str, body: bytes, address: str) -> http.client.HTTPConnection:
    """A request of which the last byte is missing."""
    place = urlsplit(host.app.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.putrequest("POST", "/" + path)
    for name, value in (("Content-Type", "application/json"), ("X-Forwarded-For", address)):
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:-1])
    return connection


@pytest.mark.usefixtures("bounded")
def test_limits_hold_when_the_last_bytes_of_many_requests_come_together(host: Host, pair: list[str]) -> None:
    page = Client(host.app.url, "198.51.100.7")
    steps = 40  # no run ends before the last byte is read
    data = [file(pair[0]), file(pair[1]), None, None, 64, steps, 0, None, "balanced"]
    body = json.dumps({"data": data, "fn_index": page.event("stylize")["id"], "session_hash": page.session})
    waiting = [unsent(host, "gradio_api/queue/join", body.encode(), page.address) for _ in range(8)]
    time.sleep(0.3)  # all of them are being read; one that is not makes the test no harder to pass
    for connection in waiting:
        connection.send(b"}")
    statuses = sorted(connection.getresponse().status for connection in waiting)
    assert statuses == [200, 200, *[429] * 6]
    assert sum('"msg":"process_completed"' in line for line in page.messages()) == 2


@pytest.mark.usefixtures("bounded")
def test_streams_of_a_session_are_bounded_and_a_second_name_in_the_query_is_ignored(
    host: Host, pair: list[str]
) -> None:
    page, other = host.client(), host.client()
    with ExitStack() as streams:
        beat = urllib.request.Request(f"{host.app.url}gradio_api/heartbeat/{page.session}")
        for _ in range(4):
            streams.enter_context(DIRECT.open(beat, timeout=30)).readline()
        assert page.get(f"gradio_api/heartbeat/{page.session}")[0] == 429
        with connected(other):
            assert other.get("config")[0] == 200
    assert other.ask(*pair)[0] == 200
    asked = f"gradio_api/queue/data?session_hash={page.session}&session_hash={other.session}"
    assert '"success":true' in other.get(asked)[1], "the last one counts, for the guard and for Gradio"
    assert other.get(f"gradio_api/queue/data?session_hash={other.session}&session_hash=x")[0] == 404


@pytest.mark.usefixtures("bounded")
def test_who_reads_nothing_or_sends_half_holds_nobody_of_its_address_up(host: Host) -> None:
    place, address = urlsplit(host.app.url), "198.51.100.40"
    head = f"Host: x\r\nX-Forwarded-For: {address}\r\n"
    halves = [
        f"POST /gradio_api/run/predict HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
        "Content-Length: 500\r\n\r\n{",
        f"POST /gradio_api/upload HTTP/1.1\r\n{head}Content-Type: multipart/form-data; boundary=x\r\n"
        "Content-Length: 500\r\n\r\n--x",
        f"GET / HTTP/1.1\r\n{head}\r\n",
        f"GET /gradio_api/info/?all_endpoints=true HTTP/1.1\r\n{head}\r\n",
    ]
    with ExitStack() as sockets:
        for number in range(80):
            half = sockets.enter_context(socket.create_connection((place.hostname or "", place.port or 0)))
            half.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2000)
            half.sendall(halves[number % 4].encode())
        classmate = Client(host.app.url, address)
        assert classmate.upload(("a.ppm", noise(40, 40))) and classmate.get("")[0] == 200
        assert classmate.call(classmate.event("check"), [None])[0] == 200


@pytest.mark.usefixtures("bounded")
def test_a_flood_of_live_images_does_not_hold_another_address_up(host: Host, pair: list[str]) -> None:
    order: list[str] = []
    started, begun = threading.Barrier(9), threading.Event()

    def one(page: Client, name: str, gamma: float) -> None:
        event = page.event("follow")
        chosen = {"contents": file(pair[0]), "styles": file(pair[1]), "size": 320, "gamma": gamma}
        values = page_values(page, event, chosen | {"method": "other", "other": "energy"})
        started.wait()
        if name == "other":  # behind the flood, which is in line by then
            begun.wait(60)
        status, text = page.call(event, values)
        order.append(name)
        begun.set()
        assert status == 200 and ".webp" in text, text

    flood = [Client(host.app.url, "198.51.100.50") for _ in range(8)]
    other = Client(host.app.url, "203.0.113.50")
    jobs = [lambda p=p, n=n: one(p, "flood", 0.1 + 0.1 * n) for n, p in enumerate(flood)]
    together(*jobs, lambda: one(other, "other", 0.9))
    assert order.count("flood") == 8 and order.index("other") < 6, order


def test_a_live_image_costs_little_on_a_public_host(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(nstlib.Settings(size=512), "a", "b")
    energy = Job(nstlib.Settings(size=512, method="energy"), "a", "b")
    huge = Job(nstlib.Settings(size=512, method="+".join(f"cubic(c={n})" for n in range(16))), "a", "b")
    features = Job(nstlib.Settings(method="gaussian(n_features=4096)"), "a", "b")
    assert [preview.quick(one) for one in (job, energy, huge, features)] == [job, energy, huge, features]
    monkeypatch.setattr(preview, "LIMITS", limits.read({"SPACE_ID": "somebody/app"}))
    assert preview.quick(job) == job and preview.quick(energy).settings.size == 256
    assert preview.quick(huge).settings.size == 64
    assert preview.quick(Job(nstlib.Settings(size=96, method="energy"), "a", "b")).settings.size == 96
    with pytest.raises(ValueError, match="features is too slow for one pass here; Refine"):
        preview.quick(features)


def followed(page: Client, pair: list[str], **chosen: object) -> str:
    event = page.event("follow")
    values = {"contents": file(pair[0]), "styles": file(pair[1]), "size": 64}
    return page.call(event, page_values(page, event, values | chosen))[1]


def test_strange_sessions_evict_no_page_and_a_lost_page_does_not_save_another_image(
    host: Host, pair: list[str], tmp_path: Path
) -> None:
    mine, lost = host.client(), host.client()
    with connected(mine):
        for page in (mine, lost):
            assert ".webp" in followed(page, pair, method="linear")
        stop = mine.event("stop")
        with host.bounded():
            for number in range(134):
                other = Client(host.app.url, f"198.51.100.{number % 9}")
                assert other.call(stop, mine.usual(stop))[0] == 200
        save = mine.event("save")
        status, text = mine.call(save, page_values(mine, save, {}))
        assert status == 200, text
        target = tmp_path / "result.png"
        path = next(value["path"] for value in json.loads(text)["data"] if value)
        with DIRECT.open(f"{host.app.url}gradio_api/file={path}", timeout=30) as answer:
            target.write_bytes(answer.read())
        assert nstlib.read_recipe(target)["settings"]["method"] == "linear"
    for page in (lost, host.client()):
        status, text = page.call(save, page_values(page, save, {}))
        assert status == 500 and "not here any more" in text and ".png" not in text


def left_behind(host: Host) -> set[Path]:
    return {path for path in host.app.files.rglob("*") if path.is_file()}


def part(words: bytes, data: bytes = b"abc") -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + words + b"\r\n\r\n" + data + b"\r\n"


RIGHT, LAST = part(b'name="files"; filename="a.png"'), b"--x--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        part(b'name="other"; filename="a.png"') + LAST,
        RIGHT[:-2],
        RIGHT + b"--x\r\n",
        part(b'name="files"') + LAST,
        part(b'filename="a.png"') + LAST,
        LAST,
        b"no parts at all --",
        1000 * RIGHT + LAST,
        part(b'name="files"; filename="a.png"' + 9999 * b"\r\nx: y") + LAST,
    ],
    ids=[
        "other name",
        "cut off",
        "no last boundary",
        "no file",
        "no name",
        "empty",
        "text",
        "1000",
        "headers",
    ],
)
def test_an_upload_that_is_not_right_leaves_nothing_behind(host: Host, body: bytes) -> None:
    before = left_behind(host)
    request = urllib.request.Request(f"{host.app.url}gradio_api/upload?upload_id=abc", body)
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        DIRECT.open(request, timeout=30)
    assert refusal.value.code == 400 and left_behind(host) == before


@pytest.mark.parametrize(
    "name", ["../../x.png", "..", ".hidden", "", "a" * 400 + ".png", "ü" * 300, "C:\\x\\y.png", "a/b"]
)
def test_an_upload_s_name_stays_inside_its_own_folder(host: Host, name: str) -> None:
    status, text = host.client().try_upload((name, noise(40, 40)))
    if status == 200:
        (path,) = json.loads(text)
        assert Path(path).is_file() and not Path(path).name.startswith(".")
        assert Path(path).parent.parent.name == "cache" and host.app.files in Path(path).parents
    else:
        assert status == 400 and name == ""


@pytest.mark.usefixtures("bounded")
def test_two_uploads_of_one_name_are_bounded_each(host: Host) -> None:
    """The bytes of one still count when another of the same name ends."""
    head = part(b'name="files"; filename="a.ppm"').removesuffix(b"abc\r\n")
    url = f"{host.app.url}gradio_api/upload?upload_id=same"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    def large():
        yield head
        for _ in range(5):  # 5 MB, of 4 MB that are allowed
            yield bytes(1_000_000)
            DIRECT.open(urllib.request.Request(url, RIGHT + LAST, kind), timeout=30).close()
        yield b"\r\n" + LAST

    with pytest.raises(OSError):
        DIRECT.open(urllib.request.Request(url, large(), kind), timeout=30)

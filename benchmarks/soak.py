"""Mixed load on the app as a public host: does its memory stay flat, does no run get stuck?

    python benchmarks/soak.py --minutes 30 --clients 8

Each client repeats one of these at random: a run to its end, a run that it stops, a run whose stream it
leaves, live images, a comparison, broken images, slow images, runs that nobody listens to, other users'
files, the page, and the attacks of tests/attack/test_crowd.py: requests whose last bytes arrive together,
streams, uploads without an owner, tiny files, foreign pages, slow methods, unknown sessions, and a class
behind one address (one class at a time). Meanwhile one user with another address has a small image checked
every five seconds. After each fifth of the time the clients pause until nothing runs, and the memory of the
app is read: while runs go on, two readings differ by up to a quarter. Prints a table. Exits with 1 where
memory at rest grew by more than 5 % after the first fifth of the time, a run got stuck, the disk space
exceeded its limit, or the log holds a traceback. torch uses one thread."""

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "attack")]

import corpus  # noqa: E402
from app_server import App, running  # noqa: E402
from client import Client, file, memory, noise, together  # noqa: E402
from lesson import lesson, page_values  # noqa: E402

EVERY = 5.0  # seconds between readings
STORE = 400_000_000  # bytes of disk space that the app may take: 200 MB are full after 15 minutes
RESTS = 5  # pauses; the first one ends the warm-up
SMALL = corpus.encoded(corpus.gradient("RGB"), "PNG")
SLOW = corpus.strips(900_000)  # takes longer to decode than a host allows


class User(threading.Thread):
    """Acts as one client after another."""

    lessons = threading.Lock()
    going_on = threading.Event()  # cleared: no new act begins
    going_on.set()

    def __init__(self, app: App, seed: int, until: float, bad: list[Path], seen: Counter[str]) -> None:
        super().__init__(daemon=True)
        self.address = f"192.0.2.{seed}"
        self.app, self.chance, self.until, self.bad, self.seen = app, random.Random(seed), until, bad, seen
        self.pausing = False

    def run(self) -> None:
        acts = [self.whole, self.whole, self.stopped, self.left, self.compared, self.broken, self.slow_image]
        acts += [self.followed, self.followed, self.flood, self.thief, self.page, self.hurried, self.beats]
        acts += [self.unowned, self.tiny, self.foreign, self.slow_method, self.strange, self.classroom]
        while time.monotonic() < self.until:
            act = self.chance.choice(acts)
            try:
                outcome = act(Client(self.app.url, self.address, timeout=300))
            except (ValueError, OSError) as error:
                outcome = f"refused: {str(error)[:40]}"
            self.seen[f"{act.__name__}: {outcome}"] += 1
            time.sleep(self.chance.uniform(0.1, 1.0))
            self.pausing = True
            self.going_on.wait()
            self.pausing = False

    def pair(self, client: Client) -> list[str]:
        wide, high = (self.chance.randrange(80, 500) for _ in "wh")
        return client.upload(
            ("a.ppm", noise(wide, high, self.chance.randrange(50))), ("b.ppm", noise(90, 70))
        )

    def options(self) -> dict[str, object]:
        method = self.chance.choice(("linear", "poly", "gaussian", "bn", "bn:0.7+poly:0.3"))
        return {"method": method, "size": self.chance.choice((64, 96, 160)), "iterations": 20}

    def whole(self, client: Client) -> str:
        last = None
        for message in client.stylize(*self.pair(client), **self.options()):
            last = message if message["msg"] == "process_completed" else last
        return "done" if last and last["success"] else f"failed: {str(last and last['output'])[:120]}"

    def stopped(self, client: Client) -> str:
        event = None
        for message in client.stylize(*self.pair(client), **(self.options() | {"iterations": 500})):
            event = message.get("event_id") or event
            if message["msg"] == "process_generating":
                number = client.event("stylize")["id"]
                body = {"session_hash": client.session, "fn_index": number, "event_id": event}
                client.post("gradio_api/cancel", body)
                break
        return "stopped"

    def left(self, client: Client) -> str:
        for number, _ in enumerate(
            client.stylize(*self.pair(client), **(self.options() | {"iterations": 500}))
        ):
            if number >= 3:
                break
        return "left"

    def followed(self, client: Client) -> str:
        """The page as it stands, painted anew after every change."""
        event = client.event("follow")
        places = {client.components[i]["props"].get("elem_id"): k for k, i in enumerate(event["inputs"])}
        values, text = client.usual(event), ""
        for name, path in zip(("contents", "styles"), self.pair(client), strict=True):
            values[places[name]] = file(path)
        for detail in (1.0, 0.7, 0.4, 0.1):
            values[places["detail"]] = detail
            status, text = client.call(event, values)
            if status != 200:
                return f"failed {status} {text[:120]}"
        return "painted" if ".webp" in text else "nothing painted"

    def compared(self, client: Client) -> str:
        content, style = self.pair(client)
        kind = self.chance.choice(("methods", "fusion"))
        data = [file(content), file(style), kind, "linear", 1.0, 64, 4, 0, None]
        status, _ = client.call(client.event("compare"), data)
        return str(status)

    def broken(self, client: Client) -> str:
        bad = self.chance.choice(self.bad)
        (path,) = client.upload((bad.name, bad.read_bytes()))
        status, _ = client.call(client.event("check"), [file(path)])
        return str(status)

    def slow_image(self, client: Client) -> str:
        (path,) = client.upload(("slow.tif", SLOW))
        status, text = client.call(client.event("check"), [file(path)])
        return "refused" if status == 200 and "to decode" in text else f"failed: {status} {text[:120]}"

    def flood(self, client: Client) -> str:
        content, style = self.pair(client)
        answers = [
            Client(self.app.url, self.address).ask(content, style, iterations=500)[0] for _ in range(4)
        ]
        return "taken" if 200 in answers else "refused"

    def thief(self, client: Client) -> str:
        status, text = client.call(
            client.event("check"), [{"path": str(ROOT / "app.py"), "orig_name": "x.svg"}]
        )
        return "OPEN" if "import" in text else str(status)

    def page(self, client: Client) -> str:
        return str(client.get("")[0])

    def raw(self, client: Client, path: str, body: bytes, kind: str, **headers: str) -> int:
        request = urllib.request.Request(client.url + path, body, headers | {"Content-Type": kind})
        return client._ask(request)[0]

    def hurried(self, client: Client) -> str:
        """Many requests of one session at the same time: two may become runs."""
        content, style = self.pair(client)
        taken: list[int] = []
        together(*[lambda: taken.append(client.ask(content, style, iterations=5)[0])] * 6)
        return "held" if taken.count(200) <= 2 else "OPEN"

    def beats(self, client: Client) -> str:
        """More streams of one session than a page opens."""
        with contextlib.ExitStack() as streams:
            beat = urllib.request.Request(f"{client.url}gradio_api/heartbeat/{client.session}")
            for number in range(8):
                try:
                    streams.enter_context(client._open(beat)).readline()
                except OSError:
                    return f"bounded at {number}"
        return "OPEN"

    def unowned(self, client: Client) -> str:
        name = self.chance.choice(("other", "files"))
        body = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode()
        body += bytes(200_000) + (b"\r\n--x--\r\n" if name == "other" else b"")
        return str(self.raw(client, "gradio_api/upload", body, "multipart/form-data; boundary=x"))

    def tiny(self, client: Client) -> str:
        return str(client.try_upload(*((f"{number}.ppm", b"x") for number in range(8)))[0])

    def foreign(self, client: Client) -> str:
        body = json.dumps({"data": [None], "fn_index": client.event("check")["id"]}).encode()
        evil = {"Origin": "https://evil.example"}
        kinds = {"application/json": evil, "text/plain": {}}
        return "/".join(
            str(self.raw(client, "gradio_api/run/predict", body, k, **h)) for k, h in kinds.items()
        )

    def slow_method(self, client: Client) -> str:
        event, (content, style) = client.event("follow"), self.pair(client)
        chosen = {"contents": file(content), "styles": file(style), "size": 320}
        return str(
            client.call(event, page_values(client, event, chosen | {"method": "other", "other": "energy"}))[0]
        )

    def strange(self, client: Client) -> str:
        stop = client.event("stop")
        pages = [Client(self.app.url, self.address) for _ in range(140)]
        return str(Counter(page.call(stop, client.usual(stop))[0] for page in pages))

    def classroom(self, client: Client) -> str:
        with self.lessons:
            happened = lesson(self.app.url, pupils=10, address=f"198.51.100.{self.chance.randrange(9)}")
        return f"{happened.ends['done']} of 10 done, refused: {sorted({x[:90] for x in happened.refused})}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    store = {"NSTLIB_MAX_STORE": str(STORE / 1e9)}
    app = running("soak", SPACE_ID="soak/test", OMP_NUM_THREADS="1", NSTLIB_MAX_SECONDS="30", **store)
    begun, seen, disk, waits, rests = time.monotonic(), Counter[str](), 0, [], []
    own = disk_space(app.files)  # of the page itself, which the limit does not count
    with tempfile.TemporaryDirectory() as folder:
        bad = [path for path in corpus.small(Path(folder)) if path.is_file() and not path.is_symlink()]
        until = begun + 60 * options.minutes
        clients = [User(app, seed, until, bad, seen) for seed in range(options.clients)]
        for client in clients:
            client.start()
        while (now := time.monotonic()) < until:
            disk = max(disk, disk_space(app.files) - own)
            waits.append(seconds_of_check(app, len(waits)))
            if len(waits) % 12 == 1:
                print(f"{now - begun:6.0f} s {describe(app)}", flush=True)
            if now - begun > (len(rests) + 1) * (until - begun) / RESTS - 3 * EVERY:
                rests.append(memory_at_rest(app, clients))
                print(f"{now - begun:6.0f} s {describe(app)}, at rest", flush=True)
            time.sleep(EVERY)
        for client in clients:
            client.join(timeout=120)
    print(f"{len(waits)} checks of another user: median {median(waits):.2f} s, longest {max(waits):.2f} s")
    return report(app, rests, seen, sum(client.is_alive() for client in clients), disk)


def describe(app: App) -> str:
    """The memory, threads and open files of the app."""
    threads, files = (len(os.listdir(f"/proc/{app.process.pid}/{what}")) for what in ("task", "fd"))
    return f"{memory(app.process.pid):7.0f} MB {threads:4} threads {files:4} files"


def memory_at_rest(app: App, clients: list[User]) -> float:
    """The memory in MB once no client acts and what they left behind has ended."""
    User.going_on.clear()
    latest = time.monotonic() + 120
    while (
        not all(client.pausing or not client.is_alive() for client in clients) and time.monotonic() < latest
    ):
        time.sleep(0.5)
    time.sleep(45)  # longer than a run may take that nobody listens to
    used = memory(app.process.pid)
    User.going_on.set()
    return used


def seconds_of_check(app: App, number: int) -> float:
    """How long a user with an address of its own waits for the check of a new, small image."""
    other = Client(app.url, "203.0.113.77", timeout=300)
    status, text = other.try_upload((f"{number}.png", SMALL))  # a full disk refuses it
    begun = time.monotonic()
    if status == 200:
        status, text = other.call(other.event("check"), [file(json.loads(text)[0])])
    if status != 200:
        print(f"the check of another user was refused: {text[:120]}", flush=True)
    return time.monotonic() - begun


def disk_space(folder: Path) -> int:
    """Bytes of disk space that the files and folders below a folder take."""
    total = 0
    for base, folders, files in os.walk(folder):  # unlike rglob, it allows that a folder is removed meanwhile
        for name in (*folders, *files):
            with contextlib.suppress(OSError):  # it is gone already
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
    return total


def report(app: App, rests: list[float], seen: Counter[str], hanging: int, disk: int) -> int:
    """Prints what happened; returns the exit code."""
    for what, count in sorted(seen.items()):
        print(f"{count:6}  {what}")
    first, last = rests[0], rests[-1]
    growth = last / first - 1
    log = app.log.read_text(errors="replace")
    stuck = True
    with contextlib.suppress(ValueError, OSError, json.JSONDecodeError):
        client = Client(app.url)
        messages = list(client.stylize(*client.upload(("a.ppm", noise(90, 70)), ("b.ppm", noise(70, 90)))))
        stuck = not any(m["msg"] == "process_completed" and m["success"] for m in messages)
    tracebacks, stolen = log.count("Traceback"), sum(n for what, n in seen.items() if "OPEN" in what)
    print(f"memory at rest {first:.0f} MB after the warm-up, {last:.0f} MB at the end: {growth:+.1%};")
    print(
        f"most {memory(app.process.pid, 'VmHWM'):.0f} MB; {tracebacks} tracebacks in {len(log)} bytes of log;"
    )
    print(
        f"{hanging} clients hanging; {stolen} server files; a last run {'IS STUCK' if stuck else 'is done'}"
    )
    print(f"at most {disk / 1e6:.0f} MB on disk, of {STORE / 1e6:.0f} MB")
    return int(growth > 0.05 or tracebacks > 0 or stuck or hanging > 0 or stolen > 0 or disk > STORE)


if __name__ == "__main__":
    sys.exit(main())

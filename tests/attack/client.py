"""A hostile client: sends raw requests to the app, as no browser would."""

import json
import os
import random
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Answer = tuple[int, str]
CONFIGS: dict[str, dict[str, Any]] = {}  # by the app's URL
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Client:
    """url: of the app, with its slash. session: a random name, as the page chooses one. address: of the
    client, as the proxy of a public host passes it on."""

    url: str
    address: str = "192.0.2.1"
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:11])
    timeout: float = 60.0

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self._ask(urllib.request.Request(self._at(path), headers=headers or {}))

    def _open(self, request: urllib.request.Request) -> Any:
        request.add_header("X-Forwarded-For", self.address)
        return DIRECT.open(request, timeout=self.timeout)

    def headers(self, path: str) -> dict[str, str]:
        with self._open(urllib.request.Request(self._at(path))) as response:
            return {name.lower(): value for name, value in response.headers.items()}

    def post(self, path: str, body: Any) -> Answer:
        """body: bytes as they are, anything else as JSON (with NaN, which Python writes)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self._at(path), data, {"Content-Type": "application/json"})
        return self._ask(request)

    def _at(self, path: str) -> str:
        return self.url + path.lstrip("/")

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            with self._open(request) as response:
                return response.status, response.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    @property
    def config(self) -> dict[str, Any]:
        """What the app tells a page about itself. It is the same for all clients, and read once."""
        if self.url not in CONFIGS:
            CONFIGS[self.url] = json.loads(self.get("config")[1])
        return CONFIGS[self.url]

    @cached_property
    def components(self) -> dict[int, dict[str, Any]]:
        return {component["id"]: component for component in self.config["components"]}

    def event(self, name: str) -> dict[str, Any]:
        """An event by its API name."""
        found: dict[str, Any] = next(e for e in self.config["dependencies"] if e["api_name"] == name)
        return found

    def usual(self, event: dict[str, Any]) -> list[Any]:
        """What the page would send without anything changed."""
        return [self.components[i]["props"].get("value") for i in event["inputs"]]

    def upload(self, *files: tuple[str, bytes]) -> list[str]:
        """Uploads files; returns their paths on the server. Raises ValueError with the answer if refused."""
        status, text = self.try_upload(*files)
        if status != 200:
            raise ValueError(text)
        paths: list[str] = json.loads(text)
        return paths

    def try_upload(self, *files: tuple[str, bytes]) -> Answer:
        mark = uuid.uuid4().hex
        parts = b""
        for name, data in files:
            head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
            parts += head.encode() + data + b"\r\n"
        parts += f"--{mark}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return self._ask(urllib.request.Request(self._at("gradio_api/upload"), parts, kind))

    def call(self, event: dict[str, Any], data: list[Any]) -> Answer:
        """An event as the page would send it: at once, or through the queue to its last message."""
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session}
        if not event["queue"]:
            return self.post("gradio_api/run/predict", body)
        status, text = self.post("gradio_api/queue/join", body)
        if status != 200:
            return status, text
        return 200, "\n".join(self.messages())

    def stylize(self, content: str, style: str, **options: Any) -> Iterator[dict[str, Any]]:
        """The messages of a run of the public API."""
        if (answer := self.ask(content, style, **options))[0] != 200:
            raise ValueError(answer[1])
        return (json.loads(line) for line in self.messages())

    def ask(self, content: str, style: str, **options: Any) -> Answer:
        """Starts a run and does not listen to its answers."""
        names = ("method", "gamma", "size", "iterations", "seed", "encoder", "preset", "colours")
        usual = {"size": 64, "iterations": 3, "seed": 0, "preset": "balanced"}
        data = [file(content), file(style), *((usual | options).get(name) for name in names)]
        body = {"data": data, "fn_index": self.event("stylize")["id"], "session_hash": self.session}
        return self.post("gradio_api/queue/join", body)

    def messages(self) -> Iterator[str]:
        """What the queue sends this session, until it closes the stream."""
        address = self._at(f"gradio_api/queue/data?session_hash={self.session}")
        with self._open(urllib.request.Request(address)) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    text = line[6:].decode(errors="replace").strip()
                    yield text
                    if '"msg":"close_stream"' in text:
                        return


def file(path: str) -> dict[str, Any]:
    """A file as the page names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": path.rpartition("/")[2]}


def together(*jobs: Any) -> None:
    """Runs functions at the same time until all have ended."""
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def cpu_seconds(process: int) -> float:
    """The CPU time that a process has used."""
    with open(f"/proc/{process}/stat") as status:
        fields = status.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: int, name: str = "VmRSS") -> float:
    """MB of a process; VmHWM is the most it had."""
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1000


def noise(width: int, height: int, seed: int = 0) -> bytes:
    """A small valid image, a binary PPM."""
    return b"P6 %d %d 255\n" % (width, height) + random.Random(seed).randbytes(3 * width * height)

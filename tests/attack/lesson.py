"""A lesson: many pages behind one address upload, change settings and run at the same time."""

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from client import DIRECT, Client, file, noise, together

CHANGES: tuple[dict[str, Any], ...] = ({"gamma": 0.5}, {"gamma": 2.0}, {"method": "bn"}, {"gamma": 3.0})


@dataclass
class Lesson:
    """The outcome. refused: the answers other than 200. seconds: the time that each live image took."""

    refused: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)


def page_values(client: Client, event: dict[str, Any], changed: dict[str, Any]) -> list[Any]:
    """The values of an event's inputs as the page has them, with some changed by their element's name."""
    values = client.usual(event)
    for place, component in enumerate(event["inputs"]):
        name = client.components[component]["props"].get("elem_id")
        values[place] = changed.get(name, values[place])
    return values


def pupil(lesson: Lesson, page: Client, number: int, size: int, pause: float, steps: int) -> None:
    """One page: two uploads, four changes (each sent when the one before is answered), then a run."""
    chance = random.Random(number)
    paths = []
    for name in "ab":
        status, text = page.try_upload((f"{name}.ppm", noise(size + number, size, number)))
        if status != 200:
            lesson.refused.append(f"upload: {status} {text}")
            return
        paths += json.loads(text)
    follow = page.event("follow")
    chosen: dict[str, Any] = {"contents": file(paths[0]), "styles": file(paths[1]), "size": size}
    for change in CHANGES:
        time.sleep(pause * chance.random())
        chosen |= change
        values = page_values(page, follow, chosen)
        begun = time.monotonic()
        status, text = page.call(follow, values)
        lesson.seconds.append(time.monotonic() - begun)
        if status != 200 or ".webp" not in text:
            lesson.refused.append(f"live image: {status} {text[:200]}")
    try:
        messages = list(page.stylize(*paths, size=size, iterations=steps))
    except (ValueError, OSError) as error:
        lesson.refused.append(f"run: {error}")
        return
    last = [message for message in messages if message["msg"] == "process_completed"]
    lesson.ends["done" if last and last[-1]["success"] else json.dumps(last)[:200]] += 1


def lesson(
    url: str,
    pupils: int = 30,
    size: int = 64,
    pause: float = 0.0,
    steps: int = 2,
    address: str = "192.0.2.30",
    timeout: float = 300.0,
) -> Lesson:
    """A lesson of many pages behind one address."""
    happened, pages = Lesson(), [Client(url, address, timeout=timeout) for _ in range(pupils)]
    assert pages[0].config  # read once for all
    leave = threading.Event()
    hearts = [threading.Thread(target=heartbeat, args=(page, leave), daemon=True) for page in pages]
    for heart in hearts:
        heart.start()
    together(*(lambda n=n, p=p: pupil(happened, p, n, size, pause, steps) for n, p in enumerate(pages)))
    leave.set()
    return happened


def heartbeat(page: Client, leave: threading.Event) -> None:
    """Holds the stream that every page keeps open."""
    import urllib.request

    request = urllib.request.Request(page.url + f"gradio_api/heartbeat/{page.session}")
    request.add_header("X-Forwarded-For", page.address)
    with DIRECT.open(request, timeout=page.timeout) as stream:
        stream.readline()
        leave.wait()

"""Turns and the store without an app: the order, the files that make way, and the size of what is stored."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from demo.guard import middleware
from demo.runs import connections, store, turns, uploads
from demo.runs.connections import Connections
from demo.runs.store import Store, occupied
from demo.runs.turns import Lane, Ticket, Turns


async def never() -> None:
    """A client that stays."""
    await asyncio.Event().wait()


def served(arrivals: list[tuple[str, str]], places: int = 1) -> list[tuple[str, str]]:
    """In which order a lane serves requests that arrive while one of "first" is at work."""
    order: list[tuple[str, str]] = []

    async def one(lane: Lane, who: tuple[str, str]) -> None:
        async with lane.turn(Ticket(who), never):
            order.append(who)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        lane = Lane(places)
        async with lane.turn(Ticket(("first", "")), never):
            tasks = [asyncio.create_task(one(lane, who)) for who in arrivals]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())
    return order


def test_addresses_take_turns_and_so_do_sessions_of_an_address() -> None:
    flood = [("flood", f"{number}") for number in range(20)]
    order = served([*flood, ("school", "ann"), ("school", "ann"), ("school", "bob"), ("home", "eve")])
    assert {order.index(one) for one in (("school", "ann"), ("home", "eve"))} <= {0, 1, 2}
    assert order.index(("school", "bob")) < 5, "bob comes before ann's second request"
    assert len(order) == 24 and order[-10:] == [("flood", f"{number}") for number in range(10, 20)]


def test_an_address_that_always_has_more_in_line_does_not_come_first_each_time() -> None:
    waiting = [("flood", str(number)) for number in range(5)] + [("school", "ann")]
    line = Turns()
    line.took(("flood", "before"))
    order = []
    for _ in range(4):
        line.sort(waiting, lambda who: who)
        order.append(waiting.pop(0)[0])
        line.took((order[-1], ""))
        waiting += [("school", "bob")] if order[-1] == "school" else []
    assert order == ["school", "flood", "school", "flood"]


def test_an_address_that_waits_for_slow_files_leaves_places_for_others() -> None:
    """Two slow files of one address, several of another: a third address works at once."""

    async def slow(lane: Lane, who: tuple[str, str], end: asyncio.Event) -> None:
        async with lane.turn(Ticket(who), never):
            await end.wait()

    async def all_of_them() -> None:
        lane, end = Lane(middleware.IMAGES, middleware.IMAGES_EACH), asyncio.Event()
        tasks = [asyncio.create_task(slow(lane, ("a", str(number)), end)) for number in range(9)]
        tasks += [asyncio.create_task(slow(lane, ("b", str(number)), end)) for number in range(2)]
        await asyncio.sleep(0)
        assert [ticket.who[0] for ticket in lane._working].count("a") == middleware.IMAGES_EACH
        async with lane.turn(Ticket(("c", "")), never):
            assert not any(task.done() for task in tasks)
        end.set()
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())


def test_what_is_stored_of_past_turns_is_bounded() -> None:
    line = Turns()
    for number in range(10_000):
        line.took((str(number), "session"))
    assert len(line._last) <= turns.MOST


def test_a_newer_request_replaces_an_older_one_that_waits_and_others_stay() -> None:
    said: list[str] = []

    async def one(lane: Lane, name: str, ticket: Ticket) -> None:
        try:
            async with lane.turn(ticket, never):
                said.append(name)
        except HTTPException as error:
            said.append(f"{name} {error.status_code}")

    async def all_of_them() -> None:
        lane, ann = Lane(1), ("school", "ann")
        async with lane.turn(Ticket(("first", "")), never):
            tickets = {"old": Ticket(ann, 7), "other event": Ticket(ann, 8), "new": Ticket(ann, 7)}
            tickets |= {"other session": Ticket(("school", "bob"), 7)}
            tasks = [asyncio.create_task(one(lane, *item)) for item in tickets.items()]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())
    assert said[0] == "old 409" and sorted(said[1:]) == ["new", "other event", "other session"]


@pytest.mark.parametrize("reason", ["too long", "left", "cancelled"])
def test_who_waits_too_long_or_leaves_gives_the_place_back(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.01 if reason == "too long" else 30.0)

    async def gone() -> None:
        await (never() if reason != "left" else asyncio.sleep(0))

    async def wait(lane: Lane) -> int:
        with pytest.raises(HTTPException) as refusal:
            async with lane.turn(Ticket(("school", "ann")), gone):
                raise AssertionError
        return refusal.value.status_code

    async def all_of_them() -> None:
        lane = Lane(1)
        async with lane.turn(Ticket(("first", "")), never):
            task = asyncio.create_task(wait(lane))
            if reason == "cancelled":
                await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            else:
                assert await task == 503
        async with lane.turn(Ticket(("second", "")), never):  # at once: the place is free
            assert not lane._waiting and len(lane._working) == 1
        assert not lane._working

    asyncio.run(all_of_them())


def test_open_requests_and_streams_are_bounded_and_forgotten_when_they_end() -> None:
    counted = Connections()
    with counted.stream("ann", "school", answers=False):
        assert not counted.listening("ann") and counted.addresses == {"ann": "school"}
        more = [counted.stream("ann", "school", answers=True) for _ in range(connections.STREAMS)]
        for stream in more[:-1]:
            stream.__enter__()
        assert counted.listening("ann") and not counted.listening("bob") and not counted.listening("")
        with pytest.raises(HTTPException), more[-1]:
            raise AssertionError
        for stream in more[:-1]:
            stream.__exit__(None, None, None)
    assert not counted.addresses and not counted._streams and not counted._listening
    requests = [counted.request("flood") for _ in range(connections.OPEN)]
    for request in requests:
        request.__enter__()
    with pytest.raises(HTTPException), counted.request("flood"):
        raise AssertionError
    with counted.request("school"):
        pass
    for request in requests:
        request.__exit__(None, None, None)
    assert not counted._requests


def put(place: Store, owner: str, name: str, size: int, age: float = 0.0) -> Path:
    """A file of an owner in a folder of its own, as if it were `age` seconds old."""
    path = place.folder / f"{owner}-{name}" / "image.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))
    place.add(str(path), owner)
    whose, taken, since = place._files[str(path)]
    place._files[str(path)] = (whose, taken, since - age)
    return path


def test_the_store_counts_the_disk_space_of_tiny_files(tmp_path: Path) -> None:
    place = Store(tmp_path, 1e9, 1e9)
    for number in range(20):
        put(place, "flood", str(number), 1)
    on_disk = sum(os.lstat(base).st_blocks * 512 for base, *_ in os.walk(tmp_path)) + sum(
        path.stat().st_blocks * 512 for path in tmp_path.rglob("*") if path.is_file()
    )
    assert place.held("flood") == place.held() == 20 * occupied(1) >= 20 * 4096
    assert on_disk <= place.held() + 4096
    place.add(next(iter(place._files)), "school")  # the same file again
    assert place.held() == 20 * occupied(1) and place.held("school") == 0


def test_a_share_of_an_address_leaves_space_for_others(tmp_path: Path) -> None:
    place = Store(tmp_path, 100_000, 50_000)
    for number in range(5):
        put(place, "flood", str(number), 4000)  # 8192 each
    assert not place.reserve("flood", 10_000) and place.reserve("school", 49_000)
    assert not place.reserve("home", 20_000), "what is on its way counts"
    place.release("school", 49_000)
    assert place.reserve("home", 49_000) and place.held("school") == 0


def test_old_files_make_way_the_greediest_owner_s_first_and_young_ones_do_not(tmp_path: Path) -> None:
    place = Store(tmp_path, 50_000, 30_000)
    old = [put(place, "flood", f"old{number}", 4000, age=2000) for number in range(3)]
    mine = put(place, "school", "old", 4000, age=3000)
    young = put(place, "school", "young", 4000)
    assert place.reserve("home", 15_000), "one of the flood's files makes way"
    place.release("home", 15_000)
    assert [path.exists() for path in old] == [False, True, True] and mine.exists() and young.exists()
    assert not old[0].parent.exists()
    assert place.reserve("school", 20_000) and not mine.exists(), "over its share, its own files make way"
    assert young.exists() and not place.reserve("school", 9_000)


def test_the_sweep_takes_what_is_old_what_nobody_counted_and_empty_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Store(tmp_path, 1e9, 1e9)
    old, young = put(place, "a", "old", 10, age=store.KEPT + 1), put(place, "a", "young", 10)
    stray = tmp_path / "tmp123456"  # a file that no request owns
    stray.write_bytes(bytes(5000))
    long_ago = time.time() - store.KEPT - 60
    ancient, empty = tmp_path / "x" / "ancient", tmp_path / "empty"
    ancient.parent.mkdir()
    empty.mkdir()
    ancient.write_bytes(b"1")
    for path in (ancient, ancient.parent, empty):
        os.utime(path, (long_ago, long_ago))
    young.with_name("gone.png").write_bytes(b"1")
    place.add(str(young.with_name("gone.png")), "a")
    young.with_name("gone.png").unlink()
    gone = place.sweep()
    assert {str(old), str(ancient), str(young.with_name("gone.png"))} == set(gone)
    assert young.exists() and stray.exists() and not empty.exists() and not old.parent.exists()
    assert place.held("a") == occupied(10) and place.held("") == occupied(5000)
    os.utime(stray, (long_ago, long_ago))
    place._files[str(stray)] = (*place._files[str(stray)][:2], long_ago)
    assert place.sweep() == [str(stray)] and not stray.exists() and place.sweep() == []


def test_files_of_the_page_itself_and_foreign_files_are_never_removed(tmp_path: Path) -> None:
    place = Store(tmp_path / "cache", 1e5, 1e5)
    pages, foreign = place.folder / "a" / "example.jpg", tmp_path / "foreign.jpg"
    pages.parent.mkdir(parents=True)
    for path in (pages, foreign):
        path.write_bytes(b"1")
        os.utime(path, (0, 0))
    place.protect_present()
    for path in (pages, foreign):
        place.add(str(path), "flood")
    assert place.held() == 0 and place.sweep() == [] and not place.reserve("flood", 10**6)
    assert pages.exists() and foreign.exists() and place.held() == 0


def test_the_sweep_goes_on_whatever_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "SWEEP_EVERY", 0.001)
    place = Store(tmp_path, 1e9, 1e9)
    results = iter(
        [RuntimeError("Set changed size during iteration"), OSError("no disk"), KeyboardInterrupt()]
    )

    def sweep() -> list[str]:
        raise next(results)

    monkeypatch.setattr(place, "sweep", sweep)
    with pytest.raises(KeyboardInterrupt):
        place.keep_clean(lambda gone: None)
    assert caplog.text.count("goes on") == 2


@pytest.mark.parametrize("waits", ["for another upload", "for nothing"])
def test_an_upload_without_disk_space_is_refused_in_words(
    waits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may take the space at any moment: it is checked and reserved at once."""
    asked: list[int] = []
    monkeypatch.setattr(uploads.STORE, "reserve", lambda owner, size: bool(asked.append(size)))
    monkeypatch.setattr(uploads, "PATIENCE", 1)
    taking = uploads.Uploads()
    taking._under_way = {"other": ("", 0)} if waits == "for another upload" else {}
    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    parts = [{"type": "http.request", "body": b"x" * 50, "more_body": more} for more in (False, True)]

    async def receive() -> Any:
        return parts.pop()

    with pytest.raises(HTTPException, match="no disk space") as refusal:
        asyncio.run(taking.take(Request(scope, receive), "flood"))
    assert refusal.value.status_code == 503 and len(asked) == (2 if taking._under_way else 1)
    assert not parts, "a browser shows the answer only after it has sent everything"

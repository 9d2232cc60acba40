"""Pages of other sites, and names that an attacker can point at this machine: neither may use the app."""

import dataclasses
import json
import urllib.request

import pytest
from attacked import Host
from client import DIRECT, Client, noise
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from demo.guard import origins
from demo.runs import connections
from demo.runs.limits import LIMITS

OWN = ["localhost", "[::1]", "192.168.178.20", "teacher-laptop", "teacher-laptop.local"]
OWN += ["0123456789.gradio.live", "art.example.org"]  # the last one by NSTLIB_HOSTS
HOME = [  # Host, Origin, whether it may
    *((f"{name}:7860", f"http://{name}:7860", True) for name in OWN),
    ("127.0.0.1:7860", None, True),
    ("127.0.0.1:7860", "https://art.example.org", True),  # of a proxy that does not pass the name on
    ("evil.example:7860", "http://evil.example:7860", False),
    ("evil.example:7860", None, False),
    ("evil.example.", None, False),
    ("127.0.0.1.evil.example", None, False),
    ("localhost.evil.example", None, False),
    ("127.0.0.1:7860", "https://evil.example", False),
    ("127.0.0.1:7860", "null", False),
    ("127.0.0.1:7860", "", False),
    ("127.0.0.1:7860", "http://[::1", False),
    ("127.0.0.1:7860", "https://user.hf.space", False),
    ("a:b@evil.example", None, False),
]
PUBLIC = [
    ("user-space.hf.space", "https://user-space.hf.space", True),
    ("user-space.hf.space", "https://huggingface.co", True),
    ("user-space.hf.space", None, True),
    ("art.example.org", "https://art.example.org", True),  # a Space's own domain
    ("user-space.hf.space", "https://evil.example", False),
    ("user-space.hf.space", "https://evilhuggingface.co", False),
    ("user-space.hf.space", "https://hf.space.evil.example", False),
    ("user-space.hf.space", "null", False),
]


@pytest.mark.parametrize(
    ("public", "host", "origin", "may"), [(False, *one) for one in HOME] + [(True, *one) for one in PUBLIC]
)
def test_who_may_address_the_app(
    monkeypatch: pytest.MonkeyPatch, public: bool, host: str, origin: str | None, may: bool
) -> None:
    limits = dataclasses.replace(LIMITS, public=public, hosts=frozenset({"art.example.org"}))
    monkeypatch.setattr(origins, "LIMITS", limits)
    monkeypatch.setattr(origins, "OWN", {"art.example.org"})
    headers = Headers({"host": host} | ({} if origin is None else {"origin": origin}))
    if may:
        origins.check_origin(headers)
    else:
        with pytest.raises(HTTPException) as refusal:
            origins.check_origin(headers)
        assert refusal.value.status_code == 403


def test_a_proxy_may_say_under_which_name_it_was_asked() -> None:
    headers = {"host": "127.0.0.1:7860", "origin": "https://art.example.org"}
    origins.check_origin(Headers(headers | {"x-forwarded-host": "art.example.org"}))
    with pytest.raises(HTTPException):
        origins.check_origin(Headers(headers | {"x-forwarded-host": "other.example.org"}))


@pytest.mark.parametrize(
    ("public", "client", "forwarded", "counts_for"),
    [
        (False, "192.168.1.7", ["198.51.100.1"], "192.168.1.7"),  # at home, no header is believed
        (True, "10.0.0.1", [], "10.0.0.1"),
        (True, "10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        (True, "10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # the first is the client's own word
        (True, "10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        (True, "10.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (True, "10.0.0.1", ["2001:db8:1:2:ffff::1"], "2001:db8:1:2::/64"),  # one customer has them all
        (True, "10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        (True, "10.0.0.1", ["x" * 5000], "x" * 64),
        (True, "10.0.0.1", [" "], "10.0.0.1"),
    ],
)
def test_whom_a_request_counts_for(
    monkeypatch: pytest.MonkeyPatch, public: bool, client: str, forwarded: list[str], counts_for: str
) -> None:
    monkeypatch.setattr(connections, "LIMITS", dataclasses.replace(LIMITS, public=public))
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    assert connections.address({"type": "http", "client": (client, 1), "headers": headers}) == counts_for


def ask(
    url: str, body: bytes | None = None, method: str | None = None, **headers: str
) -> tuple[int, dict, str]:
    """(status, headers of the answer in small letters, text) of any request."""
    request = urllib.request.Request(url, body, {name.replace("_", "-"): v for name, v in headers.items()})
    request.method = method or request.get_method()
    try:
        with DIRECT.open(request, timeout=30) as answer:
            status, said, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, said, text = error.code, error.headers, error.read()
    return status, {name.lower(): value for name, value in said.items()}, text.decode(errors="replace")


def assert_foreign_pages_get_nothing(url: str) -> None:
    """A page of another site gets nothing done by the app at this URL, and reads nothing of it."""
    client = Client(url)
    number = client.event("check")["id"]
    body = json.dumps({"data": [None], "fn_index": number}).encode()
    run = f"{url}gradio_api/run/predict"
    assert ask(run, body, Content_Type="application/json")[0] == 200, "no page: a program"
    here = url.rstrip("/")
    assert ask(run, body, Content_Type="application/json; charset=utf-8", Origin=here)[0] == 200
    foreign = {"Origin": "https://evil.example"}
    for status, headers, text in (
        ask(run, body, Content_Type="application/json", **foreign),
        ask(run, body, Content_Type="text/plain", **foreign),
        ask(f"{url}gradio_api/upload", b"x", Content_Type="multipart/form-data; boundary=x", **foreign),
        ask(f"{url}config", **foreign),
        ask(run, method="OPTIONS", Access_Control_Request_Method="POST", **foreign),
    ):
        assert status in (403, 404) and "error" in text
        assert not [name for name in headers if name.startswith("access-control")], headers
    status, _, text = ask(run, body, Content_Type="text/plain")
    assert status == 415 and "application/json" in text
    assert ask(run, body, Content_Type="application/x-www-form-urlencoded")[0] == 415


def test_a_foreign_page_gets_nothing_done_and_reads_nothing(host: Host) -> None:
    assert_foreign_pages_get_nothing(host.app.url)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?deep_link=0123456789a", 200),
        ("?deep_link=../../x&deep_link=y", 200),
        ("config?deep_link=abc", 200),
        ("?page=nowhere&__theme=dark&gamma=2", 200),
        ("gradio_api/info?page=nowhere", 200),
    ],
)
def test_query_parameters_that_are_not_needed_are_dropped(host: Host, path: str, status: int) -> None:
    assert host.client().get(path)[0] == status


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=9-2", "bytes=-", "bytes=a-b", "bytes=99999999-999999999"]
)
def test_strange_ranges_of_a_file_give_the_file(client: Client, asked: str) -> None:
    data = noise(40, 40)
    (path,) = client.upload(("a.ppm", data))
    status, text = client.get(f"gradio_api/file={path}", {"Range": asked})
    assert status == 200 and text == data.decode(errors="replace")

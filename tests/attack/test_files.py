"""No event of the app, listed or not, reads a file that is not the client's own."""

import json
from pathlib import Path

import pytest
from app_server import ROOT
from attacked import CANARY, Host
from client import DIRECT, file, noise

MARKS = (CANARY, "See four notions of style", "[core]", "root:")
OWN = ROOT / "app.py", ROOT / ".git" / "config", ROOT / ".git", Path("/etc/passwd"), Path("/no/such/file.png")


def claims(path: str, uploads: Path) -> list[object]:
    """All the ways to name a file that we could think of."""
    meta = {"_type": "gradio.FileData"}
    into = f"{uploads}/x/../../../../../../../../{path}"
    return [
        {"path": path},
        {"path": path, "orig_name": "x.svg"},
        {"path": path, "orig_name": "x.svg", "meta": meta},
        {"path": path, "meta": {"_type": "gradio.FileData"}, "is_stream": True},
        {"path": path, "url": f"/gradio_api/file={path}", "mime_type": "image/png"},
        {"path": None, "url": f"file://{path}", "meta": meta},
        {"url": f"data:image/svg+xml,%3Csvg%3E{CANARY}%3C/svg%3E"},
        {"path": f"file://{path}", "meta": meta},
        {"path": into, "orig_name": "x.svg"},
        {"path": [path], "meta": meta},
        {"path": {"path": path, "meta": meta}},
        {"path": path + "\0.png"},
        {"path": f"/gradio_api/file={path}", "orig_name": "x.svg", "meta": meta},
        {"value": {"path": path, "meta": meta}, "__type__": "update"},
        {"background": {"path": path}, "layers": [{"path": path}], "composite": {"path": path}},
        [{"path": path, "orig_name": "x.svg"}],
        [[{"a": [{"image": {"path": path, "meta": meta}}]}]],
        path,
    ]


def test_every_event_of_every_kind_is_attacked_and_none_gives_a_file(host: Host) -> None:
    client, tried = host.client(), 0
    events = client.config["dependencies"]
    assert len(events) > 20 and {e["api_visibility"] for e in events} >= {"private", "public"}
    targets = [*map(str, host.secrets[:1]), *map(str, OWN[:1])]
    for event in events:
        usual = client.usual(event)
        for place, component in enumerate(event["inputs"]):
            images = client.components[component]["type"] == "image"
            if event["queue"] and not images:
                continue  # runs of a second each: their other inputs are tried in test_values
            for path in targets[: 2 if images and not event["queue"] else 1]:
                # All claims for images, two for other inputs: other ones from input to input.
                first, every = (0, 1) if images else (place % 9, 9)
                for claim in claims(path, host.app.files)[first::every]:
                    data = [*usual[:place], claim, *usual[place + 1 :]]
                    # A session costs the app more than a request; runs of one session are bounded.
                    asking = host.client() if event["queue"] else client
                    status, text = asking.call(event, data)
                    tried += 1
                    _is_silent(host, text, f"event {event['api_name']} ({status}) with {claim}")
    assert tried > 400


def _is_silent(host: Host, text: str, what: str) -> None:
    """No answer holds what the file holds, nor where it could be fetched."""
    claimed = text.replace(f"%3Csvg%3E{CANARY}", "")  # what the client sent itself
    assert not [mark for mark in MARKS if mark in claimed], f"{what}: {text[:500]}"
    for found in _paths(text):
        status, body = host.client().get(f"gradio_api/file={found}")
        assert not [mark for mark in MARKS if mark in body], f"{what} → {found} ({status})"


def _paths(text: str) -> set[str]:
    """Every path named in an answer, and every later message of it."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                found.add(value["path"])
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    for line in text.splitlines():
        if line.startswith("{"):
            walk(json.loads(line))
    return found


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_files_that_exist_and_files_that_do_not_get_the_same_answer(host: Host, path: Path) -> None:
    client = host.client()
    check = client.event("check")
    absent = client.call(check, [{"path": "/surely/not/there.png"}])
    assert client.call(check, [{"path": str(path)}]) == absent and "not uploaded here" in absent[1]


@pytest.mark.parametrize("route", ["run/predict", "run/lambda_3", "api/check", "call/stylize", "queue/join"])
def test_the_published_attack_by_every_route(host: Host, route: str) -> None:
    client = host.client()
    claim = {"path": str(ROOT / "app.py"), "orig_name": "x.svg"}
    data = [claim] if "stylize" not in route else [claim, claim, None, None, None, None, 0, None, "balanced"]
    for number in [None, *range(60)] if route == "run/predict" else [None]:
        body = {"data": data, "session_hash": client.session}
        _, text = client.post(
            f"gradio_api/{route}", body | ({"fn_index": number} if number is not None else {})
        )
        _is_silent(host, text, route)
    status, text = client.get(f"gradio_api/file={ROOT / 'app.py'}")
    assert status == 404 and "import" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "//etc/passwd",
        str(ROOT / "app.py"),
        "app.py",
        ".git/config",
        "../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:1/",
        "https://example.com/x.png",
        "%2fetc%2fpasswd",
        "..%2f..%2fetc%2fpasswd",
        "\\etc\\passwd",
        "/proc/self/environ",
        "/dev/zero",
    ],
)
def test_the_route_of_files_serves_the_app_s_own_only(host: Host, path: str) -> None:
    for route in (
        f"gradio_api/file={path}",
        f"gradio_api/file/{path}",
        f"file={path}",
        f"gradio_api/proxy={path}",
    ):
        try:
            status, text = host.client().get(route)
        except ValueError:  # a control character: no request leaves
            continue
        assert status in (400, 404) and "root:" not in text, route


def test_links_out_of_the_folder_lead_nowhere(host: Host) -> None:
    (path,) = host.client().upload(("a.ppm", noise(40, 40)))
    link = Path(path).parent / "link.png"
    link.symlink_to(host.secrets[1])
    try:
        assert host.client().get(f"gradio_api/file={link}")[0] == 404
        status, _ = host.client().call(host.client().event("check"), [file(str(link))])
        assert status == 500
    finally:
        link.unlink()


def test_uploads_and_results_are_served_with_headers_that_keep_them_images(host: Host) -> None:
    client = host.client()
    (path,) = client.upload(("x.html", b"<script>alert(1)</script>"))
    headers = client.headers(f"gradio_api/file={path}")
    assert "attachment" in headers["content-disposition"] and headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    page = client.headers("")
    assert page["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self' https://huggingface.co" in page["content-security-policy"]


@pytest.mark.parametrize("depth", [13, 500, 100_000])
def test_deep_values_are_refused(host: Host, depth: int) -> None:
    client = host.client()
    number = client.event("check")["id"]
    body = b'{"fn_index": %d, "data": [%s%s]}' % (number, b"[" * depth, b"]" * depth)
    status, _ = client.post("gradio_api/run/predict", body)
    assert 400 <= status <= 500
    assert client.get("config")[0] == 200


def test_an_upload_is_bounded_as_a_whole(host: Host) -> None:
    client = host.client()
    assert client.try_upload(("a.ppm", noise(1000, 1000)))[0] == 200
    status, text = client.try_upload(*((f"{n}.ppm", noise(800, 800, n)) for n in range(3)))
    assert status == 413 and "4mb" in text


def test_an_upload_without_a_length_is_bounded_too(host: Host) -> None:
    import urllib.request

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(40):
            yield bytes(1_000_000)

    request = urllib.request.Request(
        host.app.url + "gradio_api/upload", endless(), {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(OSError):  # refused with a status, or the connection closed before all was sent
        DIRECT.open(request, timeout=30)
    largest = max(path.stat().st_size for path in host.app.files.rglob("*") if path.is_file())
    assert largest < 5_000_000

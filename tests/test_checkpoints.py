"""Weight files against a local HTTP server: good, truncated, wrong hash, missing, slow; and local files."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import nstlib
from nstlib import WeightsError
from nstlib.encoders import weight_files
from nstlib.encoders.networks import torchvision_models


class Handler(http.server.BaseHTTPRequestHandler):
    payload = b""

    def do_GET(self) -> None:
        kind = self.path.rpartition("/")[2].partition("-")[0]
        if kind == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.payload)))
        self.end_headers()
        if kind == "slow":
            self.wfile.write(self.payload[:100])
            self.wfile.flush()
            time.sleep(3)
        elif kind == "truncated":
            self.wfile.write(self.payload[: len(self.payload) // 2])
        elif kind == "damaged":
            self.wfile.write(b"\0" * len(self.payload))
        else:
            self.wfile.write(self.payload)

    def log_message(self, *_: object) -> None:
        pass


def slim_vgg19_state() -> dict[str, Tensor]:
    """A checkpoint with torchvision's key names (and a classifier to be left alone), tiny in width."""
    generator = torch.Generator().manual_seed(0)
    state, index, channels = {}, 0, 3
    for depth, width in zip((2, 2, 4, 4, 4), (4, 4, 8, 8, 8), strict=True):
        for _ in range(depth):
            weight = torch.randn(width, channels, 3, 3, generator=generator)
            state[f"features.{index}.weight"] = weight / (9 * channels) ** 0.5
            state[f"features.{index}.bias"] = torch.zeros(width)
            channels, index = width, index + 2
        index += 1
    return state | {"classifier.0.weight": torch.randn(300, 300, generator=generator)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("server") / "checkpoint.pth"
    torch.save(slim_vgg19_state(), path)
    Handler.payload = path.read_bytes()
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


@pytest.fixture
def official(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Points "vgg19" at a file of the local server, with an empty cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("NSTLIB_WEIGHTS", raising=False)
    from nstlib.encoders.encoder import _load

    _load.cache_clear()

    def point(kind: str, sha256: str | None = None) -> str:
        class Source(weight_files.Source):
            file = f"{kind}-0a1b2c3d.pth"
            url = f"{server}/{file}"

        digest = sha256 or hashlib.sha256(Handler.payload).hexdigest()
        monkeypatch.setitem(weight_files.SOURCES, "vgg19", Source("vgg19", digest))
        return Source.url

    yield point
    _load.cache_clear()


def cached(tmp_path: Path) -> list[Path]:
    return sorted(p for p in (tmp_path / "torch").rglob("*") if p.is_file())


def test_a_good_file_is_downloaded_once_and_used(official, tmp_path: Path, monkeypatch) -> None:
    official("good")
    encoder = nstlib.load_encoder("vgg19")
    assert encoder.layers[-1] == "relu5_4" and encoder.channels["relu3_1"] == 8
    assert encoder.weights_hash == hashlib.sha256(Handler.payload).hexdigest()
    assert [p.name for p in cached(tmp_path)] == ["good-0a1b2c3d.pth"]
    held = sum(p.numel() for stage in encoder.network.stages.values() for p in stage.parameters())
    assert held == sum(v.numel() for k, v in slim_vgg19_state().items() if k.startswith("features"))
    monkeypatch.setattr(weight_files, "download", lambda *_: pytest.fail("downloaded twice"))
    assert weight_files.find("vgg19") == cached(tmp_path)[0]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "stopped after|IncompleteRead|more expected"),
        ("damaged", "has SHA-256"),
        ("missing", "404"),
    ],
)
def test_bad_downloads_name_url_file_and_remedy(kind: str, message: str, official, tmp_path: Path) -> None:
    url = official(kind)
    with pytest.raises(WeightsError, match=message) as error:
        nstlib.load_encoder("vgg19")
    text = str(error.value)
    assert text.count(url) == text.count(str(tmp_path / "torch")) == 1
    assert "NSTLIB_WEIGHTS" in text and "--encoder vgg19-slim" in text and "weights=" not in text
    assert cached(tmp_path) == []


def test_a_stalled_download_ends(official, server: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="timed out"):
        weight_files.download(f"{server}/slow-1.pth", tmp_path / "a" / "w.pth", "0" * 64, timeout=0.3)
    assert list((tmp_path / "a").iterdir()) == []


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="could not download http://127.0.0.1:9/w.pth"):
        weight_files.download("http://127.0.0.1:9/w.pth", tmp_path / "w.pth", "0" * 64)


def test_a_damaged_file_in_the_cache_is_found_out(official, tmp_path: Path) -> None:
    official("good")
    weight_files.find("vgg19")
    path = cached(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-5] + b"oops!")
    with pytest.raises(WeightsError, match="is damaged or not the official file.*Delete it"):
        nstlib.load_encoder("vgg19")


@pytest.mark.parametrize("folder", [True, False])
def test_the_environment_variable(folder: bool, official, tmp_path: Path, monkeypatch) -> None:
    official("good")
    path = tmp_path / "usb" / ("good-0a1b2c3d.pth" if folder else "mine.pth")
    path.parent.mkdir()
    path.write_bytes(Handler.payload)
    monkeypatch.setenv("NSTLIB_WEIGHTS", str(path.parent if folder else path))
    assert weight_files.find("vgg19") == path
    assert cached(tmp_path) == []


def test_a_local_file_in_either_format(tmp_path: Path) -> None:
    state = slim_vgg19_state()
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    first, second = (
        nstlib.load_encoder("vgg19", weights=tmp_path / f"w.{kind}")(image, ["relu4_2"])["relu4_2"]
        for kind in ("pth", "safetensors")
    )
    torch.testing.assert_close(first, second)


def test_local_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"epoch": 3}, tmp_path / "log.pth")
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "part.pth")
    torch.save(Path, tmp_path / "code.pth")  # weights_only refuses to run what a pickle asks for
    for name, message in {
        "absent.pth": "no such weight file: ",
        "text.pth": "cannot read",
        "log.pth": "no state dict",
        "part.pth": "does not fit vgg19",
        "code.pth": "cannot read",
    }.items():
        with pytest.raises(WeightsError, match=message) as error:
            nstlib.load_encoder("vgg19", weights=tmp_path / name)
        assert name in str(error.value)


def test_official_urls_and_hashes_agree() -> None:
    """torchvision names its files with the first eight digits of their SHA-256."""
    for name, source in weight_files.SOURCES.items():
        assert len(source.sha256) == 64
        weights = torchvision_models().get_model_weights(name).IMAGENET1K_V1
        assert source.url == weights.url and source.url.endswith(f"/{source.file}")


def test_the_embedded_file_is_small_and_half_precision() -> None:
    assert weight_files.EMBEDDED.stat().st_size <= 4_000_000
    assert {t.dtype for t in weight_files.read(weight_files.EMBEDDED).values()} == {torch.float16}

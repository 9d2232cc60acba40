"""The app away from home, on a Space and in a container: the same versions, a start without a network."""

import importlib
import os
import re
import shutil
import signal
import urllib.request

import pytest
from app_server import ROOT, running
from test_shutdown import assert_ends

import demo
from demo.runs import limits


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_space_has_the_versions_that_are_tested_here():
    space, home = pins("requirements-space.txt"), pins("requirements.txt")
    assert {name: home.get(name) for name in space if name != "spaces"} == {
        name: version for name, version in space.items() if name != "spaces"
    }
    front = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    told = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert told["sdk"] == "gradio" and told["sdk_version"] == home["gradio"]
    assert (ROOT / told["app_file"]).is_file() and told["python_version"] == '"3.12"'
    assert len(told["short_description"]) <= 60


def test_the_container_has_all_that_the_app_needs_and_ctrl_c_ends_its_warm_up(tmp_path):
    """The Dockerfile's COPY lines alone make a folder where the app starts, with every download refused."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    for line in (line for line in lines if line.startswith("COPY ")):
        *sources, target = line.removeprefix("COPY ").split()
        for source in sources:
            place = tmp_path / target / (source if target == "./" else "")
            path = ROOT / source
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, place, **({"dirs_exist_ok": True} if path.is_dir() else {}))
    assert re.search(r"^USER (?!root)", "\n".join(lines), re.M) and "EXPOSE 7860" in lines
    nowhere = "http://127.0.0.1:9"  # nobody listens: whatever asks for another host fails
    proxies = {name: nowhere for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    empty, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    app = running(
        "container",
        folder=tmp_path,
        no_proxy="school.example",  # without this machine, which Gradio asks whether the app is up
        NSTLIB_FRAME_ANCESTORS="https://*.school.example",
        NSTLIB_SIZE="",  # the warm-up measures how fast the machine is
        TMPDIR=str(temporary),
        GRADIO_TEMP_DIR="",
        OMP_NUM_THREADS="1",
        HOME=str(tmp_path),
        TORCH_HOME=str(empty),
        HF_HOME=str(empty),
        PYTHONPATH=str(tmp_path),
        **proxies,
    )
    with urllib.request.urlopen(app.url, timeout=60) as answer:  # with its first picture, by one pass
        assert "one pass" in answer.read().decode()
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'self' https://*.school.example; object-src 'none'" in policy
    assert not empty.exists(), "nothing was fetched or looked for"
    assert_ends(app.process, app.log, temporary, signal.SIGINT, 130)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"http_proxy": "x"}, "127.0.0.1,localhost"),
        ({"HTTPS_PROXY": "x", "no_proxy": "a, .b", "NO_PROXY": "c,a"}, "a,.b,c,127.0.0.1,localhost"),
        ({"all_proxy": "x", "NO_PROXY": "*"}, "*"),
        ({"http_proxy": "x", "GRADIO_SERVER_NAME": "[::1]"}, "::1,127.0.0.1,localhost"),
        ({"NO_PROXY": "a"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_no_proxy_is_asked_for_the_app_itself_and_the_users_own_entries_stay(before, after, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(before))
    importlib.reload(demo)
    found = [os.environ.get(name) for name in ("no_proxy", "NO_PROXY")]
    assert found == ([after] * 2 if after else [before.get(name) for name in ("no_proxy", "NO_PROXY")])


def test_sites_that_embed_the_app_are_added_and_nothing_else_gets_into_the_header():
    def frames(text, **environment):
        return limits.read({"NSTLIB_FRAME_ANCESTORS": text, **environment}).frames

    assert frames("") == ("'self'",)
    assert frames("https://a.example:8443, http://*.b.example\n'self'") == (
        "'self'",
        "https://a.example:8443",
        "http://*.b.example",
    )
    public = frames("https://a.example", SPACE_ID="x/y")
    assert public == ("'self'", "https://huggingface.co", "https://*.hf.space", "https://a.example")
    for wrong in (
        "*",
        "https:",
        "https://*",
        "a.example",
        "javascript:x",
        "https://a.example;script-src",
        "https://a.example/;",
        "https://a.example\x00",
        "'none'",
        "https://\u00e4.example",
        "https://a.example:\u0664\u0664",
        "data:",
    ):
        with pytest.raises(
            ValueError, match="NSTLIB_FRAME_ANCESTORS takes sites like https://school.example"
        ):
            frames(wrong)
    assert all(
        "\r" not in site and "\n" not in site for site in frames("https://a.example\r\nhttps://b.example")
    )

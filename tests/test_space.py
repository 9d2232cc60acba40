"""The app away from home, on a Space and in a container: the same versions, a start without a network."""

import re
import shutil
import urllib.request

from app_server import ROOT, running


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


def test_what_the_container_copies_is_all_that_the_app_needs(tmp_path):
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
    empty = tmp_path / "cache"
    app = running(
        "container",
        folder=tmp_path,
        HOME=str(tmp_path),
        TORCH_HOME=str(empty),
        HF_HOME=str(empty),
        PYTHONPATH=str(tmp_path),
        **proxies,
    )
    with urllib.request.urlopen(app.url, timeout=60) as answer:  # with its first picture, by one pass
        assert "one pass" in answer.read().decode()
    assert not empty.exists(), "nothing was fetched or looked for"
    assert "Traceback" not in app.log.read_text()

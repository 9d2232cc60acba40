"""Builds the static page: python web/build.py [--out FOLDER] [--models FOLDER] [--app ADDRESS] [--serve]

It exports one pass, fetches the runtime (onnxruntime-web by `npm pack`, with a fixed version and hash),
computes the point clouds, and copies the files of this folder. The result needs only a static host.
"""

import argparse
import base64
import gzip
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

import nstlib  # noqa: E402, I001 - before torch: it limits how long waiting threads spin
import torch  # noqa: E402

from demo.components import point_clouds  # noqa: E402
from nstlib import export  # noqa: E402
from nstlib.images.opening import RECIPE_KEY  # noqa: E402

SOURCE = "https://github.com/nstlib/nstlib"
ABOUT_APP, LOCAL_APP = f"{SOURCE}/blob/main/docs/howto/app.md", "http://127.0.0.1:7860/"
RUNTIME, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
SCRIPTS = ("ort.wasm.bundle.min.mjs", "ort.webgpu.bundle.min.mjs")
BINARIES = ("ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.asyncify.wasm")
MODELS = ("content.onnx", "style.onnx", "image.onnx")
EXAMPLES = {  # the page opens with the first of each
    "content": ("harbour", "still_life", "valley"),
    "style": ("strokes", "dots", "glass", "grid", "hatching", "ink", "mosaic", "waves"),
}
SIDE, FIRST = 512, 256  # px of the bundled examples, and of the image that the page opens with
BEFORE = """<p>A network of feature detectors looks at an image and responds, at every position, with a
list of numbers. Without the positions, these are a point cloud: a sample of a <strong>distribution</strong>.
This distribution is the style, and style transfer moves the points of one image until they are distributed as
those of another.</p>"""
AFTER = """<p>This drawing has sixty positions and only two detectors. The points follow the gradient of the
method's discrepancy. Choose a different method to see what it aligns and what it ignores.</p>"""


def build(out: Path, models: Path | None = None, app: str = ABOUT_APP) -> None:
    """Writes the page to the folder `out` and deletes what was there. models: the folder of models that were
    exported before. app: the address of the app to which the page links."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    copy_runtime(out / "ort")
    if models is None:
        difference = export.export_onepass(out / "models")
        print(f"models: at most {255 * difference:.2g}/255 from PyTorch")
    else:
        shutil.copytree(models, out / "models")
    (out / "examples").mkdir()
    for kind, names in EXAMPLES.items():
        for name in names:
            image = nstlib.load_image(ROOT / "examples" / f"{kind}s" / f"{name}.jpg", SIDE)
            nstlib.save_image(image, out / "examples" / f"{name}.jpg")
    make_first(out / "first.jpg")
    methods = tomllib.loads((ROOT / "demo/components/methods.toml").read_text(encoding="utf-8"))
    write_json(out / "models.json", describe(methods))
    write_json(out / "idea.json", idea(methods))
    shutil.copy(ROOT / "demo/components/sheets.css", out / "idea.css")
    player = (ROOT / "demo/components/point_clouds.js").read_text(encoding="utf-8")
    code = f"export const play = (element, watch = () => {{}}) => {{\n{player}}};\n"
    (out / "point_clouds.js").write_text(code, encoding="utf-8")
    for path in HERE.iterdir():
        if path.suffix in (".html", ".css", ".js", ".json", ".svg", ".md"):
            shutil.copy(path, out / path.name)
    name_build(out, app)


def make_first(path: Path) -> None:
    """Writes the image that the page shows until it has made one itself."""
    content, style = (f"{kind}s/{EXAMPLES[kind][0]}" for kind in EXAMPLES)
    images = (nstlib.load_image(ROOT / "examples" / f"{name}.jpg", FIRST) for name in (content, style))
    nstlib.save_image(nstlib.onepass(*images, levels=1, palette=0), path)


def copy_runtime(folder: Path) -> None:
    """Copies the scripts and the compressed binaries of the runtime to `folder`."""
    cache = HERE / ".cache"
    cache.mkdir(exist_ok=True)
    archive = cache / f"{RUNTIME}-{VERSION}.tgz"
    if not archive.is_file():
        npm = shutil.which("npm")
        if npm is None:
            sys.exit(f"npm is missing: install it, or put {archive.name} into {cache}")
        subprocess.run([npm, "pack", "--silent", f"{RUNTIME}@{VERSION}"], cwd=cache, check=True)
    if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
        sys.exit(f"{archive} is damaged, or not {RUNTIME} {VERSION}: delete it")
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for name in (*SCRIPTS, *BINARIES):
            file = tar.extractfile(f"package/dist/{name}")
            assert file is not None
            data = file.read()
            if name in BINARIES:
                data, name = gzip.compress(data, mtime=0), f"{name}.gz"
            (folder / name).write_bytes(data)


def describe(methods: dict[str, dict[str, str]]) -> dict[str, object]:
    """The data of the page: its files, methods and examples, and the fixed part of every recipe."""
    encoder = nstlib.load_encoder(device="cpu")
    usual = {"levels": 1, "palette": 0.0, "detail": 1.0, "rounds": 1, "seed": 0, "style_scale": 1.0}
    made: dict[str, Any] = {
        "device": "browser",
        "dtype": "float32",
        "weights_sha256": encoder.weights_hash,
        "threads": 1,
    }
    recipe = {
        "kind": "onepass",
        **usual,
        "style_weights": [],
        **made,
        "versions": {"nstlib": nstlib.__version__},
    }
    words = {name: {key: methods[name][key] for key in ("title", "stores")} for name in export.METHODS}
    return {
        "files": MODELS,
        "methods": export.METHODS,
        "words": words,
        "examples": EXAMPLES,
        "recipe": recipe,
        "probe": probe(),
    }


def probe() -> dict[str, Any]:
    """Values that a GPU must compute from two waves by all methods at once; engine.js compares them."""
    waves = ((torch.arange(3 * 64 * 64, dtype=torch.float64) / k).sin() / 2 + 0.5 for k in (40, 23))
    images = (wave.float().view(1, 3, 64, 64) for wave in waves)
    encoder = nstlib.load_encoder(device="cpu", dtype="float32")
    made = nstlib.onepass(*images, "+".join(export.METHODS), levels=1, palette=0, encoder=encoder)
    return {"every": 61, "values": [round(x, 3) for x in made.flatten()[::61].tolist()], "bound": 12 / 255}


def idea(methods: dict[str, dict[str, str]]) -> dict[str, object]:
    """The moving points of every method and of every fusion of two, and a text on each method."""
    flows = {name: point_clouds.figure(name) for name in export.METHODS}
    for pair in itertools.combinations(sorted(export.METHODS), 2):
        flows["+".join(pair)] = point_clouds.figure("+".join(pair))
    words = {}
    for name in export.METHODS:
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(methods[name]["words"], quote=False))
        text = re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)
        sees = f"<b>It stores</b> {methods[name]['stores']}. <b>It does not see</b> {methods[name]['blind']}."
        words[name] = f"<h2>{methods[name]['title']}</h2><p>{text}</p><p>{sees}</p>"
    return {"before": BEFORE, "after": AFTER, "flows": flows, "words": words}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def name_build(out: Path, app: str) -> None:
    """Names the build by a hash of its files, and lists the files that the service worker caches first."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    names = [path.relative_to(out).as_posix() for path in files]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    kept = (name for name in names if not name.startswith(("models/", "README", "service-worker")))
    shell = ["./", *(name for name in kept if not name.endswith(".gz"))]  # cache.js caches the large files
    marks = {"@BUILD@": digest, "@RECIPE_KEY@": RECIPE_KEY, "@SOURCE@": SOURCE, "@APP@": escape(app)}
    marks["/*@SHELL@*/"] = ", ".join(map(json.dumps, shell))
    for path in (path for path in files if path.suffix in (".js", ".html")):
        text = path.read_text(encoding="utf-8")
        for mark, value in marks.items():
            text = text.replace(mark, value)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Builds the static page.")
    parser.add_argument("--out", type=Path, default=HERE / "dist", help="folder to write (default web/dist)")
    parser.add_argument("--serve", action="store_true", help="serve the folder at http://127.0.0.1:8000")
    words = "folder that `nstlib export onepass -o FOLDER` wrote (default: the build exports the models)"
    parser.add_argument("--models", type=Path, metavar="FOLDER", help=words)
    words = "address of the app to which the page links (default: its guide; with --serve, the local app)"
    parser.add_argument("--app", metavar="ADDRESS", help=words)
    options = parser.parse_args()
    build(options.out, options.models, options.app or (LOCAL_APP if options.serve else ABOUT_APP))
    print(options.out)
    if options.serve:
        from serve import serve

        serve(options.out, 8000).serve_forever()

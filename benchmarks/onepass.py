"""One pass against the optimisation: time, memory, the residual of each discrepancy, colours, content.

    python benchmarks/onepass.py [--part time left image networks sheet] [--contents FILE…] [--styles FILE…]

time      seconds of whole calls, also in units of a plain VGG-19 step (forward and backward, float32)
left      residual of each method's own discrepancy, result over content, at relu1_1 … relu5_1
image     distance of colours to the style's, and the content error, beside those of a run
networks  the objective of a one-style network's result over that of 300 steps
sheet     an image of every method's one pass on pairs of contents and styles (only on request)
"""

import resource
import statistics
from pathlib import Path

import common
import plain
import torch
from common import EXAMPLES, fastest, square
from judge import off_palette

import nstlib
from nstlib.encoders import networks
from nstlib.feedforward.networks import bundled_networks
from nstlib.synthesis.objective import content_error
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
                error = float(content_error(encoder(image, [layer])[layer], P))
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


def main() -> None:
    parts = ("time", "left", "image", "networks")
    arguments = common.parser(__doc__, size=512)
    for name in ("contents", "styles"):
        files = sorted((EXAMPLES / name).glob("*.jpg"))
        arguments.add_argument(f"--{name}", nargs="+", type=Path, default=files)
    arguments.add_argument("--part", nargs="+", choices=(*parts, "sheet"), default=parts)
    arguments.add_argument("--sheet", type=Path, default=Path("onepass.jpg"), help="file for the sheet")
    arguments.add_argument("--rounds", type=int, default=1, help="of one pass, for time and left")
    args = arguments.parse_args()
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

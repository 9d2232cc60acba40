"""Seconds per step and memory by encoder, size, method and dtype, with FLOPs and their share of the peak.

    python benchmarks/speed.py [--json FILE] [--quick] [--palette 0]

The baseline, in the same run, is the plain loop of plain.py with VGG-19 and Gram matrices at the five style
layers. VGG-19 has random weights: speed does not depend on their values. Exits with 1 where 1024 px takes
more than 4.3 times the time or the memory of 512 px. benchmarks/memory.py tests the estimates of memory shown
here.
"""

import json
import platform
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import plain
import torch
from common import fastest, parser, square
from torch import Tensor, nn

import nstlib
from nstlib.encoders import Encoder, networks
from nstlib.synthesis.allocator import adjust_allocator
from nstlib.synthesis.memory import estimate
from nstlib.synthesis.run import Job, run_job

METHODS = ("linear", "poly", "gaussian", "bn")


def peak_flops(dtype: torch.dtype) -> float:
    """Returns this machine's best rate for a large convolution or matrix product, in FLOP/s."""
    a = torch.randn(2048, 2048).to(dtype)
    x = torch.randn(1, 128, 128, 128).to(dtype).contiguous(memory_format=torch.channels_last)
    conv = nn.Conv2d(128, 128, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    with torch.no_grad():
        return max(
            2 * 2048**3 / fastest(lambda: a @ a), 2 * 9 * 128 * 128 * 128**2 / fastest(lambda: conv(x))
        )


def flops(encoder: Encoder, size: int) -> float:
    """Returns the FLOPs of one step's convolutions: forward, and backward to the image (as many again)."""
    deepest = max(encoder.layers.index(layer) for layer in encoder.style_layers)
    side, total = size + 2 * encoder.network.padding, 0.0
    for layer in encoder.layers[: deepest + 1]:
        stage = encoder.network.stages[layer]
        if isinstance(stage, nn.Conv2d):
            total += 2 * 9 * stage.in_channels * stage.out_channels * (side // encoder.strides[layer]) ** 2
    return 2 * total


def mean_step(marks: list[float]) -> float:
    """Returns the seconds between marks, as the mean of the fastest third."""
    times = sorted(b - a for a, b in pairwise(marks))
    third = max(1, len(times) // 3)
    return sum(times[:third]) / third


def step_seconds(encoder: Encoder, size: int, method: str, steps: int, palette: float) -> float:
    """Returns the seconds of one L-BFGS step at one size."""
    content, style = square("contents/harbour", size), square("styles/strokes", size)
    settings = nstlib.Settings(method=method, levels=1, iterations=steps + 3, palette=palette)
    marks = [time.perf_counter()]
    for _ in run_job(Job(settings, encoder, content, (style,))):
        marks.append(time.perf_counter())
    return mean_step(marks[3:])


def baseline_seconds(size: int, steps: int) -> float:
    """Returns the seconds of a step of the plain loop with VGG-19, as in the tutorial: Gram matrices, MSE."""
    network = plain.frozen(networks.random_vgg19("max"))
    content, style = square("contents/harbour", size), square("styles/strokes", size)
    layers, content_layer = network.style_layers, network.content_layer

    def gram(F: Tensor) -> Tensor:
        return F[0] @ F[0].t() / F.numel()

    with torch.no_grad():
        grams = {layer: gram(F) for layer, F in plain.features(network, style, layers).items()}
        target = plain.features(network, content, [content_layer])[content_layer]

    def loss(x: Tensor) -> Tensor:
        found = plain.features(network, x, [*layers, content_layer])
        errors = [nn.functional.mse_loss(gram(found[layer]), grams[layer]) for layer in layers]
        return 1e6 * torch.stack(errors).sum() + nn.functional.mse_loss(found[content_layer], target)

    return mean_step([seconds for seconds, _ in plain.minimise(content, loss, steps)])


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--json", type=Path, help="save the table here, too")
    arguments.add_argument("--quick", action="store_true", help="no 1024 px, no VGG-19")
    arguments.add_argument("--palette", type=float, default=nstlib.Settings().palette, help="its weight")
    options = arguments.parse_args()
    adjust_allocator(None)
    peaks = {name: peak_flops(getattr(torch, name)) for name in ("float32", "bfloat16")}
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("measured peak: " + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.items()))
    print("encoder          px method    dtype      s/step   GFLOP  of peak    GB")
    rows: list[dict[str, Any]] = []

    def add(
        name: str, size: int, method: str, dtype: str, seconds: float, steps_flops: float, memory: float
    ) -> None:
        rows.append(
            {"encoder": name, "size": size, "method": method, "dtype": dtype, "seconds": seconds}
            | {"flops": steps_flops, "of_peak": steps_flops / seconds / peaks[dtype], "bytes": memory}
        )
        print(
            f"{name:13} {size:5} {method:9} {dtype:9} {seconds:7.3f} {steps_flops / 1e9:7.1f} "
            f"{rows[-1]['of_peak']:8.0%} {memory / 1e9:5.2f}",
            flush=True,
        )

    sizes = (256, 512) if options.quick else (256, 512, 1024)
    for size in sizes:
        for method in METHODS:
            for dtype in ("float32", "bfloat16") if method == "linear" and size < 1024 else ("float32",):
                encoder = nstlib.load_encoder(dtype=dtype)
                seconds = step_seconds(encoder, size, method, 24 if size < 1024 else 9, options.palette)
                memory = estimate(
                    nstlib.Settings(method=method, palette=options.palette),
                    encoder,
                    (size, size),
                    (size, size),
                )
                add("vgg19-slim", size, method, dtype, seconds, flops(encoder, size), memory)
    if not options.quick:
        base = [baseline_seconds(512, 6)]
        ours = {}
        for dtype in ("float32", "bfloat16"):
            encoder = nstlib.load_encoder("vgg19-random", dtype=dtype)
            ours[dtype] = step_seconds(encoder, 512, "gram", 6, options.palette)
            memory = estimate(
                nstlib.Settings(method="gram", palette=options.palette), encoder, (512, 512), (512, 512)
            )
            add("vgg19", 512, "gram", dtype, ours[dtype], flops(encoder, 512), memory)
        base.append(baseline_seconds(512, 6))
        print(f"baseline loop, VGG-19 512 px float32: {min(base):.3f} s/step")
        for dtype, seconds in ours.items():
            print(f"  ours, {dtype}: {min(base) / seconds:.2f} times as fast")
        rows.append(
            {"encoder": "vgg19", "size": 512, "method": "baseline", "dtype": "float32", "seconds": min(base)}
        )
    good = True
    for method in METHODS if not options.quick else ():
        small, large = (
            next(r for r in rows if (r["size"], r["method"], r["dtype"]) == (size, method, "float32"))
            for size in (512, 1024)
        )
        growth, memory = large["seconds"] / small["seconds"], large["bytes"] / small["bytes"]
        good &= growth <= 4.3 and memory <= 4.3
        print(f"1024 px against 512 px, {method}: {growth:.2f} times the time, {memory:.2f} times the memory")
    if options.json:
        about = {"processor": processor(), "threads": torch.get_num_threads(), "torch": torch.__version__}
        options.json.write_text(json.dumps({"machine": about, "peak": peaks, "rows": rows}, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""The command `apply` applies a network for one style to an image or to a folder of images."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from nstlib import feedforward
from nstlib.cli.errors import one_line
from nstlib.cli.progress import check_distinct, check_target
from nstlib.feedforward.crops import files_in
from nstlib.feedforward.distributed import join_group
from nstlib.images import check_output, image_size, load_image, save_image
from nstlib.inputs import check_share, describe_inputs
from nstlib.synthesis.allocator import keep_memory
from nstlib.version import check_folder, environment_info, no_such

KEPT = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}  # other results are PNG
NAMED = 10  # largest number of files that a message names


def apply(options: argparse.Namespace) -> int:
    check_share(options.strength, "strength")
    if not options.images.exists():
        raise FileNotFoundError(no_such("image or folder", options.images))
    single = not options.images.is_dir()
    if single:
        check_target(options)
    else:
        check_distinct(options)
        check_folder(options.output, "result")
    network = feedforward.load_feedforward(options.model, device=options.device)
    if single:
        _apply_to(network, options.images, options.output, options)
        print(options.output)
        return 0
    files, others = files_in(options.images)
    options.output.mkdir(parents=True, exist_ok=True)
    with join_group(options.distributed) as group:
        mine, failed = group.share(files), 0
        bar = tqdm(mine, disable=options.quiet or group.rank > 0, unit="image")
        for path in bar:
            try:
                _apply_to(network, path, options.output / _result_name(path), options)
            except (ValueError, OSError, MemoryError, ArithmeticError, RuntimeError) as error:
                failed += 1
                bar.write(f"nstlib: left out {path.name}: {one_line(str(error))}", file=sys.stderr)
    words = f"{len(mine) - failed} of {len(mine)} images"
    words += f"; {failed} left out" if failed else ""
    if others and group.rank == 0:
        names = ", ".join(path.name for path in others[:NAMED]) + (", …" if len(others) > NAMED else "")
        words += f"; {len(others)} skipped, no image files of a known format: {names}"
    print(f"{options.output}: {one_line(words)}")
    return 1 if failed else 0


def _apply_to(
    network: feedforward.FeedForward, source: Path, target: Path, options: argparse.Namespace
) -> None:
    width, height = image_size(source)
    scale = options.size / max(width, height) if options.size else 1.0
    size = round(height * scale), round(width * scale)
    check_output(target, size)
    if network.check_memory(size, options.memory):  # before the pixels are allocated
        keep_memory(4 << 20)
    image = load_image(source, options.size)
    result = network(image, options.strength, options.memory)
    if not bool(result.isfinite().all()):
        raise FloatingPointError(f"{options.model} gave NaN or infinite values for {source}: is it damaged?")
    recipe = {
        "kind": "feedforward",
        "model": str(options.model),
        "strength": options.strength,
        "network": network.metadata,
        "size": list(image.shape[2:]),
        "inputs": describe_inputs(content=image),
        **environment_info(),
    }
    save_image(result, target, recipe)


def _result_name(path: Path) -> str:
    """Returns the file name of an image's result: its own, with .png appended if its suffix is not in `KEPT`.

    Raises ValueError if a different image has this name.
    """
    if path.suffix.lower() in KEPT:
        return path.name
    if (other := path.with_name(f"{path.name}.png")).exists():
        raise ValueError(f"its result would replace that of {other.name}: rename one of them")
    return other.name

"""Transfers and reconstructions: functions that turn images and settings into a run (synthesis/run.py).

A reconstruction is a transfer with fewer terms.
"""

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.prepared import gamma_to_strength, onepass
from nstlib.inputs import check_image, check_images, check_masks, check_side, check_styles, describe_inputs
from nstlib.synthesis import memory
from nstlib.synthesis.optimize import Step
from nstlib.synthesis.pyramid import resize_image, resize_mask
from nstlib.synthesis.run import Job, run_job
from nstlib.synthesis.settings import PRESETS, Settings
from nstlib.version import did_you_mean, refuse_device, rename_arguments, use_torch_defaults

OURS = ("balanced", "draft", "fine")  # presets whose number of steps suits a start from the content
FROM_NOISE = 3  # factor on the number of steps for a start from noise


@rename_arguments(between="check_cancel")
@refuse_device
@use_torch_defaults(gradients=True)
def transfer(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    settings: Settings | str = "balanced",
    *,
    encoder: Encoder | str | None = None,
    masks: Sequence[Tensor] = (),
    initial: Tensor | None = None,
    check_cancel: Callable[[], None] = lambda: None,
    **changes: Any,
) -> Iterator[Step]:
    """Gives `content` the style of `style` and yields one `Step` per iteration.

    Args:
        content: (1, 3, H, W) RGB in [0, 1].
        style: one such image, or several, which `style_weights` mixes. Their sizes may differ.
        settings: a `Settings`, or the name of a preset.
        encoder: a name or a loaded Encoder; None: the encoder of the settings.
        masks: one for each style, (1, 1, H, W) or (H, W), >= 0, of any size. A style applies where its
            mask is positive. Where every mask is 0, the content stays unchanged.
        initial: image to start from, instead of the content.
        check_cancel: called before each gradient of the calibration, during which no step is yielded. An
            exception that it raises ends the run.
        **changes: fields of `Settings`, as in transfer(c, s, method="bn", gamma=2).

    Returns:
        An iterator over steps. Every `step.image` has the size of the content and the attribute `recipe`.

    Raises:
        ValueError: an image, a mask or a setting is out of range. TypeError: a setting is unknown.
        MemoryError: the run would not fit (synthesis/memory.py). All are raised by the call, before any step.
    """
    settings, network = _resolve(settings, encoder, changes)
    content, styles, masks = check_image(content, "content"), check_images(style, "style"), check_masks(masks)
    _check_size(changes, content)
    check_styles(len(styles), len(masks), settings.style_weights)
    initial = None if initial is None else check_image(initial, "initial")
    return _start(settings, network, content, styles, check_cancel, masks, initial)


@rename_arguments(between="check_cancel")
@refuse_device
def stylize(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    settings: Settings | str = "balanced",
    **options: Any,
) -> Tensor:
    """Returns the last image of a transfer. Its arguments are those of `transfer`.

    If the loss stays too large or not finite, the last good image is returned, and a RuntimeWarning says why.
    """
    return final_step(transfer(content, style, settings, **options)).image


@rename_arguments(between="check_cancel")
@refuse_device
@use_torch_defaults(gradients=True)
def reconstruct_style(
    style: Tensor,
    layer: int | None = None,
    settings: Settings | str = "balanced",
    *,
    encoder: Encoder | str | None = None,
    check_cancel: Callable[[], None] = lambda: None,
    **changes: Any,
) -> Iterator[Step]:
    """Turns noise into a texture with the statistics of the style layers 1 … `layer` (paper, Figure 1).

    α is always 0. The defaults are `palette=0` and `levels=1`. With more levels, a shallow layer would see
    larger structures at a small size than at full size. The presets "balanced", "draft" and "fine" take three
    times as many steps as in a transfer.

    Args:
        style: (1, 3, H, W) RGB in [0, 1].
        layer: number of style layers to use, from the first one on; None: all.
        settings, encoder, check_cancel, **changes: as in `transfer`.

    Raises: ValueError if `layer` is out of range; otherwise as `transfer`.
    """
    settings, network = _resolve(settings, encoder, _from_noise(settings) | changes)
    style = check_image(style, "style")
    _check_size(changes, style)
    check_styles(1, 0, settings.style_weights)
    layers = settings.style_layers or network.style_layers
    layer = len(layers) if layer is None else layer
    if not isinstance(layer, int) or not 1 <= layer <= len(layers):
        raise ValueError(f"layer must lie in 1 … {len(layers)}: the number of style layers used, got {layer}")
    weights = settings.layer_weights[:layer]
    settings = settings.replace(style_layers=layers[:layer], layer_weights=weights, alpha=0.0, start="random")
    return _start(settings, network, None, (style,), check_cancel)


@rename_arguments(between="check_cancel")
@refuse_device
@use_torch_defaults(gradients=True)
def reconstruct_content(
    content: Tensor,
    layer: str | None = None,
    settings: Settings | str = "balanced",
    *,
    encoder: Encoder | str | None = None,
    check_cancel: Callable[[], None] = lambda: None,
    **changes: Any,
) -> Iterator[Step]:
    """Turns noise into an image with the content's features at one layer, which shows what the layer encodes.

    Args:
        content: (1, 3, H, W) RGB in [0, 1].
        layer: name of the layer; None: the encoder's content layer.
        settings, encoder, check_cancel, **changes: as in `reconstruct_style`.

    Raises: as `transfer`.
    """
    settings, network = _resolve(settings, encoder, _from_noise(settings) | changes)
    layers = settings.content_layers if layer is None else (layer,)
    settings = settings.replace(content_layers=layers, start="random", alpha=settings.alpha or 1.0)
    content = check_image(content, "content")
    _check_size(changes, content)
    return _start(settings, network, content, (), check_cancel)


def final_step(steps: Iterator[Step]) -> Step:
    """Runs all steps and returns the last one. Warns (RuntimeWarning) if the run failed."""
    step = deque(steps, maxlen=1).pop()
    if step.failed:
        warnings.warn(step.stopped, RuntimeWarning, stacklevel=3)
    return step


def _from_noise(settings: Settings | str) -> dict[str, Any]:
    """Returns the settings that a reconstruction changes in a preset."""
    changes = {"levels": 1, "palette": 0.0}
    if not isinstance(settings, str) or settings not in OURS:
        return changes
    return changes | {"iterations": FROM_NOISE * PRESETS[settings].iterations}


def _resolve(
    settings: Settings | str, encoder: Encoder | str | None, changes: dict[str, Any]
) -> tuple[Settings, Encoder]:
    """Returns the settings with all changes, and the encoder to use. Raises ValueError, TypeError."""
    if isinstance(settings, str):
        if settings not in PRESETS:
            meant = did_you_mean(settings, PRESETS)
            raise ValueError(f"unknown preset {settings!r}{meant}; presets are {', '.join(PRESETS)}")
        settings = PRESETS[settings]
    settings = settings.replace(**changes)
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder or settings.encoder, pooling=settings.pooling, dtype=settings.dtype)
    settings = settings.replace(encoder=encoder.name, dtype=encoder.dtype_name, pooling=encoder.pooling)
    encoder.check_layers((*settings.style_layers, *settings.content_layers))
    layers = settings.style_layers or encoder.style_layers
    if settings.layer_weights and len(settings.layer_weights) != len(layers):
        raise ValueError(
            f"layer_weights must hold one weight for each style layer ({', '.join(layers)}): "
            f"{len(settings.layer_weights)} for {len(layers)}"
        )
    return settings, encoder


def _check_size(changes: dict[str, Any], image: Tensor) -> None:
    """Warns where the setting `size` is given and differs from that of the image, which is used as it is."""
    if "size" in changes and changes["size"] != (side := max(image.shape[2:])):
        words = f"size={changes['size']} has no effect on a tensor: the image keeps its {side} px"
        remedy = f"load it at this size, nstlib.load_image(path, size={changes['size']})"
        warnings.warn(f"{words}; {remedy}", UserWarning, stacklevel=6)


def _start(
    settings: Settings,
    encoder: Encoder,
    content: Tensor | None,
    styles: tuple[Tensor, ...],
    check_cancel: Callable[[], None],
    masks: tuple[Tensor, ...] | None = None,
    initial: Tensor | None = None,
) -> Iterator[Step]:
    """Starts a run on checked images. Raises ValueError for an image too small for the layers in use."""
    layers = (settings.style_layers or encoder.style_layers) if styles else ()
    shapes = [style.shape[2:] for style in styles]
    for shape in shapes:
        check_side(shape, "style", encoder.strides, layers, settings.style_scale)
    if content is not None:
        deep = settings.content_layers or (encoder.content_layer,)
        encoder.check_layers(deep)
        check_side(content.shape[2:], "content", encoder.strides, (*layers, *deep))
    largest = max(shapes, key=math.prod) if content is None or shapes else content.shape[2:]
    budget = memory.budget(settings.memory, encoder.device)
    shape = largest if content is None else content.shape[2:]
    tile = memory.choose_plan(settings, encoder, shape, largest, budget).tile
    inputs = describe_inputs(content=content, styles=styles or None, masks=masks, initial=initial)
    areas: tuple[Tensor, ...] = ()
    if content is not None:
        areas = tuple(resize_mask(mask, content) for mask in masks or ())
        if initial is not None:
            initial = resize_image(initial, *content.shape[2:])
        elif settings.start == "onepass":
            slim = encoder if encoder.name == "vgg19-slim" else None
            initial = onepass(
                content,
                styles,
                settings.discrepancy.with_seed(settings.seed),
                gamma_to_strength(settings.gamma),
                style_weights=() if areas else settings.style_weights,
                masks=areas,
                palette=settings.palette,
                colours=settings.colours,
                style_scale=settings.style_scale,
                encoder=slim or load_encoder("vgg19-slim", device=encoder.device, dtype=settings.dtype),
            )
    return run_job(
        Job(settings, encoder, content, styles, areas, initial, check_cancel, budget, tile, inputs)
    )

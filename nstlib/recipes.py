"""Recipes: from pictures and settings to a run, end to end. A reconstruction is a transfer with fewer terms.

check the pictures → settle the settings → load the encoder → run (see synthesis/job.py)
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.prepared import onepass, strength_at
from nstlib.inputs import check_image, check_images, check_masks, check_side, check_styles, describe_inputs
from nstlib.synthesis import memory
from nstlib.synthesis.job import Job, run
from nstlib.synthesis.loop import Step
from nstlib.synthesis.pyramid import resized
from nstlib.synthesis.settings import PRESETS, Settings
from nstlib.version import use_torch_defaults

OURS = ("balanced", "draft", "fine")  # presets whose steps are meant for a start from the photograph
FROM_NOISE = 3  # times as many steps
Between = Callable[[], None]


def _nothing() -> None: ...


@use_torch_defaults(gradients=True)
def transfer(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    settings: Settings | str = "balanced",
    *,
    encoder: Encoder | str | None = None,
    masks: Sequence[Tensor] = (),
    initial: Tensor | None = None,
    between: Between = _nothing,
    **changes: Any,
) -> Iterator[Step]:
    """Gives `content` the style of `style`, yielding a `Step` per iteration.

    content, style: (1, 3, H, W) RGB in [0, 1]; sizes may differ. settings: a `Settings`, or a preset's
    name; `changes` are fields of it: transfer(c, s, method="bn", gamma=2). encoder: a name or a loaded
    Encoder, instead of the settings' own.
    style may be several pictures, mixed as `style_weights` says. masks: one for each style, (1, 1, H, W) or
    (H, W), ≥ 0, of any size: the style goes where its mask is; where none is, the photograph stays.
    initial: the picture to start from, instead of the content. between: called before each gradient of the
    calibration, where no step is yielded for a while: what it raises ends the run.
    Every `step.image` has the content's size and carries its recipe.
    Raises ValueError (TypeError for an unknown setting, MemoryError where the run would not fit; see
    synthesis/memory.py) at the call, before any work.
    """
    settings, network = _resolve(settings, encoder, changes)
    content, styles = check_image(content, "content"), check_images(style, "style")
    marked = check_masks(masks)
    check_styles(len(styles), len(marked), settings.style_weights)
    initial = None if initial is None else check_image(initial, "initial")
    inputs = describe_inputs(content=content, styles=styles, masks=marked, initial=initial)
    initial = None if initial is None else resized(initial, *content.shape[2:])
    settings = _fit(settings, network, content, styles)
    areas = tuple(_mask(mask, content) for mask in marked)
    if initial is None and settings.start == "onepass":
        initial = _one_pass(settings, network, content, styles, areas)
    return run(Job(settings, network, content, styles, areas, initial, between, inputs))


def _one_pass(
    settings: Settings,
    network: Encoder,
    content: Tensor,
    styles: tuple[Tensor, ...],
    masks: tuple[Tensor, ...],
) -> Tensor:
    """The image of one pass, to start from; its encoder is the embedded one, on the run's device."""
    return onepass(
        content,
        styles,
        settings.discrepancy.seeded(settings.seed),
        strength_at(settings.gamma),
        style_weights=() if masks else settings.style_weights,
        masks=masks,
        palette=settings.palette,
        colours=settings.colours,
        style_scale=settings.style_scale,
        encoder=network
        if network.name == "vgg19-slim"
        else load_encoder("vgg19-slim", device=network.device, dtype=settings.dtype),
    )


def stylize(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    settings: Settings | str = "balanced",
    **options: Any,
) -> Tensor:
    """The last image of `transfer`, with the same arguments. Warns (RuntimeWarning) where a run failed."""
    return last(transfer(content, style, settings, **options)).image


@use_torch_defaults(gradients=True)
def reconstruct_style(
    style: Tensor,
    layer: int | None = None,
    settings: Settings | str = "balanced",
    *,
    encoder: Encoder | str | None = None,
    between: Between = _nothing,
    **changes: Any,
) -> Iterator[Step]:
    """A texture from noise with the style statistics of the first `layer` style layers (None: all): α = 0
    (paper, Figure 1). Yields Steps of the style's size, from one size only unless `levels` is given: small
    sizes would lend shallow layers the large pieces they cannot see. Raises ValueError for a layer out of
    range. Without the palette term unless `palette` is given: the texture shows what layers remember, and no
    more. The presets "balanced", "draft" and "fine" stand for three times their steps here."""
    settings, network = _resolve(settings, encoder, _from_noise(settings) | changes)
    style = check_image(style, "style")
    check_styles(1, 0, settings.style_weights)
    layers = settings.style_layers or network.style_layers
    layer = len(layers) if layer is None else layer
    if not isinstance(layer, int) or not 1 <= layer <= len(layers):
        raise ValueError(f"layer must lie in 1 … {len(layers)}: the number of style layers used, got {layer}")
    weights = settings.layer_weights[:layer]
    settings = settings.replace(style_layers=layers[:layer], layer_weights=weights, alpha=0.0, start="random")
    settings = _fit(settings, network, None, (style,))
    inputs = describe_inputs(styles=(style,))
    return run(Job(settings, network, None, (style,), between=between, inputs=inputs))


@use_torch_defaults(gradients=True)
def reconstruct_content(
    content: Tensor,
    layer: str | None = None,
    settings: Settings | str = "balanced",
    *,
    encoder: Encoder | str | None = None,
    between: Between = _nothing,
    **changes: Any,
) -> Iterator[Step]:
    """The picture that noise becomes when only the features of one layer must match (default: the
    encoder's content layer): what that layer remembers of it. Yields Steps of the content's size, from one
    size only unless `levels` is given, and three times the steps of "balanced", "draft" and "fine"."""
    settings, network = _resolve(settings, encoder, _from_noise(settings) | changes)
    content = check_image(content, "content")
    layers = settings.content_layers if layer is None else (layer,)
    settings = settings.replace(content_layers=layers, start="random", alpha=settings.alpha or 1.0)
    settings = _fit(settings, network, content, ())
    inputs = describe_inputs(content=content)
    return run(Job(settings, network, content, (), between=between, inputs=inputs))


def last(steps: Iterator[Step]) -> Step:
    """Runs to the end and returns the last step. Warns (RuntimeWarning) where the run failed."""
    step = None
    for step in steps:  # noqa: B007
        pass
    assert step is not None  # a run yields at least one step
    if step.failed:
        warnings.warn(step.stopped, RuntimeWarning, stacklevel=3)
    return step


def _from_noise(settings: Settings | str) -> dict[str, Any]:
    """What a reconstruction changes in a preset: one size, more steps, for it starts from nothing, and no
    palette term: it shows what layers remember, and no more."""
    bare = {"levels": 1, "palette": 0.0}
    if not isinstance(settings, str) or settings not in OURS:
        return bare
    return bare | {"iterations": FROM_NOISE * PRESETS[settings].iterations}


def _resolve(
    settings: Settings | str, encoder: Encoder | str | None, changes: dict[str, Any]
) -> tuple[Settings, Encoder]:
    if isinstance(settings, str):
        if settings not in PRESETS:
            raise ValueError(f"unknown preset {settings!r}; presets are {', '.join(PRESETS)}")
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


def _fit(settings: Settings, encoder: Encoder, content: Tensor | None, styles: Sequence[Tensor]) -> Settings:
    """The settings with "auto" memory decided. Raises ValueError for an image that the layers in use are too
    deep for, MemoryError as memory.py says."""
    layers = (settings.style_layers or encoder.style_layers) if styles else ()
    shapes = [style.shape[2:] for style in styles]
    for shape in shapes:
        check_side(shape, "style", encoder.strides, layers, settings.style_scale)
    if content is not None:
        deep = settings.content_layers or (encoder.content_layer,)
        encoder.check_layers(deep)
        check_side(content.shape[2:], "content", encoder.strides, (*layers, *deep))
    largest = max(shapes, key=math.prod) if content is None or shapes else content.shape[2:]
    return memory.settle(settings, encoder, largest if content is None else content.shape[2:], largest)


def _mask(mask: Tensor, content: Tensor) -> Tensor:
    """A mask (1, 1, H, W) at the content's size."""
    mask = mask.to(content)
    if mask.shape[2:] == content.shape[2:]:
        return mask
    return interpolate(mask, content.shape[2:], mode="bilinear", antialias=True, align_corners=False).clamp(
        min=0
    )

"""Exact terms and gradients of an image in tiles: the memory is that of one tile, whatever the image's size.

All terms compare sums over positions, E = Σ_tiles E_t (objective.py), and these have no graph: a first sweep
over the tiles adds them up. The comparison is differentiated with respect to E once. A second sweep computes
every E_t again, with its graph, and back-propagates the fixed ∂/∂E through it:

    ∂/∂x = Σ_tiles (∂E_t/∂x)ᵀ ∂/∂E

Each tile's features are those of the whole image (encoders/windows.py), so both are exact up to rounding. The
statistics of a large style are sums over its tiles, too.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import mix_samples, narrow, wide
from nstlib.encoders import IMAGE, Encoder, Window
from nstlib.synthesis import pixels
from nstlib.synthesis.objective import Objective
from nstlib.synthesis.terms import Features

SAMPLE = 1 << 24  # numbers of a style's features from which bandwidths and the like are taken
Wanted = dict[int, dict[str, Any]]  # {index of the term: {entry of its embedding: …}}


def embed(objective: Objective, encoder: Encoder, image: Tensor, tile: int | None) -> list[Summary]:
    """Returns the embedding of every term of an image (1, 3, H, W), differentiable in the image.

    tile: Side of a tile in pixels, or None for the whole image at once.
    """
    if tile is None:
        return objective.embed(image, pixels.encode(encoder, image, objective.layers))
    windows = pixels.make_windows(encoder, image.shape[2:], objective.layers, tile)
    keys: list[tuple[int, str]] = []
    sums = _Sums.apply(image, objective, encoder, windows, keys)  # type: ignore[no-untyped-call]
    found: list[Summary] = [{} for _ in objective.weighted]
    for (k, name), total in zip(keys, sums, strict=True):
        found[k][name] = total
    return found


def _embed_window(
    objective: Objective, encoder: Encoder, crop: Tensor, window: Window, wanted: Wanted | None = None
) -> Iterator[tuple[int, str, Tensor]]:
    """Yields what a window adds to the embeddings, (term, entry, value); wanted: to those terms only."""
    terms = [(k, term) for k, (_, _, term) in enumerate(objective.weighted) if not wanted or k in wanted]
    layers = dict.fromkeys(term.layer for _, term in terms if term.layer != IMAGE)
    features = pixels.encode(encoder, crop, layers, window) | {IMAGE: crop}
    for k, term in terms:
        if term.layer in features:
            for name, value in term.embed(features[term.layer], window).items():
                yield k, name, value


class _Sums(torch.autograd.Function):
    """The image → the entries of all embeddings, whose (term, name) are appended to `keys`."""

    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        objective: Objective,
        encoder: Encoder,
        windows: Sequence[Window],
        keys: list[tuple[int, str]],
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(image)
        ctx.objective, ctx.encoder, ctx.windows, ctx.keys = objective, encoder, windows, keys
        sums: dict[tuple[int, str], Tensor] = {}
        like: dict[tuple[int, str], Tensor] = {}
        ctx.kept = None
        for window in windows:
            last = window is windows[-1] and ctx.needs_input_grad[0]
            crop = window.cut(image).clone().requires_grad_(last)
            with torch.set_grad_enabled(last):
                found = list(_embed_window(objective, encoder, crop, window))
            for k, name, value in found:
                like[k, name] = value.detach()
                sums[k, name] = sums.get((k, name), 0.0) + wide(like[k, name])
            ctx.kept = (crop, found) if last else None  # the backward pass begins with it
        keys.extend(sums)
        return tuple(narrow(sums[key], like[key]) for key in keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        (image,) = ctx.saved_tensors
        wanted: Wanted = {}
        for (k, name), slope in zip(ctx.keys, slopes, strict=True):
            if slope is not None:
                wanted.setdefault(k, {})[name] = slope
        gradient = torch.zeros_like(image)
        for window in reversed(ctx.windows):
            if ctx.kept is not None:
                (crop, found), ctx.kept = ctx.kept, None
            else:
                crop = window.cut(image).clone().requires_grad_(True)
                with torch.enable_grad():
                    found = list(_embed_window(ctx.objective, ctx.encoder, crop, window, wanted))
            pairs = [(value, wanted[k][name]) for k, name, value in found if name in wanted.get(k, ())]
            del found
            if pairs:
                values, fixed = zip(*pairs, strict=True)
                window.cut(gradient).add_(torch.autograd.grad(values, crop, fixed)[0])
                del pairs, values  # with the graph
        return gradient, None, None, None, None


def encode(encoder: Encoder, image: Tensor, layers: Sequence[str], tile: int) -> Features:
    """Returns {layer: F (1, N_l, M_l)} of an image (1, 3, H, W), in the encoder's own dtype."""
    windows = encoder.windows(image.shape[2:], layers, tile)
    maps = {
        layer: torch.empty(
            1, encoder.channels[layer], *size, dtype=encoder.dtype, device=encoder.device
        ).contiguous(memory_format=torch.channels_last)
        for layer, size in windows[0].sizes.items()
        if layer != IMAGE
    }
    for window in windows:
        for layer, F in pixels.encode(encoder, window.cut(image), layers, window).items():
            part = maps[layer][(..., *window.positions[layer])]
            part.copy_(F.view(part.shape))
    return {layer: F.flatten(2) for layer, F in maps.items()}


def summarize(
    parts: Sequence[tuple[str, Discrepancy]],
    encoder: Encoder,
    styles: Sequence[Tensor],
    weights: Sequence[float],
    tile: int,
) -> dict[tuple[str, Discrepancy], Summary]:
    """Returns the style statistics of mixed styles (1, 3, H, W) for every (layer, method) of `parts`.

    The parameters of a method are those of a part of the positions, its embedding is that of all.
    """
    layers = list(dict.fromkeys(layer for layer, _ in parts))
    windows = [pixels.make_windows(encoder, style.shape[2:], layers, tile) for style in styles]

    def sweep() -> Iterator[tuple[str, Tensor, float, int]]:
        for style, weight, places in zip(styles, weights, windows, strict=True):
            for window in places if weight else ():
                for layer, F in pixels.encode(encoder, window.cut(style), layers, window).items():
                    height, width = window.sizes[layer]
                    share = weight / sum(weights) * window.share(layer)
                    yield layer, F, share, math.ceil(len(styles) * height * width * F.shape[1] / SAMPLE)

    tuned = [part for part in parts if type(part[1]).parameters is not Discrepancy.parameters]
    samples: dict[str, tuple[list[Tensor], list[float]]] = {layer: ([], []) for layer, _ in tuned}
    for layer, F, share, step in sweep() if tuned else ():
        if layer in samples:
            samples[layer][0].append(F[..., ::step].clone())
            samples[layer][1].append(share)
    parameters, sums = dict.fromkeys(parts, Summary()), dict[tuple[str, Discrepancy], Summary]()
    for layer, d in tuned:
        parameters[layer, d] = d.parameters(*mix_samples(*samples[layer]))
    del samples
    like: dict[str, Tensor] = {}
    for layer, F, share, _ in sweep():
        like[layer] = F[..., :1].clone()
        for key in (part for part in parts if part[0] == layer):
            added = key[1].embed(F, parameters[key])
            own = sums.setdefault(key, {})
            for name, value in added.items():
                own[name] = own.get(name, 0.0) + share * wide(value)
                like[f"{key}{name}"] = value
    return {
        key: parameters[key]
        | key[1].statistics(
            {name: narrow(total, like[f"{key}{name}"]) for name, total in sums[key].items()}, like[key[0]]
        )
        for key in parts
    }

"""Exact terms and gradients of an image, computed tile by tile to save memory.

All terms compare embeddings, which are sums over tiles, E = Σ_tiles E_t (objective.py). A first sweep over
the tiles computes E without an autograd graph. The loss is then differentiated with respect to E once. A
second sweep computes every E_t again, with its graph, and back-propagates the fixed ∂/∂E through the graph:

    ∂/∂x = Σ_tiles (∂E_t/∂x)ᵀ ∂/∂E

The network runs in segments (encoders/windows.py), so x is the image or the stored map at which a segment
begins. A segment returns its sums and the map of the next segment, and autograd chains the segments. The
features of a tile equal those of the whole image, so the results are exact up to rounding. The statistics of
a large style are sums over tiles, too.
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

SAMPLE = 1 << 24  # values of a style's features that determine parameters such as bandwidths
Wanted = dict[int, dict[str, Any]]  # {index of the term: {entry of its embedding: …}}
NEXT = -1  # instead of an index: the map of the next segment


def embed(objective: Objective, encoder: Encoder, image: Tensor, tile: int | None) -> list[Summary]:
    """Returns the embedding of every term of an image (1, 3, H, W), differentiable in the image.

    tile: Side of a tile in pixels, or None for the whole image at once.
    """
    if tile is None:
        return objective.embed(image, pixels.encode(encoder, image, objective.layers))
    found: list[Summary] = [{} for _ in objective.weighted]
    x: Tensor | None = image
    for windows in pixels.make_windows(encoder, image.shape[2:], objective.layers, tile):
        keys: list[tuple[int, str]] = []
        x, *sums = _Sums.apply(x, objective, encoder, windows, keys)  # type: ignore[no-untyped-call]
        for (k, name), total in zip(keys, sums, strict=True):
            found[k][name] = total
    return found


def _embed_window(
    objective: Objective, encoder: Encoder, crop: Tensor, window: Window, wanted: Wanted | None = None
) -> Iterator[tuple[int, str, Tensor]]:
    """Yields the contributions of a window to the embeddings and to the next map, as (term, entry, value).

    wanted: The terms to compute; None: all.
    """
    terms = [(k, term) for k, (_, _, term) in enumerate(objective.weighted) if wanted is None or k in wanted]
    layers = [term.layer for _, term in terms if term.layer != IMAGE]
    layers += [window.end] if wanted is None or NEXT in wanted else []
    features = pixels.encode(encoder, crop, dict.fromkeys(layers), window)
    if window.start == IMAGE:
        features[IMAGE] = crop
    for k, term in terms:
        if term.layer in features:
            for name, value in term.embed(features[term.layer], window).items():
                yield k, name, value
    if window.end in features:
        yield NEXT, window.end, features[window.end]


class _Sums(torch.autograd.Function):
    """Computes entries of embeddings and the next segment's map (or None) from an image or a segment's map.

    The (term, name) of each entry is appended to `keys`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        objective: Objective,
        encoder: Encoder,
        windows: Sequence[Window],
        keys: list[tuple[int, str]],
    ) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        ctx.objective, ctx.encoder, ctx.windows, ctx.keys = objective, encoder, windows, keys
        sums: dict[tuple[int, str], Tensor] = {}
        like: dict[tuple[int, str], Tensor] = {}
        following = _empty_map(encoder, windows[0], windows[0].end) if windows[0].end else None
        ctx.kept = None
        for window in windows:
            last = window is windows[-1] and ctx.needs_input_grad[0]
            crop = window.cut(x).clone().requires_grad_(last)
            with torch.set_grad_enabled(last):
                found = list(_embed_window(objective, encoder, crop, window))
            for k, name, value in found:
                if following is not None and k == NEXT:
                    window.write(value.detach(), name, following)
                else:
                    like[k, name] = value.detach()
                    sums[k, name] = sums.get((k, name), 0.0) + wide(like[k, name])
            ctx.kept = (crop, found) if last else None  # the backward pass begins with this window
        keys.extend(sums)
        return following, *(narrow(sums[key], like[key]) for key in keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, following: Tensor | None, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        wanted: Wanted = {} if following is None else {NEXT: {}}
        for (k, name), slope in zip(ctx.keys, slopes, strict=True):
            if slope is not None:
                wanted.setdefault(k, {})[name] = slope
        gradient = torch.zeros_like(x)
        for window in reversed(ctx.windows):
            if following is not None and window.end in window.positions:
                wanted[NEXT][window.end] = window.select(following.flatten(2), window.end).float()
            if ctx.kept is not None:
                (crop, found), ctx.kept = ctx.kept, None
            else:
                crop = window.cut(x).clone().requires_grad_(True)
                with torch.enable_grad():
                    found = list(_embed_window(ctx.objective, ctx.encoder, crop, window, wanted))
            pairs = [(value, wanted[k][name]) for k, name, value in found if name in wanted.get(k, ())]
            del found
            if pairs:
                values, fixed = zip(*pairs, strict=True)
                window.cut(gradient).add_(torch.autograd.grad(values, crop, fixed)[0])
                del pairs, values  # this frees the graph
        return gradient, None, None, None, None


def _empty_map(encoder: Encoder, window: Window, layer: str) -> Tensor:
    size, kind = (1, encoder.network.channels[layer], *window.sizes[layer]), encoder.dtype
    return torch.empty(size, dtype=kind, device=encoder.device, memory_format=torch.channels_last)


def sweep(
    encoder: Encoder, image: Tensor, layers: Sequence[str], tile: int
) -> Iterator[tuple[Window, str, Tensor]]:
    """Yields (window, layer, features (1, N_l, M)) for every window and layer of an image (1, 3, H, W)."""
    x = image
    for windows in pixels.make_windows(encoder, image.shape[2:], layers, tile):
        end = windows[0].end
        following = _empty_map(encoder, windows[0], end) if end else x
        for window in windows:
            for layer, F in pixels.encode(encoder, window.cut(x), (*layers, end), window).items():
                if layer == end:
                    window.write(F, layer, following)
                if layer in layers:
                    yield window, layer, F
        x = following


def encode(encoder: Encoder, image: Tensor, layers: Sequence[str], tile: int) -> Features:
    """Returns {layer: F (1, N_l, M_l)} of an image (1, 3, H, W), in the encoder's own dtype."""
    maps: Features = {}
    for window, layer, F in sweep(encoder, image, layers, tile):
        if layer not in maps:
            maps[layer] = _empty_map(encoder, window, layer)
        window.write(F, layer, maps[layer])
    return {layer: maps[layer].flatten(2) for layer in layers}


def summarize(
    parts: Sequence[tuple[str, Discrepancy]],
    encoder: Encoder,
    styles: Sequence[Tensor],
    weights: Sequence[float],
    tile: int,
) -> dict[tuple[str, Discrepancy], Summary]:
    """Returns the style statistics of mixed styles (1, 3, H, W) for every (layer, method) of `parts`.

    The parameters of a method are computed from a subset of the positions, its embedding from all.
    """
    layers = list(dict.fromkeys(layer for layer, _ in parts))

    def sweep_styles() -> Iterator[tuple[str, Tensor, float, int]]:
        for style, weight in zip(styles, weights, strict=True):
            for window, layer, F in sweep(encoder, style, layers, tile) if weight else ():
                height, width = window.sizes[layer]
                share = weight / sum(weights) * window.share(layer)
                yield layer, F, share, math.ceil(len(styles) * height * width * F.shape[1] / SAMPLE)

    tuned = [part for part in parts if type(part[1]).parameters is not Discrepancy.parameters]
    samples: dict[str, tuple[list[Tensor], list[float]]] = {layer: ([], []) for layer, _ in tuned}
    for layer, F, share, step in sweep_styles() if tuned else ():
        if layer in samples:
            samples[layer][0].append(F[..., ::step].clone())
            samples[layer][1].append(share)
    parameters, sums = dict.fromkeys(parts, Summary()), dict[tuple[str, Discrepancy], Summary]()
    for layer, d in tuned:
        parameters[layer, d] = d.parameters(*mix_samples(*samples[layer]))
    del samples
    like: dict[str, Tensor] = {}
    for layer, F, share, _ in sweep_styles():
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

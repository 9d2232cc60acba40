"""The decoder's second part of training: on features that were moved, as it meets them in one pass.

    python training/transfer.py --decoder runs/decode/decoder.safetensors --images FOLDER… --out runs/transfer

A decoder that has only seen features of real pictures undoes part of a transport: the picture's own features,
looked at again, are nearer to the photograph's than what it was given. Here whole passes are made, for random
pairs of pictures, methods and strengths, and made better:

    left      what the picture leaves of the method's discrepancy, as a share of the photograph's, per level
    content   its features at relu3_1 and relu4_1 against the photograph's, moved
    rebuilt   for no transport: the picture against the photograph, as in the first part

The matrices of the transports are constants in the gradient.
"""

import argparse
import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from decode import FEATURES, PIXELS, Pictures, export, held_out, rate, relative, save
from safetensors.torch import load_file
from torch import Tensor

from nstlib.encoders import load_encoder
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.chain import render, see
from nstlib.feedforward.decoders import LEVELS, Decoder

METHODS = ("linear", "bn", "poly", "wasserstein")
RIDGE, ROOTS = 1e-3, 16  # of the covariances, over their mean variance; steps of the iteration for a root
LEFT, CONTENT, REBUILT, RANGE = 4.0, 1.0, 1.0, 20.0  # weights of the terms
FLOOR = 0.05  # of a discrepancy's own size, added to the photograph's: some pairs are alike from the start


def exactly(function: Callable[..., Any]) -> Callable[..., Any]:
    """In float32 where the decoder runs in bfloat16: second moments need it."""

    @functools.wraps(function)
    def run(F: Any, *rest: Any) -> Any:
        with torch.autocast((F if isinstance(F, Tensor) else F[0]).device.type, enabled=False):
            return function(F, *rest)

    return run


@exactly
def moments(F: Tensor) -> tuple[Tensor, Tensor]:
    """μ (B, N) and G (B, N, N) of maps (B, N, H, W), in float32."""
    F = F.flatten(2).float()
    return F.mean(2), F @ F.mT / F.shape[2]


def roots(C: Tensor) -> tuple[Tensor, Tensor]:
    """C^{1/2} and C^{-1/2} (B, N, N), by the coupled iteration of Newton and Schulz (Higham 2008, Eq. 6.35)."""
    one = torch.eye(C.shape[-1], device=C.device)
    size = C.norm(dim=(1, 2), keepdim=True)
    Y, Z = C / size, one.expand_as(C)
    for _ in range(ROOTS):
        T = 1.5 * one - 0.5 * Z @ Y
        Y, Z = Y @ T, T @ Z
    return Y * size.sqrt(), Z / size.sqrt()


def matrix(C_F: Tensor, C_S: Tensor) -> Tensor:
    """The optimal map A (B, N, N) of `alignment/transports.py`, made of products only."""
    one = torch.eye(C_F.shape[-1], device=C_F.device)
    size = (C_F + C_S).diagonal(0, 1, 2).mean(1)[:, None, None] / 2
    half, inverse = roots(C_F + RIDGE * size * one)
    middle, _ = roots(half @ (C_S + RIDGE * size * one) @ half)
    return inverse @ middle @ inverse


@exactly
def transported(F: Tensor, style: tuple[Tensor, Tensor], method: int, strength: Tensor) -> Tensor:
    """T(F) by METHODS[method] for maps F (B, N, H, W); strength (B,)."""
    (μ, G), (μ_S, G_S) = moments(F), style
    own = F.float()
    with torch.no_grad():
        C, C_S = (g - m[:, :, None] * m[:, None, :] for g, m in ((G, μ), (G_S, μ_S)))
        if METHODS[method] == "poly":
            A = matrix(G, G_S)
        elif METHODS[method] == "wasserstein":
            A = matrix(C, C_S)
        elif METHODS[method] == "bn":
            v, v_S = (c.diagonal(0, 1, 2).clamp(min=0) for c in (C, C_S))
            size = RIDGE * (v + v_S).mean(1, keepdim=True)
            A = torch.diag_embed(((v_S + size) / (v + size)).sqrt())
    if METHODS[method] == "linear":
        goal = own + (μ_S - μ)[:, :, None, None]
    elif METHODS[method] == "poly":
        goal = (A @ own.flatten(2)).view_as(own)
    else:
        goal = (A @ (own - μ[:, :, None, None]).flatten(2)).view_as(own) + μ_S[:, :, None, None]
    return own + strength[:, None, None, None] * (goal - own)


@exactly
def discrepancy(found: tuple[Tensor, Tensor], style: tuple[Tensor, Tensor], method: int) -> Tensor:
    """(B,): the method's own; for the optimal map of covariances, of mean and Gram matrix together."""
    (μ, G), (μ_S, G_S) = found, style
    mean = (μ - μ_S).square().sum(1)
    if METHODS[method] == "linear":
        return mean
    if METHODS[method] == "poly":
        return (G - G_S).square().sum((1, 2))
    if METHODS[method] == "bn":
        own, other = (
            ((g.diagonal(0, 1, 2) - m.square()).clamp(min=0) + 1e-6).sqrt() for m, g in (found, style)
        )
        return mean + (own - other).square().sum(1)
    C, C_S = (g - m[:, :, None] * m[:, None, :] for m, g in (found, style))
    trace = C_S.diagonal(0, 1, 2).sum(1)
    return mean / trace.detach() + (C - C_S).square().sum((1, 2)) / C_S.square().sum((1, 2))


def losses(
    decoder: Decoder, encoder: Encoder, x: Tensor, style: Tensor, method: int, strength: Tensor, detail: float
) -> dict[str, Tensor]:
    """x, style (B, 3, H, W); strength (B,)."""
    with torch.no_grad():
        maps = encoder.maps(x, LEVELS)
        S = {layer: moments(F) for layer, F in encoder.maps(style, LEVELS).items()}
        P = {layer: moments(F) for layer, F in maps.items()}
        wanted = {layer: transported(maps[layer], S[layer], method, strength) for layer in LEVELS[2:4]}
    seen = see(decoder, x, maps)
    picture = render(
        decoder, seen, lambda F, layer: transported(F, S[layer], method, strength), detail
    ).float()
    own = encoder.maps(picture.clamp(-0.1, 1.1), LEVELS)
    terms = {"range": RANGE * (picture - picture.clamp(0, 1)).square().mean()}
    full = strength == 1
    zero = torch.zeros_like(S[LEVELS[0]][0]), torch.zeros_like(S[LEVELS[0]][1])
    for layer in LEVELS:
        zero = torch.zeros_like(S[layer][0]), torch.zeros_like(S[layer][1])
        before = discrepancy(P[layer], S[layer], method).detach()
        size = discrepancy(zero, S[layer], method).detach()
        left = discrepancy(moments(own[layer]), S[layer], method) / (before + FLOOR * size)
        weight = 1.0 if layer != LEVELS[4] else 0.3
        terms[f"left {layer}"] = (
            LEFT * weight / 4 * (left.clamp(max=5) * full).sum() / full.sum().clamp(min=1)
        )
    for layer in LEVELS[2:4]:
        terms[f"content {layer}"] = CONTENT / 2 * relative(own[layer], wanted[layer])
    none = strength == 0
    if bool(none.any()):
        plain = decoder.picture(maps[LEVELS[3]][none], 4).float()
        terms["rebuilt"] = REBUILT * PIXELS * (plain - x[none]).square().mean()
        deep = decoder.picture(maps[LEVELS[4]][none], 5).float()
        terms["rebuilt"] = terms["rebuilt"] + REBUILT * PIXELS * (deep - x[none]).square().mean()
        for layer, F in encoder.maps(plain, LEVELS).items():
            terms["rebuilt"] = terms["rebuilt"] + FEATURES * relative(F, maps[layer][none])
    for level in range(2, 6):
        block = relative(decoder.up(maps[LEVELS[level - 1]], level), maps[LEVELS[level - 2]])
        terms["blocks"] = terms.get("blocks", 0) + 0.3 * block
    return terms


def strengths(pictures: Pictures, count: int) -> Tensor:
    """A quarter 0, an eighth anything, the others 1."""
    t = torch.ones(count, device=pictures.device)
    t[: count // 4] = 0
    t[count // 4 : count // 4 + count // 8] = pictures.uniform(count // 8)
    return t


@torch.no_grad()
def measured(
    decoder: Decoder, encoder: Encoder, contents: list[Tensor], styles: list[Tensor], detail: float
) -> dict:
    """Left of each method's discrepancy, mean over pairs, relu1_1 … relu5_1; and the content term."""
    result = {}
    for method, name in enumerate(METHODS):
        rows, errors = [], []
        for x in contents:
            for s in styles:
                x, s = x.to(encoder.device), s.to(encoder.device)
                maps = encoder.maps(x, LEVELS)
                S = {layer: moments(F) for layer, F in encoder.maps(s, LEVELS).items()}
                one = torch.ones(1, device=encoder.device)
                picture = render(
                    decoder,
                    see(decoder, x, maps),
                    lambda F, layer: transported(F, S[layer], method, one),
                    detail,
                ).clamp(0, 1)
                own = encoder.maps(picture.float(), LEVELS)
                rows.append(
                    [
                        float(
                            discrepancy(moments(own[layer]), S[layer], method)
                            / discrepancy(moments(maps[layer]), S[layer], method)
                        )
                        for layer in LEVELS
                    ]
                )
                errors.append(
                    float(relative(own[LEVELS[3]], transported(maps[LEVELS[3]], S[LEVELS[3]], method, one)))
                )
        mean = torch.tensor(rows).median(0).values
        result[name] = [round(v, 3) for v in mean.tolist()] + [round(sum(errors) / len(errors), 3)]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decoder", type=Path, required=True, help="from training/decode.py")
    parser.add_argument("--images", nargs="+", type=Path, required=True, help="folders of images")
    parser.add_argument("--styles", nargs="+", type=Path, required=True, help="folders of paintings")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the result")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of training at most, in all")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--crop", type=int, default=224, help="pixels; a multiple of 16")
    parser.add_argument("--lr", type=float, default=5e-4, help="of Adam")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    pictures = Pictures(args.images, args.crop, args.seed, device)
    paintings = Pictures(args.styles, args.crop, args.seed + 1, device)
    encoder = load_encoder(device=device, dtype="float32" if args.float32 else "bfloat16")
    exact = load_encoder(device=device)
    decoder = Decoder()
    decoder.load_state_dict({k: v.float() for k, v in load_file(args.decoder).items()})
    decoder.to(device, memory_format=torch.channels_last)
    adam = torch.optim.Adam(decoder.parameters(), lr=args.lr, betas=(0.9, 0.99))
    contents, styles = pictures.held_out(256)[:6], paintings.held_out(256)[:4]
    step, spent, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        decoder.load_state_dict(state["decoder"])
        adam.load_state_dict(state["adam"])
        step, spent = state["step"], state["spent"]
        print(f"resumed at step {step}", flush=True)
    print(json.dumps({"before": measured(decoder, exact, contents, styles, 0.5)}), flush=True)

    start = time.monotonic() - spent
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=not args.float32)
    while step < args.steps and spent < 60 * args.minutes:
        for group in adam.param_groups:
            group["lr"] = args.lr * rate(max(step / args.steps, spent / 60 / args.minutes), step)
        x = pictures.batch(args.batch).flip(0).contiguous(memory_format=torch.channels_last)
        s = paintings.batch(args.batch).contiguous(memory_format=torch.channels_last)
        method, detail = step % len(METHODS), 0.25 * pictures.random(5)
        with autocast:
            terms = losses(decoder, encoder, x, s, method, strengths(pictures, args.batch), detail)
        loss = torch.stack(list(terms.values())).sum()
        adam.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        if bool(norm.isfinite()):
            adam.step()
        step += 1
        if step % 25 == 0:
            shown = " ".join(f"{k} {v.item():.3f}" for k, v in terms.items())
            print(f"{step} {time.monotonic() - start:.0f}s {METHODS[method]} {shown}", flush=True)
        spent = time.monotonic() - start
        ended = step == args.steps or spent >= 60 * args.minutes
        if step % args.every == 0 or ended:
            errors = held_out(decoder, exact, pictures)
            errors |= {f"detail {d}": measured(decoder, exact, contents, styles, d) for d in (0.0, 1.0)}
            print(json.dumps({"step": step, "seconds": round(spent), **errors}), flush=True)
            with (args.out / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": step, "seconds": round(spent), **errors}) + "\n")
            save(
                checkpoint,
                {"decoder": decoder.state_dict(), "adam": adam.state_dict(), "step": step, "spent": spent},
            )
            export(decoder, args.out / "decoder.safetensors")


if __name__ == "__main__":
    main()

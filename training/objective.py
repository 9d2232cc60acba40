"""Trains the whole chain of one pass on the objective of a run, end to end through the maps.

    python training/objective.py --images PHOTOS --styles PAINTINGS --out runs/objective --minutes 60

    loss = (content error at relu4_2 + WEIGHT γ · residual of the method's discrepancy) / (1 + WEIGHT γ)
           + small penalties of colours out of range and out of the palette, and of noise

The residual is the mean over relu1_1 … relu5_1 of result over content. Every step draws a method and γ. The
same command resumes from the last checkpoint; with more --minutes it goes on. The learning rate falls as a
cosine to zero. `decoder.safetensors` holds the exponential average of the weights.
"""

import math
import random
import time
from pathlib import Path

import numpy as np
import script
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from nstlib.alignment.moments import covariance_mean, gram, variance_mean
from nstlib.alignment.transports import bures_wasserstein_map
from nstlib.encoders import load_encoder
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS, METHODS, Decoder
from nstlib.feedforward.prepared import BALANCE

WEIGHT = 2.5  # of the residual over the content error at γ = 1
GAMMAS = (0.1, 10.0)  # drawn log-uniformly
ORDER = (3, 2, 1, 3, 2, 0, 1)  # of the methods
KEPT = 0.05  # of a style's own norm, added to the content's distance that the residual is relative to
CONTENT = "relu4_2"
DRAWS = 600  # pixels of result and style whose colours are compared


class Images:
    """Random crops of images that stay in memory as uint8, at random sizes."""

    def __init__(self, folders: list[Path], left_out: set[str], side: int) -> None:
        self.images = []
        for path in sorted(file for folder in folders for file in folder.iterdir()):
            if path.stem in left_out or path.suffix not in {".jpg", ".jpeg", ".png"}:
                continue
            with Image.open(path) as file:
                image = file.convert("RGB")
            scale = min(1.0, side / min(image.size))
            size = [round(n * scale) for n in image.size]
            self.images.append(image.resize(size, Image.Resampling.LANCZOS))

    def crop(self, size: int, rng: random.Random) -> Tensor:
        image = rng.choice(self.images)
        short = min(image.size)
        scale = max(size, rng.uniform(0.6, 1.0) * short) / short
        side = [max(size, round(n * scale)) for n in image.size]
        left, top = (rng.randint(0, n - size) for n in side)
        box = (left / side[0] * image.width, top / side[1] * image.height)
        box += ((left + size) / side[0] * image.width, (top + size) / side[1] * image.height)
        crop = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
        x = torch.from_numpy(np.asarray(crop).copy()).permute(2, 0, 1).float() / 255
        return x.flip(-1) if rng.random() < 0.5 else x


def vary(x: Tensor, rng: random.Random) -> Tensor:
    """Turns a style by a quarter and changes its colours, each in a part of the draws."""
    if rng.random() < 0.3:
        x = x.mT
    if rng.random() < 0.3:
        x = x[rng.sample(range(3), 3)]
    if rng.random() < 0.3:
        mix = torch.eye(3) + torch.tensor([[rng.uniform(-0.3, 0.3) for _ in range(3)] for _ in range(3)])
        x = (torch.einsum("ij,jhw->ihw", mix, x - 0.5) + 0.5 + rng.uniform(-0.1, 0.1)).clamp(0, 1)
    return x


@torch.autocast("cpu", enabled=False)
def affine(F: Tensor, S: Tensor, how: str) -> Tensor:
    """Transports maps F to S (B, N, H, W) by the method's map, a constant to the gradient."""
    f, s = F.flatten(2).float(), S.flatten(2).float()
    with torch.no_grad():
        (v, m), (goal, μ) = variance_mean(f), variance_mean(s)
        if how == "linear":
            A = torch.eye(f.shape[1]).expand(len(f), -1, -1)
        elif how == "bn":
            A = torch.diag_embed(((goal + 1e-4) / (v + 1e-4)).sqrt())
        elif how == "poly":
            A, m, μ = bures_wasserstein_map(gram(f), gram(s)), 0 * m, 0 * μ
        else:
            A = bures_wasserstein_map(covariance_mean(f)[0], covariance_mean(s)[0])
        shift = μ.unsqueeze(-1) - A @ m.unsqueeze(-1)
    return torch.baddbmm(shift, A, f).view_as(F)


@torch.autocast("cpu", enabled=False)
def distance(F: Tensor, S: Tensor, how: str) -> Tensor:
    """Returns the discrepancy (B) of maps; for Wasserstein a bound of squares, which needs no matrix root."""
    f, s = F.flatten(2).float(), S.flatten(2).float()
    if how == "poly":
        return (gram(f) - gram(s)).square().sum((-2, -1))
    (v, m), (goal, μ) = variance_mean(f), variance_mean(s)
    d = (m - μ).square().sum(-1)
    if how == "bn":
        d = d + ((v + 1e-6).sqrt() - (goal + 1e-6).sqrt()).square().sum(-1)
    if how == "wasserstein":
        C, goal = covariance_mean(f)[0], covariance_mean(s)[0]
        d = d + (C - goal).square().sum((-2, -1)) / goal.diagonal(0, -2, -1).sum(-1)
    return d


def chain(decoder: Decoder, x: Tensor, P: dict, S: dict, how: str, share: float) -> Tensor:
    """Returns the image of `OnePass`, not clamped, with gradients."""
    methods = torch.eye(len(METHODS))[METHODS.index(how)]
    low = P[LEVELS[4]]
    here = torch.lerp(low, affine(low, S[LEVELS[4]], how), decoder.strength(5, methods, share))
    for level in range(4, -1, -1):
        own, up = decoder.up(torch.cat([low, here]), level + 1).float().chunk(2)
        low = P[LEVELS[level - 1]] if level else x
        with torch.autocast("cpu", enabled=False):
            here = decoder.mix(up, low - own, level, methods, share)
        if level:
            here = decoder.refine(here, low, level, share)
            moved = affine(here, S[LEVELS[level - 1]], how)
            here = torch.lerp(here, moved, decoder.strength(level, methods, share))
    return here


def terms(
    encoder: Encoder, decoder: Decoder, x: Tensor, style: Tensor, how: str, γ: float
) -> dict[str, Tensor]:
    with torch.no_grad():
        P, S = encoder.maps(x, (*LEVELS, CONTENT)), encoder.maps(style, LEVELS)
    y = chain(decoder, x, P, S, how, γ / (γ + BALANCE))
    image = y.clamp(0, 1)
    Y = encoder.maps(y + (image - y).detach(), (*LEVELS, CONTENT))  # gradients of clipped colours go on
    error = (Y[CONTENT] - P[CONTENT]).square().sum((1, 2, 3)) / P[CONTENT].square().sum((1, 2, 3))
    residuals = []
    for layer in LEVELS:
        before = distance(P[layer], S[layer], how) + KEPT * distance(
            torch.zeros_like(P[layer]), S[layer], how
        )
        residuals.append((distance(Y[layer], S[layer], how) / before).clamp(max=3).mean())
    weight = WEIGHT * γ
    noise = [sum(z.diff(dim=d).square().mean((1, 2, 3)) for d in (-1, -2)) for z in (image, x, style)]
    own = image.flatten(2)[..., torch.randint(image[0, 0].numel(), (DRAWS,))].mT
    allowed = style.flatten(2)[..., torch.randint(style[0, 0].numel(), (DRAWS,))].mT
    off = (torch.cdist(own, allowed).amin(-1) - 0.05).clamp(min=0)
    return {
        "content": error.mean() / (1 + weight),
        "residual": torch.stack(residuals).mean() * weight / (1 + weight),
        "range": 40 * (y - image).square().mean(),
        "noise": (noise[0] - torch.maximum(noise[1], noise[2])).clamp(min=0).mean(),
        "palette": 4 * weight / (1 + weight) * off.square().mean(),
        "fringe": fringe(y, x),
    }


def fringe(y: Tensor, x: Tensor) -> Tensor:
    """Compares the steps between pixels within 3 px of the border with those further in, in excess of x's."""

    def power(z: Tensor, near: int, far: int) -> Tensor:
        strips = [z[..., near:far, :], z[..., -far : z.shape[-2] - near, :]]
        strips += [z[..., near:far].mT, z[..., -far : z.shape[-1] - near].mT]
        return torch.stack([s.diff(dim=-2).square().mean() for s in strips])

    return 2 * (power(y, 0, 4) - power(y, 8, 20).detach() - power(x, 0, 4)).clamp(min=0).mean()


def warm(path: Path) -> dict[str, Tensor]:
    """Returns the state of a decoder file; missing amounts begin as those of full transports."""
    state = {name: value.float() for name, value in load_file(path).items()}
    if "strength" in state:  # a decoder with one strength and one gain, learned at γ = 1
        k, own = 1 / (1 + BALANCE), state.pop("strength")
        order = [2, 1, 0, 0]  # its rows are wasserstein, bn, linear
        slope = math.log(math.e - 1)  # softplus gives 1
        a = torch.logit(own[order, 1:]) - math.log(k / (1 - k))
        state["strengths"] = torch.stack([a, torch.full_like(a, slope)], -1)
        for level in range(5):
            gain = state.pop(f"gain{level}").flatten()
            state[f"mixing.{level}"] = torch.diag((gain - 1) / k)
    return {name: value for name, value in Decoder().state_dict().items()} | state


def main() -> None:
    parser = script.options(__doc__.splitlines()[0], steps=10**9, batch=2, crop=192, every=200)
    parser.add_argument("--styles", nargs="+", type=Path, required=True, help="folders of paintings")
    parser.add_argument("--held-out", type=Path, help="text file: names that no training may see")
    parser.add_argument("--begin", type=Path, help="weights to start from")
    parser.add_argument("--minutes", type=float, default=60, help="training time in all")
    parser.add_argument("--lr", type=float, default=0.08, help="of Adam, for an output of one input")
    args = parser.parse_args()
    script.start(args)
    left_out = set(args.held_out.read_text().split()) if args.held_out else set()
    photos = Images(args.images, left_out, 320)
    paintings = Images(args.styles, left_out, 400)
    print(f"{len(photos.images)} photos, {len(paintings.images)} paintings", flush=True)
    encoder = load_encoder(dtype="float32" if args.float32 else "bfloat16", device="cpu")
    decoder = Decoder()
    if args.begin:
        decoder.load_state_dict(warm(args.begin))
    decoder.to(memory_format=torch.channels_last)
    groups = []
    for name, p in decoder.named_parameters():
        peak = args.lr / p[0].numel() if name.endswith("weight") else args.lr / 300
        peak = {"strengths": 0.02, "mixing": 0.002, "gains": 0.003}.get(name.partition(".")[0], peak)
        groups.append({"params": [p], "peak": peak})
    adam = torch.optim.Adam(groups, betas=(0.9, 0.99))
    average = {name: value.clone() for name, value in decoder.state_dict().items()}
    step, spent, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        decoder.load_state_dict(state["decoder"])
        adam.load_state_dict(state["adam"])
        average, step, spent = state["average"], state["step"], state["spent"]
        print(f"resumed at step {step}", flush=True)
    start, begun, means = time.monotonic() - spent, step, {}
    while step < args.steps and spent < 60 * args.minutes:
        rng = random.Random(args.seed + step)
        torch.manual_seed(args.seed + step)
        for group in adam.param_groups:
            group["lr"] = group["peak"] * script.rate(spent / 60 / args.minutes, step - begun, warmup=60)
        how = METHODS[ORDER[step % len(ORDER)]]
        γ = math.exp(rng.uniform(*map(math.log, GAMMAS)))
        x = torch.stack([photos.crop(args.crop, rng) for _ in range(args.batch)])
        source = paintings if rng.random() < 0.85 else photos
        style = torch.stack([vary(source.crop(args.crop, rng), rng) for _ in range(args.batch)])
        x, style = (z.contiguous(memory_format=torch.channels_last) for z in (x, style))
        with torch.autocast("cpu", torch.bfloat16, enabled=not args.float32):
            parts = terms(encoder, decoder, x, style, how, γ)
        adam.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        length = torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        if length.isfinite():
            adam.step()
        step, spent = step + 1, time.monotonic() - start
        decay = min(0.998, (step - begun) / (step - begun + 9))
        with torch.no_grad():
            for name, value in decoder.state_dict().items():
                average[name].lerp_(value, 1 - decay)
        for name, value in parts.items():
            means[name] = 0.98 * means.get(name, value.item()) + 0.02 * value.item()
        if step % 50 == 0:
            print(step, f"{spent:.0f}s", *(f"{k} {v:.4f}" for k, v in means.items()), flush=True)
        if step % args.every == 0 or step == args.steps or spent >= 60 * args.minutes:
            state = {"decoder": decoder.state_dict(), "adam": adam.state_dict(), "average": average}
            script.save(checkpoint, state | {"step": step, "spent": spent})
            script.export(average, args.out / "decoder.safetensors")


if __name__ == "__main__":
    main()

"""Trains the whole chain of one pass on the objective of a run, end to end through the maps.

    python training/objective.py --images PHOTOS --styles PAINTINGS --out runs/objective --minutes 60

    loss = (content error at relu4_2 + WEIGHT γ · residual of the method's discrepancy) / (1 + WEIGHT γ)
           + small penalties of colours out of range and out of the palette, and of noise

The residual is the mean over relu1_1 … relu5_1 of result over content. Every image of a batch has a method
and a γ of its own. The same command resumes from the last checkpoint; with more --minutes it goes on. The
learning rate falls as a cosine to zero. `decoder.safetensors` holds the exponential average of the weights.
On a GPU one step is captured as a graph and replayed, because its two thousand small kernels take longer to
start than to run.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import script
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from nstlib.encoders import load_encoder
from nstlib.encoders.encoder import Encoder
from nstlib.export import newton_schulz_map
from nstlib.feedforward.decoders import LEVELS, METHODS, Decoder
from nstlib.feedforward.pipeline import BALANCE

WEIGHT = 2.5  # of the residual over the content error at γ = 1
GAMMAS = (0.1, 4.0)  # drawn log-uniformly
DRAWN = (0.15, 0.25, 0.3, 0.3)  # how often each of `METHODS`
KEPT = 0.05  # of a style's own norm, added to the content's distance that the residual is relative to
CONTENT = "relu4_2"
DRAWS = 600  # pixels of result and style whose colours are compared
PARTS = 64  # of the positions, summed apart


def no_autocast(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Moments need float32."""
    return torch.autocast("cuda", enabled=False)(torch.autocast("cpu", enabled=False)(function))


class Images:
    """Random crops of images that stay in memory as uint8."""

    def __init__(
        self, folders: Sequence[Path], left_out: set[str], side: int, device: torch.device | str
    ) -> None:
        self.images = []
        for path in sorted(file for folder in folders for file in folder.iterdir()):
            if path.stem in left_out or path.suffix not in {".jpg", ".jpeg", ".png"}:
                continue
            with Image.open(path) as file:
                image = file.convert("RGB")
            scale = min(1.0, side / min(image.size))
            image = image.resize([round(n * scale) for n in image.size], Image.Resampling.LANCZOS)
            self.images.append(torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).to(device))

    def crop(self, size: int, rng: random.Random, turn: float = 0.0) -> Tensor:
        """Returns a random square (3, size, size) in [0, 1], mirrored in half of the draws."""
        image = rng.choice(self.images)
        H, W = image.shape[1:]
        side = round(min(H, W) / max(1.0, rng.uniform(0.6, 1.0) * min(H, W) / size))
        top, left = rng.randint(0, H - side), rng.randint(0, W - side)
        x = image[None, :, top : top + side, left : left + side].float() / 255
        if side != size:
            x = torch.nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=side > size)
        x = x.flip(-1) if rng.random() < 0.5 else x
        return (x.mT if rng.random() < turn else x)[0]


def vary(x: Tensor, rng: random.Random) -> Tensor:
    """Changes the colours of styles (B, 3, H, W), each in a part of the draws."""
    mixing, shift = [], []
    for _ in range(len(x)):
        mix, light = torch.eye(3), 0.0
        if rng.random() < 0.3:
            mix = mix[rng.sample(range(3), 3)]
        if rng.random() < 0.4:
            mix = mix + torch.tensor([[rng.uniform(-0.3, 0.3) for _ in range(3)] for _ in range(3)])
            light = rng.uniform(-0.1, 0.1)
        mixing.append(mix)
        shift.append(light)
    mixed = torch.einsum("bij,bjhw->bihw", send(torch.stack(mixing), x.device), x - 0.5)
    return (mixed + 0.5 + send(torch.tensor(shift), x.device)[:, None, None, None]).clamp(0, 1)


@no_autocast
def statistics(F: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the mean (B, N, 1) and the covariance (B, N, N) of maps (B, N, H, W)."""
    f = F.flatten(2)
    m = f.mean(-1, keepdim=True)
    f = f - m
    if f.shape[-1] % PARTS or f.shape[-1] < 16 * PARTS:
        return m, f @ f.mT / f.shape[-1]
    f = f.unflatten(-1, (PARTS, -1)).transpose(1, 2)  # a GPU computes one thin product with few processors
    return m, (f @ f.mT).sum(1) / (PARTS * f.shape[-1])


Statistics = tuple[Tensor, Tensor]


@no_autocast
def transport_by_method(F: Tensor, style: Statistics, methods: Tensor) -> Tensor:
    """Transports maps F (B, N, H, W) to styles, each by the map of its own method.

    The map is a constant to the gradient. `methods` (B, 4) is one-hot. The square roots come from products of
    matrices (as in nstlib/export), since eigenvalues of small matrices are slow on a GPU.
    """
    with torch.no_grad():
        linear, bn, poly, _ = (column[:, None, None] for column in methods.T)
        (m, C), (goal, C_S) = statistics(F), style
        v, v_S = (torch.diagonal(c, dim1=1, dim2=2) for c in (C, C_S))
        A = optimal_map(C + poly * (m @ m.mT), C_S + poly * (goal @ goal.mT))
        A = torch.where(linear > 0, torch.eye(A.shape[1], device=A.device), A)
        A = torch.where(bn > 0, torch.diag_embed(((v_S + 1e-4) / (v + 1e-4)).sqrt()), A)
        shift = (1 - poly) * (goal - A @ m)
    return torch.baddbmm(shift, A, F.flatten(2)).view_as(F)


def optimal_map(C: Tensor, C_S: Tensor) -> Tensor:
    """Returns the symmetric A with A C A = C_S, or 1 where rounding makes its iteration diverge."""
    ridge = 5e-4 * (C + C_S).diagonal(dim1=1, dim2=2).mean(-1) + 1e-8
    A = newton_schulz_map(C, C_S, ridge)
    found = A.isfinite().all(-1).all(-1)[:, None, None]
    return torch.where(found, A, torch.eye(C.shape[-1], device=C.device))


def distance(one: Statistics, other: Statistics, methods: Tensor) -> Tensor:
    """Returns the discrepancy (B); for Wasserstein a bound of squares, which needs no matrix root."""
    _, bn, poly, wasserstein = methods.unbind(-1)
    (m, C), (μ, C_S) = one, other
    means = (m - μ).square().sum((1, 2))
    v, v_S = C.diagonal(dim1=1, dim2=2), C_S.diagonal(dim1=1, dim2=2)
    σ, σ_S = ((x + 1e-6).sqrt() for x in (v, v_S))
    covariances = (C - C_S).square().sum((1, 2)) / v_S.sum(-1).clamp(min=1e-6)
    grams = (C - C_S + m * m.mT - μ * μ.mT).square().sum((1, 2))
    return (1 - poly) * means + bn * (σ - σ_S).square().sum(-1) + poly * grams + wasserstein * covariances


def chain(
    decoder: Decoder,
    x: Tensor,
    P: dict[str, Tensor],
    styles: list[Statistics],
    methods: Tensor,
    share: Tensor,
) -> Tensor:
    """Returns the images of `OnePass`, not clamped, with gradients. methods (B, 4), share (B).

    `styles` are the statistics at the pixels and relu1_1 … relu5_1.
    """

    def amount(level: int) -> Tensor:
        return decoder.strength(level, methods, share)[:, None, None, None]

    low = P[LEVELS[4]]
    here = torch.lerp(low, transport_by_method(low, styles[5], methods), amount(5))
    for level in range(4, -1, -1):
        own, up = decoder.up(torch.cat([low, here]), level + 1).chunk(2)
        low = P[LEVELS[level - 1]] if level else x
        scale, shift, matrix = decoder.amounts(level, methods, share[:, None, None])
        with torch.autocast(x.device.type, enabled=False):
            rest = torch.baddbmm(shift.unsqueeze(-1), matrix, (low - own).flatten(2)).view_as(low)
            here = torch.addcmul(rest, up, scale[..., None, None])
        response = decoder.respond(low, level)
        here = decoder.refine(here, response, level, methods, share[:, None, None, None])
        here = torch.lerp(here, transport_by_method(here, styles[level], methods), amount(level))
    return here


def loss_terms(
    encoder: Encoder,
    decoder: Decoder,
    x: Tensor,
    style: Tensor,
    methods: Tensor,
    γ: Tensor,
    pixels: Tensor,
) -> dict[str, Tensor]:
    with torch.no_grad():
        P, S = encoder.maps(x, (*LEVELS, CONTENT)), encoder.maps(style, LEVELS)
        styles = [statistics(style), *(statistics(S[layer]) for layer in LEVELS)]
        nothing = [tuple(map(torch.zeros_like, of_style)) for of_style in styles]
    y = chain(decoder, x, P, styles, methods, γ / (γ + BALANCE))
    image = y.clamp(0, 1)
    Y = encoder.maps(y + (image - y).detach(), (*LEVELS, CONTENT))  # gradients of clipped colours go on
    error = (Y[CONTENT] - P[CONTENT]).square().sum((1, 2, 3)) / P[CONTENT].square().sum((1, 2, 3))
    residuals = []
    for layer, goal, zero in zip(LEVELS, styles[1:], nothing[1:], strict=True):
        with torch.no_grad():
            before = distance(statistics(P[layer]), goal, methods) + KEPT * distance(zero, goal, methods)
        residuals.append((distance(statistics(Y[layer]), goal, methods) / before).clamp(max=3))
    weight = WEIGHT * γ
    noise = [sum(z.diff(dim=d).square().mean((1, 2, 3)) for d in (-1, -2)) for z in (image, x, style)]
    own, allowed = (z.flatten(2)[..., k].mT for z, k in zip((image, style), pixels, strict=True))
    off = ((own[:, :, None] - allowed[:, None]).square().sum(-1).amin(-1) + 1e-8).sqrt() - 0.05
    return {
        "content": (error / (1 + weight)).mean(),
        "residual": (torch.stack(residuals).mean(0) * weight / (1 + weight)).mean(),
        "range": 40 * (y - image).square().mean(),
        "noise": (noise[0] - torch.maximum(noise[1], noise[2])).clamp(min=0).mean(),
        "palette": 6 * (weight / (1 + weight) * off.clamp(min=0).square().mean(-1)).mean(),
        "fringe": fringe(y, x),
    }


def fringe(y: Tensor, x: Tensor) -> Tensor:
    """Compares the steps between pixels within 3 px of the border with those further in, in excess of x's."""

    def power(z: Tensor, near: int, far: int) -> Tensor:
        strips = [z[..., near:far, :], z[..., -far : z.shape[-2] - near, :]]
        strips += [z[..., near:far].mT, z[..., -far : z.shape[-1] - near].mT]
        return torch.stack([s.diff(dim=-2).square().mean() for s in strips])

    return 2 * (power(y, 0, 4) - power(y, 8, 20).detach() - power(x, 0, 4)).clamp(min=0).mean()


class Step:
    """One step's loss and gradients, on a GPU as a captured graph for each size of crop."""

    def __init__(self, encoder: Encoder, decoder: Decoder, reduced: bool) -> None:
        self.encoder, self.decoder, self.reduced = encoder, decoder, reduced
        self.graphs: dict[tuple[int, ...], tuple[Callable[[], None], list[Tensor], Tensor]] = {}
        for p in decoder.parameters():
            p.grad = torch.zeros_like(p)

    def __call__(self, *batch: Tensor) -> Tensor:
        """Leaves the gradients, of norm 1 at most, in the decoder; returns the means of the loss's terms."""
        if batch[0].device.type != "cuda":
            return self._compute(*batch)
        key = tuple(batch[0].shape)
        if key not in self.graphs:
            self.graphs[key] = self._capture(*batch)
        replay, held, result = self.graphs[key]
        for kept, new in zip(held, batch, strict=True):
            kept.copy_(new)
        replay()
        return result

    def _capture(self, *batch: Tensor) -> tuple[Callable[[], None], list[Tensor], Tensor]:
        held = [value.clone() for value in batch]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._compute(*held)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._compute(*held)
        return graph.replay, held, result

    def _compute(self, *batch: Tensor) -> Tensor:
        grads = [p.grad for p in self.decoder.parameters() if p.grad is not None]
        torch._foreach_zero_(grads)
        with torch.autocast(batch[0].device.type, torch.bfloat16, self.reduced, cache_enabled=False):
            parts = list(loss_terms(self.encoder, self.decoder, *batch).values())
        torch.stack(parts).sum().backward()
        length = torch.stack(torch._foreach_norm(grads)).norm()
        ok = length.isfinite()
        factor = torch.where(ok, 1 / length.clamp(min=1), torch.zeros_like(length))
        for g in grads:
            g.copy_(torch.where(ok, g, torch.zeros_like(g)))  # a step that failed changes nothing
        torch._foreach_mul_(grads, factor)
        return torch.stack(parts).detach()


TERMS = ("content", "residual", "range", "noise", "palette", "fringe")


def read_state(path: Path) -> dict[str, Tensor]:
    """Returns the state of a decoder file; what it lacks begins as in a new one."""
    state = {name: value.float() for name, value in load_file(path).items()}
    return {name: state.get(name, value) for name, value in Decoder().state_dict().items()}


def batch(args: argparse.Namespace, photos: Images, paintings: Images, step: int) -> tuple[Tensor, ...]:
    """Returns content, style, methods, γ and the pixels to compare, for a step."""
    rng, device = random.Random(args.seed + step), torch.device(args.device)
    large = step % 4 == 3  # a quarter of the steps: fewer and larger crops
    size, count = (
        (args.crop * 3 // 2 // 16 * 16, max(1, args.batch // 2)) if large else (args.crop, args.batch)
    )
    x = torch.stack([photos.crop(size, rng) for _ in range(count)])
    sources = [paintings if rng.random() < 0.85 else photos for _ in range(count)]
    style = vary(torch.stack([source.crop(size, rng, 0.3) for source in sources]), rng)
    hows = rng.choices(range(len(METHODS)), DRAWN, k=count)
    γ = torch.tensor([math.exp(rng.uniform(*map(math.log, GAMMAS))) for _ in range(count)])
    generator = torch.Generator().manual_seed(args.seed + step)
    pixels = torch.randint(size * size, (2, DRAWS), generator=generator)
    images = (z.contiguous(memory_format=torch.channels_last) for z in (x, style))
    return (*images, *(send(value, device) for value in (torch.eye(len(METHODS))[hows], γ, pixels)))


def send(value: Tensor, device: torch.device) -> Tensor:
    """Copies to the device without waiting for it."""
    return value.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else value


def peak_rate(name: str, p: Tensor, rate: float) -> float:
    """Returns the peak learning rate of a parameter."""
    own = {"strengths": 0.02, "mixing": 0.002, "gains": 0.003, "tuning": 0.003}.get(name.partition(".")[0])
    return own or (rate / p[0].numel() if name.endswith("weight") else rate / 300)


def main() -> None:
    parser = script.options(__doc__.splitlines()[0], steps=10**9, batch=2, crop=192, every=200)
    parser.add_argument("--styles", nargs="+", type=Path, required=True, help="folders of paintings")
    parser.add_argument("--held-out", type=Path, help="text file: names that no training may see")
    parser.add_argument("--begin", type=Path, help="weights to start from")
    parser.add_argument("--minutes", type=float, default=60, help="training time in all")
    parser.add_argument("--lr", type=float, default=0.08, help="of Adam, for an output of one input")
    args = parser.parse_args()
    device = script.start(args)
    left_out = set(args.held_out.read_text().split()) if args.held_out else set()
    photos = Images(args.images, left_out, 400, device)
    paintings = Images(args.styles, left_out, 400, device)
    print(f"{len(photos.images)} photos, {len(paintings.images)} paintings", flush=True)
    torch.backends.cudnn.benchmark = True
    encoder = load_encoder(dtype="float32", device=device)
    decoder = Decoder()
    if args.begin:
        decoder.load_state_dict(read_state(args.begin))
    decoder.to(device, memory_format=torch.channels_last)
    groups: dict[float, list[Tensor]] = {}
    for name, p in decoder.named_parameters():
        groups.setdefault(peak_rate(name, p, args.lr), []).append(p)
    adam = torch.optim.Adam([{"params": ps, "peak": peak} for peak, ps in groups.items()], betas=(0.9, 0.99))
    average = {name: value.clone() for name, value in decoder.state_dict().items()}
    step, spent, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        decoder.load_state_dict(state["decoder"])
        adam.load_state_dict(state["adam"])
        average, step, spent = state["average"], state["step"], state["spent"]
        print(f"resumed at step {step}", flush=True)
    compute = Step(encoder, decoder, reduced=not args.float32)
    start, begun, means = time.monotonic() - spent, step, torch.zeros(len(TERMS), device=device)
    failed = torch.zeros((), device=device)
    while step < args.steps and spent < 60 * args.minutes:
        for group in adam.param_groups:
            group["lr"] = group["peak"] * script.rate(spent / 60 / args.minutes, step - begun, warmup=60)
        found = compute(*batch(args, photos, paintings, step))
        failed += ~found.isfinite().all()
        means.lerp_(torch.where(found.isfinite(), found, means), 1 if step == begun else 0.01)
        adam.step()
        step, spent = step + 1, time.monotonic() - start
        decay = min(0.998, (step - begun) / (step - begun + 9))
        torch._foreach_lerp_(list(average.values()), list(decoder.state_dict().values()), 1 - decay)
        if step % 50 == 0:
            figures = (f"{name} {value:.4f}" for name, value in zip(TERMS, means.tolist(), strict=True))
            print(step, f"{spent:.0f}s", *figures, f"failed {int(failed)}", flush=True)
        if step % args.every == 0 or step == args.steps or spent >= 60 * args.minutes:
            state = {"decoder": decoder.state_dict(), "adam": adam.state_dict(), "average": average}
            script.save(checkpoint, state | {"step": step, "spent": spent})
            script.export(average, args.out / "decoder.safetensors")


if __name__ == "__main__":
    main()

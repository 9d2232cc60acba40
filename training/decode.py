"""Trains the decoders of the embedded encoder: features of relu1_1 … relu5_1 back to a picture.

    python training/decode.py --images FOLDER… --out runs/decode [--steps 20000] [--minutes 9]
    python training/decode.py --images FOLDER… --out runs/moved --begin runs/decode/decoder.safetensors

Run it again with the same --out to resume from the last checkpoint. Kinds of steps (steps.py) take turns:
from random weights blocks alone and the chain together learn to give pictures back; from those of --begin the
chain also learns to paint features that were moved. The learning rate falls as a cosine to zero at --steps
or after --minutes, whichever is nearer.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import torch
from checkpoint import save
from data import Crops
from safetensors.torch import load_file, save_file
from steps import MAPS, alone, moving, relative, together
from torch import Tensor

from nstlib.encoders import load_encoder
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS, Decoder

RECOLOURED = 0.17  # share of training pictures with colours that photographs do not have
FIRST = ("alone", "together")  # kinds of steps, by turns
AFTER = ("moving", "together", "moving", "alone", "moving", "together")
WIDER = (176, 3)  # px and number of the crops that are moved: a style is a distribution over many positions


class Pictures(Crops):
    """Crops held and cut on the device, some of them recoloured."""

    def __init__(self, folders: list[Path], size: int, seed: int, device: torch.device) -> None:
        super().__init__(folders, size, seed)
        self.device = device
        self.train = [image.to(device) for image in self.train]
        self.noise = torch.Generator(device).manual_seed(seed)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.noise, device=self.device)

    def of(self, size: int) -> "Pictures":
        """The same pictures, cut into larger crops, where they are large enough."""
        other = copy.copy(self)
        other.size, other.train = size, [image for image in self.train if min(image.shape[1:]) >= size]
        return other

    def batch(self, count: int, recoloured: float = RECOLOURED) -> Tensor:
        x = torch.stack([self.crop() for _ in range(count)]).float() / 255
        changed = round(recoloured * count)
        x = torch.cat([self.recoloured(x[:changed]), x[changed:]]) if changed else x
        return x.roll(self.random(count), 0)

    def recoloured(self, x: Tensor) -> Tensor:
        """Other colours: of every picture either its channels mixed anew, or a few flat colours."""
        B = len(x)
        mix = torch.eye(3, device=self.device) + 1.5 * (self.uniform(B, 3, 3) - 0.5)
        mixed = torch.einsum("bij,bjhw->bihw", mix, x - 0.5) + 0.5 + 0.4 * (self.uniform(B, 3, 1, 1) - 0.5)
        palette, bins = self.uniform(B, 8, 3), 2 + self.random(7)
        grey = torch.nn.functional.avg_pool2d(x, 5, 1, 2).mean(1)
        rank = (grey * bins).long().clamp(0, bins - 1)
        flat = palette.gather(1, rank.flatten(1)[..., None].expand(-1, -1, 3))
        flat = flat.mT.reshape(x.shape)
        chosen = self.uniform(B, 1, 1, 1) < 0.5
        return torch.where(chosen, mixed, flat).clamp(0, 1)


@torch.no_grad()
def held_out(decoder: Decoder, encoder: Encoder, pictures: Pictures, side: int = 256) -> dict[str, float]:
    """Per level: PSNR (dB, mean over pictures) of the picture decoded from it, and the relative error of
    its block, on centre crops of the held-out pictures."""
    crops = [x for x in pictures.held_out(side)]
    result: dict[str, float] = {}
    for x in crops:
        x = x.to(encoder.device)
        maps = encoder.maps(x, LEVELS)
        for level, layer in enumerate(LEVELS, start=1):
            mse = (decoder.picture(maps[layer], level).float().clamp(0, 1) - x).square().mean()
            psnr = float(-10 * mse.log10())
            result[f"psnr {layer}"] = result.get(f"psnr {layer}", 0) + psnr / len(crops)
            if level > 1:
                error = float(relative(decoder.up(maps[layer], level), maps[LEVELS[level - 2]]))
                result[f"block{level}"] = result.get(f"block{level}", 0) + error / len(crops)
    return {name: round(value, 4) for name, value in result.items()}


def rate(progress: float, step: int, warmup: int = 60) -> float:
    return min(1, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(1, progress)))


def groups(network: torch.nn.Module, lr: float) -> list[dict]:
    """A learning rate of lr / (numbers that each weight's output sums up): wide layers would jump about."""
    return [
        {"params": [p], "peak": lr / p[0].numel() if p.dim() > 1 else lr / 300} for p in network.parameters()
    ]


def initialised(decoder: Decoder) -> Decoder:
    """Weights before training."""
    for block in decoder.blocks.values():
        for conv in block.convs:
            torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            torch.nn.init.zeros_(conv.bias)
            if conv.in_channels == conv.out_channels:
                conv.weight.data.mul_(0.5)  # a residual step starts small
        if block.to_picture:
            block.convs[-1].weight.data.mul_(0.1)
    return decoder


def export(decoder: Decoder, path: Path) -> None:
    save_file({k: v.half().cpu().contiguous() for k, v in decoder.state_dict().items()}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", nargs="+", type=Path, required=True, help="folders of images")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the result")
    parser.add_argument("--begin", type=Path, help="weights to begin with, from an earlier training")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of training at most, in all")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--crop", type=int, default=112, help="pixels; a multiple of 16")
    parser.add_argument("--lr", type=float, default=0.4, help="of Adam, for a weight that stands alone")
    parser.add_argument(
        "--pause", type=float, default=math.inf, help="minutes after which it saves and leaves"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1000, help="steps between checkpoints")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    pictures = Pictures(args.images, args.crop, args.seed, device)
    encoder = load_encoder(device=device, dtype="float32" if args.float32 else "bfloat16")
    exact = load_encoder(device=device)
    decoder = initialised(Decoder())
    if args.begin:
        decoder.load_state_dict({name: value.float() for name, value in load_file(args.begin).items()})
    decoder = decoder.to(device, memory_format=torch.channels_last)
    kinds, wider = AFTER if args.begin else FIRST, pictures.of(WIDER[0]) if args.begin else pictures
    adam = torch.optim.Adam(groups(decoder, args.lr), betas=(0.9, 0.99))
    print(f"{len(pictures.train)} training images at two scales, {len(pictures.test)} held out", flush=True)
    step, spent, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        decoder.load_state_dict(state["decoder"])
        adam.load_state_dict(state["adam"])
        pictures.generator.set_state(state["generator"].cpu())
        pictures.noise.set_state(state["noise"].cpu())
        step, spent = state["step"], state["spent"]
        print(f"resumed at step {step}", flush=True)

    start, before = time.monotonic() - spent, spent
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=not args.float32)
    while step < args.steps and spent < 60 * args.minutes:
        for group in adam.param_groups:
            group["lr"] = group["peak"] * rate(max(step / args.steps, spent / 60 / args.minutes), step)
        kind = kinds[step % len(kinds)]
        x = wider.batch(WIDER[1]) if kind == "moving" else pictures.batch(args.batch)
        x = x.contiguous(memory_format=torch.channels_last)
        with autocast:
            if kind == "moving":
                how = MAPS[step // 2 % len(MAPS)]
                terms = moving(decoder, encoder, x, wider.batch(WIDER[1], recoloured=0.5), how)
            else:
                terms = (alone if kind == "alone" else together)(decoder, encoder, x)
        adam.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        adam.step()
        step += 1
        if step % 60 < len(kinds):
            shown = " ".join(f"{k} {v.item():.3f}" for k, v in terms.items())
            print(f"{step} {time.monotonic() - start:.0f}s {shown}", flush=True)
        spent = time.monotonic() - start
        ended = step == args.steps or spent >= 60 * args.minutes
        paused = time.monotonic() - start - before > 60 * args.pause
        if step % args.every == 0 or ended:
            errors = held_out(decoder, exact, pictures)
            print(json.dumps({"step": step, "seconds": round(spent), **errors}), flush=True)
            with (args.out / "log.jsonl").open("a") as log:
                log.write(json.dumps({"step": step, "seconds": round(spent), **errors}) + "\n")
        if step % args.every == 0 or ended or paused:
            state = {"decoder": decoder.state_dict(), "adam": adam.state_dict()}
            state |= {"generator": pictures.generator.get_state(), "noise": pictures.noise.get_state()}
            save(checkpoint, state | {"step": step, "spent": spent})
            export(decoder, args.out / "decoder.safetensors")
        if paused:
            return


if __name__ == "__main__":
    main()

"""Trains the decoder of the embedded encoder: features of relu1_1 … relu5_1 back to an image.

    python training/decode.py --images FOLDER… --out runs/decode [--steps 20000] [--minutes 9]
    python training/decode.py --images FOLDER… --out runs/moved --begin runs/decode/decoder.safetensors

The same command resumes from the last checkpoint. Kinds of steps (steps.py) alternate. From random weights,
single blocks and the whole chain learn to reconstruct images; from the weights of --begin, the chain also
learns to decode transported features. The learning rate falls as a cosine to zero at --steps or after
--minutes, whichever comes first.
"""

import copy
import math
import time
from pathlib import Path

import script
import torch
from data import Crops
from safetensors.torch import load_file
from steps import MAPS, alone, moving, relative, together
from torch import Tensor

from nstlib.encoders import load_encoder
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS, Decoder

RECOLOURED = 0.17  # share of training crops with colours that photos do not have
FIRST = ("alone", "together")  # kinds of steps, in turn
AFTER = ("moving", "together", "moving", "alone", "moving", "together")
WIDER = (176, 3)  # px and number of the crops to transport: a style is a distribution over many positions


class RecolouredCrops(Crops):
    """Crops held and cut on the device, some of them recoloured."""

    def __init__(self, folders: list[Path], size: int, seed: int, device: torch.device) -> None:
        super().__init__(folders, size, seed)
        self.device = device
        self.train = [image.to(device) for image in self.train]
        self.noise = torch.Generator(device).manual_seed(seed)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.noise, device=self.device)

    def of(self, size: int) -> "RecolouredCrops":
        """Returns larger crops of the same images, where those are large enough."""
        other = copy.copy(self)
        other.size, other.train = size, [image for image in self.train if min(image.shape[1:]) >= size]
        return other

    def batch(self, count: int, recoloured: float = RECOLOURED) -> Tensor:
        x = torch.stack([self.crop() for _ in range(count)]).float() / 255
        changed = round(recoloured * count)
        x = torch.cat([self.recoloured(x[:changed]), x[changed:]]) if changed else x
        return x.roll(self.random(count), 0)

    def recoloured(self, x: Tensor) -> Tensor:
        """Returns images with other colours: their channels mixed at random, or a few flat colours."""
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
def held_out(decoder: Decoder, encoder: Encoder, images: Crops, side: int = 256) -> dict[str, float]:
    """Returns by level, on centre crops of the held-out images: the mean PSNR (dB) of the image decoded from
    it, and the relative error of its block."""
    crops = images.held_out(side)
    result: dict[str, float] = {}
    for x in crops:
        x = x.to(encoder.device)
        maps = encoder.maps(x, LEVELS)
        for level, layer in enumerate(LEVELS, start=1):
            mse = (decoder.decode(maps[layer], level).float().clamp(0, 1) - x).square().mean()
            psnr = float(-10 * mse.log10())
            result[f"psnr {layer}"] = result.get(f"psnr {layer}", 0) + psnr / len(crops)
            if level > 1:
                error = float(relative(decoder.up(maps[layer], level), maps[LEVELS[level - 2]]))
                result[f"block{level}"] = result.get(f"block{level}", 0) + error / len(crops)
    return {name: round(value, 4) for name, value in result.items()}


def groups(network: torch.nn.Module, lr: float) -> list[dict]:
    """Returns Adam's groups with a learning rate of lr / (inputs of each output), as wide layers need it."""
    return [
        {"params": [p], "peak": lr / p[0].numel() if p.dim() > 1 else lr / 300} for p in network.parameters()
    ]


def initialised(decoder: Decoder) -> Decoder:
    """Sets the weights before training and returns the decoder."""
    for block in decoder.blocks.values():
        for conv in block.convs:
            torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            torch.nn.init.zeros_(conv.bias)
            if conv.in_channels == conv.out_channels:
                conv.weight.data.mul_(0.5)  # a residual step starts small
        if block.to_image:
            block.convs[-1].weight.data.mul_(0.1)
    return decoder


def main() -> None:
    parser = script.options(__doc__.splitlines()[0], steps=20000, batch=6, crop=112, every=1000)
    parser.add_argument("--begin", type=Path, help="weights to start from, of an earlier training")
    parser.add_argument("--minutes", type=float, default=math.inf, help="longest training time in all")
    parser.add_argument("--pause", type=float, default=math.inf, help="minutes until it saves and stops")
    parser.add_argument("--lr", type=float, default=0.4, help="of Adam, for an output of one input")
    args = parser.parse_args()

    device = script.start(args)
    torch.backends.cudnn.benchmark = True
    crops = RecolouredCrops(args.images, args.crop, args.seed, device)
    encoder = load_encoder(device=device, dtype="float32" if args.float32 else "bfloat16")
    exact = load_encoder(device=device)
    decoder = initialised(Decoder())
    if args.begin:
        decoder.load_state_dict({name: value.float() for name, value in load_file(args.begin).items()})
    decoder = decoder.to(device, memory_format=torch.channels_last)
    kinds, wider = (AFTER, crops.of(WIDER[0])) if args.begin else (FIRST, crops)
    adam = torch.optim.Adam(groups(decoder, args.lr), betas=(0.9, 0.99))
    print(f"{len(crops.train)} training images at two scales, {len(crops.test)} held out", flush=True)
    step, spent, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        decoder.load_state_dict(state["decoder"])
        adam.load_state_dict(state["adam"])
        crops.generator.set_state(state["generator"].cpu())
        crops.noise.set_state(state["noise"].cpu())
        step, spent = state["step"], state["spent"]
        print(f"resumed at step {step}", flush=True)

    start, before = time.monotonic() - spent, spent
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=not args.float32)
    while step < args.steps and spent < 60 * args.minutes:
        for group in adam.param_groups:
            progress = max(step / args.steps, spent / 60 / args.minutes)
            group["lr"] = group["peak"] * script.rate(progress, step, warmup=60)
        kind = kinds[step % len(kinds)]
        x = wider.batch(WIDER[1]) if kind == "moving" else crops.batch(args.batch)
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
            script.log(args.out, step=step, seconds=round(spent), **held_out(decoder, exact, crops))
        if step % args.every == 0 or ended or paused:
            state = {"decoder": decoder.state_dict(), "adam": adam.state_dict()}
            state |= {"generator": crops.generator.get_state(), "noise": crops.noise.get_state()}
            script.save(checkpoint, state | {"step": step, "spent": spent})
            script.export(decoder.state_dict(), args.out / "decoder.safetensors")
        if paused:
            return


if __name__ == "__main__":
    main()

"""Trains the embedded encoder: a quarter-width VGG-19 that keeps VGG-19's feature geometry.

    python training/distill.py --teacher TEACHER --images FOLDER… --out runs/slim [--steps 10000]

The same command resumes from the last checkpoint. The student's own channels are regressed, after the ReLU,
onto a subset of the teacher's (greedy pivoted QR), each divided by its standard deviation. Every channel then
has the meaning of one of VGG's channels, so first-order statistics (linear MMD, BN) carry colour and stroke.
1×1 heads onto all of the teacher's channels add a smaller loss for the others; they are not bundled.
"""

import time
from typing import Any

import script
import torch
from data import Crops
from student import Student, layer_names
from teachers import LAYERS, Maps, Teacher, load_teacher, pivots
from torch import Tensor, nn

STRIDE = {f"relu{name}": stride for name, _, stride in layer_names()}
WIDTH = {f"relu{name}": width for name, width, _ in layer_names()}
MARGIN = 16  # px at the border that depend on the padding; left out of every loss
HEADS_WEIGHT = 0.3


def interior(feature: Tensor, stride: int, spacing: int = 1) -> Tensor:
    """Returns the map without a margin of `MARGIN` px, positions `spacing` px apart."""
    margin, step = MARGIN // stride, max(1, spacing // stride)
    return feature[..., margin:-margin:step, margin:-margin:step]


class Targets:
    """Which teacher channels each layer copies, and the scale of every teacher channel."""

    def __init__(self, teacher: Teacher, crops: Crops, device: torch.device, state: Any = None) -> None:
        if state:  # of the training that is resumed
            self.std, self.chosen = state["std"], state["chosen"]
            return
        samples: dict[str, list[Tensor]] = {layer: [] for layer in LAYERS}
        generator = torch.Generator().manual_seed(0)
        for _ in range(24):
            maps = teacher(crops.batch(8).to(device))
            for layer in LAYERS:
                rows = interior(maps[layer], STRIDE[layer]).permute(0, 2, 3, 1).flatten(0, 2).float().cpu()
                samples[layer].append(rows[torch.randperm(len(rows), generator=generator)[:400]])
        self.std, self.chosen = {}, {}
        for layer in LAYERS:
            values = torch.cat(samples[layer])
            std = values.std(0).clamp(min=1e-3)
            self.std[layer] = std.to(device)
            self.chosen[layer] = pivots(values / std, WIDTH[layer]).to(device)


def losses(
    student: Maps, teacher: Maps, targets: Targets, heads: nn.ModuleDict, spacing: int = 1
) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Returns by layer: the mean squared error of the student's own channels, that of the heads, at positions
    `spacing` px apart, and the heads' target. Every channel is in units of its standard deviation."""
    result = {}
    for layer in LAYERS:
        stride, std, chosen = STRIDE[layer], targets.std[layer], targets.chosen[layer]
        own = interior(teacher[layer][:, chosen], stride).float() / std[chosen, None, None]
        direct = (interior(student[layer], stride).float() - own).square().mean()
        every = interior(teacher[layer], stride, spacing).float() / std[:, None, None]
        lifted = torch.relu(heads[layer](interior(student[layer], stride, spacing)))
        result[layer] = direct, (lifted.float() - every).square().mean(), every
    return result


@torch.no_grad()
def held_out(
    student: Student, heads: nn.ModuleDict, teacher: Teacher, targets: Targets, crops: Crops
) -> dict[str, tuple[float, float]]:
    """Returns by layer the errors (of heads, of own channels) on held-out 256 px crops: mean squared error
    over variance, both averaged over channels in units of the training set's standard deviation."""
    student.eval()
    images = crops.held_out(256)
    errors = {layer: torch.zeros(2, dtype=torch.float64) for layer in LAYERS}
    moments: dict[str, Tensor] = {}
    for image in images:
        image = image.to(next(student.parameters()).device)
        for layer, (direct, lifted, every) in losses(student(image), teacher(image), targets, heads).items():
            errors[layer] += torch.stack([lifted, direct]).double().cpu() / len(images)
            raw = torch.stack([every.double().mean((0, 2, 3)), every.double().square().mean((0, 2, 3))])
            moments[layer] = moments.get(layer, 0) + raw / len(images)
    student.train()
    result = {}
    for layer, (mean, square) in moments.items():
        variance = square - mean.square()
        lifted, direct = errors[layer].tolist()
        own = variance[targets.chosen[layer]].mean().item()
        result[layer] = round(lifted / variance.mean().item(), 4), round(direct / own, 4)
    return result


def main() -> None:
    parser = script.options(__doc__.splitlines()[0], steps=10000, batch=8, crop=144, every=500)
    parser.add_argument("--teacher", required=True, help="compact VGG-19 .safetensors, or 'vgg19'")
    parser.add_argument("--lr", type=float, default=0.04, help="of Muon: relative size of a step")
    args = parser.parse_args()

    device = script.start(args)
    crops = Crops(args.images, args.crop, args.seed)
    teacher = load_teacher(args.teacher)
    if isinstance(teacher, nn.Module):
        teacher.to(device, memory_format=torch.channels_last)
    student = Student().to(device, memory_format=torch.channels_last)
    print(f"{len(crops.train)} training images at two scales, {len(crops.test)} held out", flush=True)

    step, checkpoint, state = 0, args.out / "checkpoint.pt", None
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
    with torch.no_grad():
        targets = Targets(teacher, crops, device, state)
    heads = nn.ModuleDict(
        {layer: nn.Conv2d(WIDTH[layer], len(targets.std[layer]), 1) for layer in LAYERS}
    ).to(device)
    optimizers = [
        torch.optim.Muon(student.matrices(), lr=args.lr, momentum=0.95, weight_decay=0),
        torch.optim.Adam([*student.norms.parameters(), *heads.parameters()], lr=5e-3, betas=(0.9, 0.99)),
    ]
    if state:
        student.load_state_dict(state["student"])
        heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        crops.generator.set_state(state["generator"].cpu())
        step = state["step"]
        print(f"resumed at step {step}", flush=True)

    start = time.monotonic()
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=not args.float32)
    while step < args.steps:
        rate = script.rate(step / args.steps, step, warmup=200)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = group.setdefault("peak", group["lr"]) * rate
        image = crops.batch(args.batch).to(device, memory_format=torch.channels_last)
        with autocast:
            with torch.no_grad():
                maps = teacher(image)
            terms = losses(student(image), maps, targets, heads, spacing=4)
            loss = sum(direct + HEADS_WEIGHT * lifted for direct, lifted, _ in terms.values())
        student.zero_grad()
        heads.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        student.renormalize()
        step += 1
        if step % 50 == 0:
            print(f"{step} {time.monotonic() - start:.0f}s loss {loss.item():.3f}", flush=True)
        if step % args.every == 0 or step == args.steps:
            script.log(args.out, step=step, **held_out(student, heads, teacher, targets, crops))
            state = {"student": student.state_dict(), "heads": heads.state_dict()}
            state |= {"optimizers": [o.state_dict() for o in optimizers], "step": step}
            state |= {"std": targets.std, "chosen": targets.chosen}
            state |= {"generator": crops.generator.get_state()}
            script.save(checkpoint, state)
            script.export(student.folded(), args.out / "vgg19-slim.safetensors")


if __name__ == "__main__":
    main()

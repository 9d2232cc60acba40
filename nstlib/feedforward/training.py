"""Trains a network for one style with the objective of a run (Johnson, Alahi, Fei-Fei 2016).

    min over networks f of  mean over content images x of  α content(f(x), x) + β γ style(f(x), S)

Any method can provide the style term. Z_l^k and β (synthesis/objective.py) are calibrated on a few crops.
"""

import dataclasses
import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.checkpoint import REMEDY, load_checkpoint, save_checkpoint
from nstlib.feedforward.crops import Crops
from nstlib.feedforward.distributed import Group
from nstlib.feedforward.networks import FeedForward, load_feedforward, save_feedforward
from nstlib.feedforward.settings import Training
from nstlib.inputs import check_image, describe_inputs
from nstlib.synthesis.objective import Objective
from nstlib.synthesis.optimize import Step
from nstlib.synthesis.pixels import encode
from nstlib.synthesis.regions import build_objective
from nstlib.synthesis.terms import StyleTerm
from nstlib.version import __version__, check_writable, refuse_device, rename_arguments, use_torch_defaults

CALIBRATION_CROPS = 4


class train_feedforward(Iterator[Step]):  # called like a function
    """Trains a network for the style of one image. Iterate over it: each training step yields a `Step`.

        training = nstlib.train_feedforward(style, "photos/", method="bn", output="mine.safetensors")
        for step in training:
            print(step.index, step.loss)
        training.network(content)

    `step.image` is the result for the first image of the batch. `step.terms` are means over the batch.

    Args:
        style: (1, 3, H, W) RGB in [0, 1]. The network learns strokes of the size that they have here.
        images: the content images: a folder, or a list of files and tensors (1, 3, H, W).
        encoder: a name, or a loaded Encoder.
        init_from: network to start from, a bundled one or a file. Its style may differ from `style`.
        output: .safetensors file to write the network to at the end, in float16.
        checkpoint: file to resume from, if it exists. It is written every `every` steps and at the end. A
            resumed training may differ only in `iterations`. Its attribute `resumed` names the step.
        group: the processes that share each batch (distributed.py).
        name: name of the style, for the network's metadata.
        method, gamma, tv, palette: the objective, as in `Settings` (defaults: "gram", 1, 0, 1).
        plan: architecture, "sharp" (default), "light" or "full" (networks.py).
        iterations: number of steps (2000).
        batch: images per step, over all processes (4).
        size: side of the crops in px, a multiple of 4, at least 64 (192).
        lr: peak learning rate of Adam (0.003).
        seed: seed of all random numbers (0).
        dtype: dtype of the encoder's arithmetic, if `encoder` is a name ("auto").

    Raises:
        TypeError: an image is not a tensor.
        ValueError: an argument is out of range, or differs from that of the checkpoint.
        ImageError: the folder holds no image.
        WeightsError: `init_from` is not a network, or `checkpoint` is not a checkpoint.
        OSError: `output` or `checkpoint` cannot be written.
        FloatingPointError: a step made the loss or the weights NaN or infinite. Files stay unchanged.
    """

    @rename_arguments(begin="init_from")
    @refuse_device
    @use_torch_defaults(gradients=True)
    def __init__(
        self,
        style: Tensor,
        images: str | Path | Iterable[str | Path | Tensor],
        *,
        encoder: Encoder | str = "vgg19-slim",
        init_from: str | os.PathLike[str] | None = None,
        output: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int = 200,
        group: Group = Group(),  # noqa: B008 (frozen)
        name: str = "",
        **changes: Any,
    ) -> None:
        self.settings = settings = Training(**changes)
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a whole number of steps, at least 1, got {every!r}")
        style = check_image(style, "style")
        self.group, self.every = group, every
        self.output = None if output is None else check_writable(output, "output")
        self.checkpoint = None if checkpoint is None else check_writable(checkpoint, "checkpoint")
        if self.output is not None and self.output.suffix != ".safetensors":
            raise ValueError(f"output must end in .safetensors, got {self.output}")
        if self.output and self.checkpoint and self.output.resolve() == self.checkpoint.resolve():
            raise ValueError(f"output and checkpoint are one file, {self.output}: give different ones")
        if not isinstance(encoder, Encoder):
            encoder = load_encoder(encoder, dtype=settings.dtype)
        self.encoder, self.crops = encoder, Crops(images, settings.size)
        self.mine = group.slice(settings.batch)
        metadata = vars(settings) | {"method": str(settings.method), "style": name, "nstlib": __version__}
        metadata |= {"encoder": encoder.name, "weights_sha256": encoder.weights_hash}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = FeedForward(settings.plan, metadata)
        if init_from is not None:
            known = load_feedforward(init_from, device="cpu")
            if known.plan != settings.plan:
                raise ValueError(
                    f"init_from: {init_from} has the plan {known.plan!r}, not {settings.plan!r}: choose its"
                )
            self.network.load_state_dict(known.state_dict())
            self.network.metadata["init_from"] = Path(init_from).stem
        self._identity = self.network.metadata | describe_inputs(
            style=style
        )  # compared with that of a checkpoint
        self.network.eval().to(encoder.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._shared: nn.Module = self.network
        if group.world > 1:
            self._shared = nn.parallel.DistributedDataParallel(self.network)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=settings.lr, betas=(0.9, 0.99))
        self.done, self.seconds, self.resumed, self._finished = 0, 0.0, "", False
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)
        self.objective = self._calibrated(style)

    def __iter__(self) -> Self:
        return self

    @use_torch_defaults(gradients=True)
    def __next__(self) -> Step:
        settings = self.settings
        if self.done >= settings.iterations:
            self._finish()
            raise StopIteration
        start = time.perf_counter()
        x = self._batch(self.done, self.mine)
        self.adam.param_groups[0]["lr"] = settings.lr * rate(self.done, settings.iterations)
        self.network.train()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.encoder.dtype is torch.bfloat16):
            image = self._shared(x)
        terms = self.terms(x, image.float())
        self.adam.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        length = float(nn.utils.clip_grad_norm_(self.network.parameters(), 1.0))
        self.network.eval()
        means = self._means(terms)  # over all processes, so that all take the same branch below
        if not all(map(math.isfinite, (length, *means.values()))):
            raise FloatingPointError(
                f"the loss stopped being a finite number at step {self.done + 1}; {REMEDY}"
            )
        self.adam.step()
        self.done += 1
        self.seconds += time.perf_counter() - start
        if self.done == settings.iterations:
            self._finish()
        elif self.done % self.every == 0 and self.checkpoint is not None and self.group.rank == 0:
            self.save(self.checkpoint)
        return Step(self.done, settings.iterations, image[:1].detach().clone, means, self.seconds)

    def terms(self, x: Tensor, image: Tensor) -> dict[str, Tensor]:
        """Returns the terms for contents x and results `image`, (B, 3, H, W), as means over the batch."""
        objective, B = self.objective, len(x)
        with torch.no_grad():
            targets = self.encoder(x, objective.content)
        features = encode(self.encoder, image, objective.layers)
        if image.is_cuda:  # a loop over the images would take most of the time of a step
            return dataclasses.replace(objective, content=targets).batch_means(image, features)
        sums: dict[str, Tensor] = {}
        for i in range(B):  # one by one: a content error is relative to one image's content
            own = {layer: F[i : i + 1] for layer, F in features.items()}
            content = {layer: P[i : i + 1] for layer, P in targets.items()}
            for name, value in dataclasses.replace(objective, content=content)(image[i : i + 1], own).items():
                sums[name] = sums.get(name, 0) + value / B
        return sums

    def save(self, path: Path) -> None:
        """Writes a checkpoint. Raises FloatingPointError if a weight is NaN or infinite."""
        progress = {"done": self.done, "seconds": self.seconds, "training": self._identity}
        save_checkpoint(path, self.network, self.adam, progress)

    def _finish(self) -> None:
        """Writes the output and the checkpoint once, even if a resumed training has no steps to do."""
        if self._finished or self.group.rank > 0:
            return
        self.network.metadata["iterations"] = self.done
        if self.output is not None:
            save_feedforward(self.network, self.output)
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        self._finished = True

    def _resume(self, path: Path) -> None:
        self.done, self.seconds, planned = load_checkpoint(path, self.network, self.adam, self._identity)
        self.resumed = f"resumed at step {self.done} from {path}"
        if planned != self.settings.iterations:
            self.resumed += f", planned for {planned} iterations and now for {self.settings.iterations}"

    def _batch(self, step: int, mine: slice) -> Tensor:
        """Returns the crops `mine` of the batch of a step. The batch is the same in every process."""
        generator = torch.Generator().manual_seed((self.settings.seed << 32) + step + 1)
        count = max(self.settings.batch, CALIBRATION_CROPS)
        return self.crops.batch(generator, count, mine).to(self.encoder.device)

    def _calibrated(self, style: Tensor) -> Objective:
        """Returns the objective of a run. Its Z_l^k and β are geometric means over a few crops."""
        crops = self._batch(-1, slice(0, CALIBRATION_CROPS))
        styles = (style.to(crops),)
        found = [build_objective(self.settings.objective, self.encoder, x, styles) for x in crops[:, None]]
        return dataclasses.replace(
            found[0],
            style=tuple(map(_mean_term, *(o.style for o in found))),
            palette=tuple(map(_mean_term, *(o.palette for o in found))),
            beta=_geometric_mean(o.beta for o in found),
        )

    def _means(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Returns the terms as numbers, averaged over all processes."""
        values = torch.stack([term.detach() for term in terms.values()])
        if self.group.world > 1:
            torch.distributed.all_reduce(values)
        return dict(zip(terms, (values / self.group.world).tolist(), strict=True))


def rate(step: int, steps: int, warmup: int = 50) -> float:
    """Returns the learning rate as a fraction of its peak: a cosine to zero times a short linear warm-up."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _mean_term(*terms: StyleTerm) -> StyleTerm:
    return dataclasses.replace(terms[0], scale=_geometric_mean(term.scale for term in terms))


def _geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))

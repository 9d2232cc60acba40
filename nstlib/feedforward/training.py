"""Training a network for one style: the library's own objective, at pictures that the network makes.

    min over networks f of  mean over photographs P of  α content(f(P), P) + β γ style(f(P), S)

for any method: the terms, Z_l^k and β are those of an optimisation (synthesis/objective.py), calibrated at a
few training photographs. `train_feedforward` is an iterator of Steps, like a run; it resumes, and several
processes share a batch (distributed.py).
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
from nstlib.feedforward.checkpoint import REMEDY, check_writable, load_checkpoint, save_checkpoint
from nstlib.feedforward.distributed import Group
from nstlib.feedforward.networks import FeedForward, load_feedforward, save_feedforward
from nstlib.feedforward.pictures import Pictures
from nstlib.feedforward.settings import Training
from nstlib.inputs import check_image, describe_inputs
from nstlib.synthesis import pixels
from nstlib.synthesis.loop import Step
from nstlib.synthesis.objective import Features, Objective, StyleTerm, calibrate, style_terms
from nstlib.version import __version__, use_torch_defaults

CALIBRATION_PICTURES, CALIBRATION_NOISE = 4, 0.2


class train_feedforward(Iterator[Step]):  # it is called like a function, and read like one
    """Trains a network on `images` to give photographs the style of `style`; yields a `Step` per iteration.

        training = nstlib.train_feedforward(style, "photographs/", method="bn", output="mine.safetensors")
        for step in training:
            print(step.index, step.loss)
        training.network(content)

    style: (1, 3, H, W) RGB in [0, 1]; its strokes are learnt at the size given. images: a folder, files, or
    pictures (1, 3, H, W). changes: fields of `Training`. begin: a network to start from, shipped or a file,
    of another style, say.
    output: .safetensors file for the network, float16, written at the end. checkpoint: file to resume from
    where it exists, written every `every` steps and at the end. Only the number of iterations may differ
    from what it was written with; `resumed` says what happened. group: this process among others.
    step.image is the batch's first picture, step.terms the batch's means.
    Raises ValueError for settings that are out of range or not the checkpoint's, TypeError for what is no
    tensor, ImageError for a folder without images, WeightsError for a file that is no checkpoint, OSError
    where output or checkpoint cannot be written. A step raises FloatingPointError where the loss or the
    weights stop being finite; the files keep what they held.
    """

    @use_torch_defaults(gradients=True)
    def __init__(
        self,
        style: Tensor,
        images: str | Path | Iterable[str | Path | Tensor],
        *,
        encoder: Encoder | str = "vgg19-slim",
        begin: str | os.PathLike[str] | None = None,
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
        self.encoder = (
            encoder if isinstance(encoder, Encoder) else load_encoder(encoder, dtype=settings.dtype)
        )
        self.pictures, self.mine = Pictures(images, settings.size), group.slice(settings.batch)
        card = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
        card |= {"method": str(settings.method), "style": name, "nstlib": __version__}
        card |= {"encoder": self.encoder.name, "weights_sha256": self.encoder.weights_hash}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = FeedForward(settings.plan, card)
        if begin is not None:
            self.network.load_state_dict(self._known(begin).state_dict())
        self._identity = self.network.card | describe_inputs(style=style)  # what a checkpoint must agree with
        self.network.to(self.encoder.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._shared: nn.Module = self.network
        if group.world > 1:
            self._shared = nn.parallel.DistributedDataParallel(self.network)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=settings.lr, betas=(0.9, 0.99))
        self.network.eval()
        self.done, self.seconds, self.resumed, self._finished = 0, 0.0, "", False
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)
        self.objective = self._objective(style)

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
            picture = self._shared(x)
        terms = self.terms(x, picture.float())
        self.adam.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        length = float(nn.utils.clip_grad_norm_(self.network.parameters(), 1.0))
        self.network.eval()
        means = self._means(terms)  # of all processes, which so agree on what follows
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
        return Step(self.done, settings.iterations, picture[:1].detach().clone, means, self.seconds)

    def _finish(self) -> None:
        """Writes the output and the checkpoint, once: also where a resumed training has no step left."""
        if self._finished or self.group.rank > 0:
            return
        self.network.card["iterations"] = self.done
        if self.output is not None:
            save_feedforward(self.network, self.output)
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        self._finished = True

    def terms(self, x: Tensor, picture: Tensor) -> dict[str, Tensor]:
        """The objective's terms, each the mean over the pictures of a batch (B, 3, H, W)."""
        objective, B = self.objective, len(x)
        with torch.no_grad():
            targets = self.encoder(x, objective.content)
        features = self._features(picture, objective.layers)
        sums: dict[str, Tensor] = {}
        for i in range(B):  # one by one: the content's error is relative to its own photograph
            own = {layer: F[i : i + 1] for layer, F in features.items()}
            single = dataclasses.replace(
                objective, content={layer: P[i : i + 1] for layer, P in targets.items()}
            )
            for name, value in single(picture[i : i + 1], own).items():
                sums[name] = sums[name] + value / B if name in sums else value / B
        return sums

    def _features(self, image: Tensor, layers: Iterable[str]) -> Features:
        """The encoder's layers, and the two below them (synthesis/pixels.py) where asked for."""
        own = pixels.features(image) if pixels.PIXELS in layers else {}
        return own | self.encoder(image, [layer for layer in layers if layer not in own])

    def _batch(self, step: int, mine: slice) -> Tensor:
        """The crops of a step, the same whoever asks."""
        generator = torch.Generator().manual_seed((self.settings.seed << 32) + step + 1)
        count = max(self.settings.batch, CALIBRATION_PICTURES)
        return self.pictures.batch(generator, count, mine).to(self.encoder.device)

    def _objective(self, style: Tensor) -> Objective:
        """Calibrated as for an optimisation, at a few crops; scales and β are their geometric means."""
        encoder, settings = self.encoder, self.settings
        weights = dict.fromkeys(encoder.style_layers, 1.0)
        with torch.no_grad():
            S = self._features(style.to(encoder.device), (*weights, pixels.PIXELS, pixels.GRAIN))
            terms = style_terms(settings.discrepancy, S, weights)
            colours = pixels.PALETTE.summary(S[pixels.PIXELS]) if settings.palette else {}
            palette = pixels.terms(S, None, colours, settings.palette) if colours else ()
        pictures = self._batch(-1, slice(0, CALIBRATION_PICTURES))
        found = []
        for i, x in enumerate(pictures[:, None]):
            generator = torch.Generator().manual_seed(settings.seed + i)
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x.device)
            with torch.no_grad():
                P = encoder(x, (encoder.content_layer,))
            objective = Objective(P, terms, gamma=settings.gamma, tv=settings.tv, palette=palette)
            reference = (x + CALIBRATION_NOISE * noise).clamp(0, 1)
            found.append(calibrate(objective, lambda x: self._features(x, objective.layers), reference))  # noqa: B023
        return dataclasses.replace(
            found[0],
            style=tuple(map(_middle, *(o.style for o in found))),
            palette=tuple(map(_middle, *(o.palette for o in found))),
            beta=_geometric(o.beta for o in found),
        )

    def _means(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """The terms as numbers, over all processes."""
        values = torch.stack([term.detach() for term in terms.values()])
        if self.group.world > 1:
            torch.distributed.all_reduce(values)
        return dict(zip(terms, (values / self.group.world).tolist(), strict=True))

    def _known(self, begin: str | os.PathLike[str]) -> FeedForward:
        known = load_feedforward(begin, device="cpu")
        if known.plan != self.settings.plan:
            raise ValueError(f"begin: {begin} has the plan {known.plan!r}, not {self.settings.plan!r}")
        self.network.card["begin"] = Path(begin).stem
        return known

    def save(self, path: Path) -> None:
        """Writes what it takes to go on. Raises FloatingPointError where the weights are not finite."""
        progress = {"done": self.done, "seconds": self.seconds}
        save_checkpoint(path, self.network, self.adam, progress, self._identity)

    def _resume(self, path: Path) -> None:
        """Goes on from a checkpoint. Raises as `load_checkpoint`."""
        self.done, self.seconds, planned = load_checkpoint(path, self.network, self.adam, self._identity)
        self.resumed = f"resumed at step {self.done} from {path}"
        if planned != self.settings.iterations:
            self.resumed += f", planned for {planned} iterations and now for {self.settings.iterations}"


def rate(step: int, steps: int, warmup: int = 50) -> float:
    """Of the learning rate's peak: a short rise, then a cosine to zero."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _middle(*terms: StyleTerm) -> StyleTerm:
    return dataclasses.replace(terms[0], scale=_geometric(term.scale for term in terms))


def _geometric(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.methods import method as parse_method
from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.distributed import Group
from nstlib.feedforward.networks import FeedForward, load_feedforward, save_feedforward
from nstlib.feedforward.pictures import Pictures
from nstlib.images import unfinished
from nstlib.synthesis import pixels
from nstlib.synthesis.loop import Step
from nstlib.synthesis.objective import Features, Objective, StyleTerm, calibrate, style_terms
from nstlib.version import __version__, isolate

CALIBRATION_PICTURES, CALIBRATION_NOISE = 4, 0.2


@dataclass(frozen=True)
class Training:
    """The choices of a training, as `Settings` are those of a run.

    method, gamma: what style is, and its balance, as in a transfer. plan: "light" or "full" (networks.py).
    iterations: steps. batch: pictures a step, over all processes. size: side of the crops, px. lr: of Adam,
    at its peak. tv, palette: as in a transfer. seed: of every random draw. dtype: of the encoder's numbers.
    """

    method: str | Discrepancy = "gram"
    gamma: float = 1.0
    plan: str = "light"
    iterations: int = 2000
    batch: int = 4
    size: int = 192
    lr: float = 3e-3
    tv: float = 0.0
    palette: float = 1.0
    seed: int = 0
    dtype: Any = "auto"

    def __post_init__(self) -> None:
        parse_method(str(self.method))
        for name in ("gamma", "iterations", "batch", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number > 0, got {getattr(self, name)}")
        if self.size < 64 or self.size % 4:
            raise ValueError(f"size must be a multiple of 4 and at least 64 px, got {self.size}")

    @property
    def discrepancy(self) -> Discrepancy:
        return (parse_method(self.method) if isinstance(self.method, str) else self.method).seeded(self.seed)


class train_feedforward(Iterator[Step]):  # it is called like a function, and read like one
    """Trains a network on `images` to give photographs the style of `style`; yields a `Step` per iteration.

        training = nstlib.train_feedforward(style, "photographs/", method="bn", output="mine.safetensors")
        for step in training:
            print(step.index, step.loss)
        training.network(content)

    style: (1, 3, H, W) RGB in [0, 1]; its strokes are learnt at the size given. images: a folder, files, or
    pictures (1, 3, H, W). changes: fields of `Training`. begin: a network to start from, shipped or a file,
    of another style, say. output: file for the network, float16, written at the end. checkpoint: file to
    resume from where it exists, written every `every` steps and at the end.
    group: this process among others. step.image is the batch's first picture, step.terms the batch's means.
    Raises ValueError for settings out of range, ImageError for a folder without images.
    """

    @isolate(gradients=True)
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
        self.group, self.every, self.output = group, every, output
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
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
        self.network.to(self.encoder.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._shared: nn.Module = self.network
        if group.world > 1:
            self._shared = nn.parallel.DistributedDataParallel(self.network)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=settings.lr, betas=(0.9, 0.99))
        self.done, self.seconds = 0, 0.0
        self._resume()
        self.objective = self._objective(style)

    def __iter__(self) -> Self:
        return self

    @isolate(gradients=True)
    def __next__(self) -> Step:
        settings = self.settings
        if self.done >= settings.iterations:
            raise StopIteration
        start = time.perf_counter()
        x = self._batch(self.done, self.mine)
        self.adam.param_groups[0]["lr"] = settings.lr * rate(self.done, settings.iterations)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.encoder.dtype is torch.bfloat16):
            picture = self._shared(x)
        terms = self.terms(x, picture.float())
        self.adam.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.adam.step()
        self.done += 1
        self.seconds += time.perf_counter() - start
        last = self.done == settings.iterations
        if self.group.rank == 0 and (last or self.done % self.every == 0):
            if self.checkpoint is not None:
                self.save(self.checkpoint)
            if last and self.output is not None:
                save_feedforward(self.network, self.output)
        shown = picture[:1].detach().clone
        return Step(self.done, settings.iterations, shown, self._means(terms), self.seconds)

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
        """Writes what it takes to go on."""
        state = {"network": self.network.state_dict(), "adam": self.adam.state_dict()}
        with unfinished(path) as part:
            torch.save(state | {"done": self.done, "seconds": self.seconds}, part)
            part.replace(path)

    def _resume(self) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.encoder.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])
        self.done, self.seconds = state["done"], state["seconds"]


def rate(step: int, steps: int, warmup: int = 50) -> float:
    """Of the learning rate's peak: a short rise, then a cosine to zero."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _middle(*terms: StyleTerm) -> StyleTerm:
    return dataclasses.replace(terms[0], scale=_geometric(term.scale for term in terms))


def _geometric(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))

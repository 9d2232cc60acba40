"""Random crops from folders of images, which stay in memory as uint8."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SCALES = (1.0, 0.6)  # sizes at which each image is stored, for features of two scales


class Crops:
    """Draws (B, 3, size, size) float crops in [0, 1]. Every 20th image is held out for `test`."""

    def __init__(self, folders: list[Path], size: int, seed: int) -> None:
        files = sorted(f for d in folders for f in d.iterdir() if f.suffix in {".jpg", ".jpeg", ".png"})
        self.size, self.generator = size, torch.Generator().manual_seed(seed)
        self.train = [t for i, f in enumerate(files) if i % 20 for t in self.load(f)]
        self.test = [t for f in files[::20] for t in self.load(f)[:1]]
        if not self.train:
            raise ValueError(f"no .jpg or .png image of at least {size} px in {folders}")

    def load(self, path: Path) -> list[Tensor]:
        with Image.open(path) as file:
            image = file.convert("RGB")
        sizes = [[round(side * scale) for side in image.size] for scale in SCALES]
        return [
            torch.from_numpy(np.array(image.resize(size, Image.Resampling.LANCZOS))).permute(2, 0, 1)
            for size in sizes
            if min(size) >= self.size
        ]

    def random(self, high: int) -> int:
        return int(torch.randint(high, (), generator=self.generator))

    def crop(self) -> Tensor:
        """Returns a random crop of a training image, (3, size, size) bytes; half of them are mirrored."""
        image = self.train[self.random(len(self.train))]
        top = self.random(image.shape[1] - self.size + 1)
        left = self.random(image.shape[2] - self.size + 1)
        crop = image[:, top : top + self.size, left : left + self.size]
        return crop.flip(-1) if self.random(2) else crop

    def batch(self, count: int) -> Tensor:
        """Returns training crops, one in six with noise, as a run may start from noise."""
        crops = []
        for i in range(count):
            crop = self.crop().float() / 255
            if i % 6 == 5:
                sigma = 0.3 * torch.rand((), generator=self.generator)
                crop = crop + sigma * torch.randn(crop.shape, generator=self.generator)
            crops.append(crop.clamp(0, 1))
        return torch.stack(crops)

    def held_out(self, size: int) -> list[Tensor]:
        """Returns centre crops (1, 3, size, size) of the held-out images that are large enough."""
        crops = []
        for image in self.test:
            top, left = ((side - size) // 2 for side in image.shape[1:])
            if min(top, left) >= 0:
                crops.append(image[None, :, top : top + size, left : left + size].float() / 255)
        return crops

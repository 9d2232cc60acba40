"""How well D random Fourier features stand for the Gaussian kernel: the exact MMD² after matching them.

    python benchmarks/random_features.py [--json FILE] [--size 96] [--steps 120]

A texture made from noise matches the means of D random Fourier features at the five style layers. The
residual of the *exact* MMD² (by definition, over all positions) shows how far an optimiser fits the features
instead of the distribution. The table shows its mean over layers and styles, in thousandths of the value at
the noise. "halves" compares the odd with the even positions of the style itself. "resampled" draws new
features every 20 steps.
"""

import json
from pathlib import Path

import torch
from common import example, parser
from torch import Tensor

import nstlib
from nstlib.alignment.kernels import bandwidth, gaussian
from nstlib.encoders import Encoder
from nstlib.synthesis.objective import Objective, calibrate
from nstlib.synthesis.terms import style_terms

STYLES = ("strokes", "mosaic", "ink")
EVERY = 20


def exact(F: Tensor, S: Tensor, sigma: Tensor) -> float:
    """Returns MMD² by definition for the Gaussian of bandwidth sigma, over all positions, in float64."""
    return float(nstlib.mmd2(gaussian(sigma.double()), F[0].double(), S[0].double()))


def texture(style: Tensor, encoder: Encoder, d: nstlib.Discrepancy, steps: int, every: int) -> Tensor:
    """Returns the texture after `steps` steps from noise, with new random features after each `every`."""
    layers = encoder.style_layers
    S = encoder(style, layers)
    x = torch.rand(style.shape, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(style.shape, generator=torch.Generator().manual_seed(1))
    for seed in range(steps // every):
        terms = style_terms(d.with_seed(seed), S, dict.fromkeys(layers, 1.0))
        reference = (style + 0.2 * noise).clamp(0, 1)
        objective = calibrate(Objective({}, terms), lambda image: encoder(image, layers), reference)
        run = nstlib.synthesis.synthesize(
            x, lambda image, o=objective: o(image, encoder(image, layers)), iterations=every
        )
        for step in run:
            x = step.image
    return x


def main() -> None:
    arguments = parser(__doc__, size=96)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--steps", type=int, default=120)
    options = arguments.parse_args()
    encoder = nstlib.load_encoder()
    layers = encoder.style_layers
    cases = {"as the library": "gaussian"}
    for D in (32, 128, 512):
        cases |= {f"D = {D}": f"gaussian(n_features={D})"}
    cases |= {f"D = {D}, resampled": f"gaussian(n_features={D})" for D in (32, 128)}
    cases |= {"laplace": "laplace", "energy": "energy", "wasserstein": "wasserstein", "gram": "gram"}
    shares: dict[str, list[float]] = {name: [] for name in ["halves", *cases]}
    for file in STYLES:
        style = example(f"styles/{file}", options.size)
        S = encoder(style, layers)
        noise = encoder(torch.rand(style.shape, generator=torch.Generator().manual_seed(0)), layers)
        sigma = {layer: bandwidth(S[layer])[0] for layer in layers}
        start = {layer: exact(noise[layer], S[layer], sigma[layer]) for layer in layers}
        for layer in layers:
            odd, even = S[layer][..., 1::2], S[layer][..., ::2]
            shares["halves"].append(exact(odd, even, sigma[layer]) / start[layer])
        for name, spelled in cases.items():
            every = EVERY if "resampled" in name else options.steps
            made = encoder(texture(style, encoder, nstlib.method(spelled), options.steps, every), layers)
            left = [exact(made[x], S[x], sigma[x]) / start[x] for x in layers]
            shares[name] += left
            print(f"{file:8} {name:22} " + " ".join(f"{1e3 * value:8.3f}" for value in left), flush=True)
    result = {name: sum(values) / len(values) for name, values in shares.items()}
    print(f"\n{'':22} residual of the exact MMD², in thousandths of that at the noise")
    for name, value in result.items():
        print(f"{name:22} {1e3 * value:8.3f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

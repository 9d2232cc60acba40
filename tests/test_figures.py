"""Figures that show distributions: what is drawn is what was given."""

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch
from oracles import features
from torch import Tensor

import nstlib
from nstlib import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_projection_keeps_the_widest_directions() -> None:
    S = features(5, 300, 1)
    S[3] *= 10  # the widest two
    S[1] *= 5
    frames, target = figures.projected([features(5, 50, 2), S], S, points=300)
    assert [tuple(frame.shape) for frame in frames] == [(2, 50), (2, 300)] and target.shape == (2, 300)
    torch.testing.assert_close(frames[1], target)
    for axis, row in ((0, 3), (1, 1)):
        correlation = torch.corrcoef(torch.stack([target[axis], S[row]]))[0, 1].abs()
        assert correlation > 0.98


def test_an_animation_is_saved_frame_by_frame(tmp_path: Path) -> None:
    target = features(2, 40, 1)
    frames = [features(2, 30, 2) + 3 * (1 - k / 4) for k in range(5)]
    figures.animation(frames, target).save(tmp_path / "flow.gif", writer="pillow")
    from PIL import Image

    with Image.open(tmp_path / "flow.gif") as picture:
        assert picture.n_frames == 5


def test_witness_maps_show_every_layer_of_every_step(content: Tensor, style: Tensor) -> None:
    encoder, layers = nstlib.load_encoder(device="cpu"), ("relu1_1", "relu3_1")
    made = nstlib.stylize(content, style, method="gaussian", iterations=20, levels=1, gamma=5.0)
    pictures = [content, made]
    maps = [nstlib.synthesis.witnesses(picture, style, encoder, "gaussian", layers) for picture in pictures]
    figure = figures.witness_maps(pictures, maps, rows=["photograph", "20 steps"])
    assert [ax.get_title() for ax in figure.axes[:3]] == ["", *layers]
    drawn = torch.from_numpy(figure.axes[4].images[0].get_array().data)
    torch.testing.assert_close(drawn, maps[1]["relu1_1"].double())
    assert figure.axes[1].images[0].get_clim() == figure.axes[4].images[0].get_clim()
    for layer in layers:  # a run makes deviations fade
        assert maps[1][layer].square().mean() < 0.7 * maps[0][layer].square().mean()


def test_a_slider_is_the_figure_alone_where_nobody_slides() -> None:
    drawn: list[tuple[float, str]] = []
    figures.slide(lambda sigma, layer: drawn.append((sigma, layer)), sigma=(0.5, 2.0), layer=("relu1_1",))
    assert drawn == [(0.5, "relu1_1")]
    with pytest.raises(ValueError, match="none for sigma"):
        figures.slide(lambda sigma: None, sigma=())


def test_a_slider_redraws_where_somebody_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    ipywidgets = pytest.importorskip("ipywidgets")
    made: list[ipywidgets.SelectionSlider] = []

    def interact(draw: Callable[..., object], **sliders: ipywidgets.SelectionSlider) -> None:
        made.extend(sliders.values())
        draw(**{name: slider.value for name, slider in sliders.items()})
        for name, slider in sliders.items():
            slider.observe(lambda change, name=name: draw(**{name: change["new"]}), "value")

    class Kernel:
        _allow_stdin = True

    class Shell:
        kernel = Kernel()

    monkeypatch.setattr(ipywidgets, "interact", interact)
    monkeypatch.setattr("IPython.get_ipython", Shell)
    drawn: list[float] = []
    figures.slide(lambda sigma: drawn.append(sigma), sigma=(0.5, 2.0, 0.1))
    (slider,) = made
    assert list(slider.options) == [0.1, 0.5, 2.0]
    slider.value = 2.0
    assert drawn == [0.5, 2.0]


def test_flows_with_one_reach_share_a_window() -> None:
    target = features(2, 40, 1)
    near, far = ({"flow": [size * features(2, 30, 2)]} for size in (1, 9))
    windows = [figures.particle_flow(flow, target, reach=5.0).axes[0].get_xlim() for flow in (near, far)]
    assert windows[0] == windows[1] and windows[0][1] - windows[0][0] == pytest.approx(10)
    free = [figures.particle_flow(flow, target).axes[0].get_xlim() for flow in (near, far)]
    assert free[1][1] - free[1][0] > 3 * (free[0][1] - free[0][0])

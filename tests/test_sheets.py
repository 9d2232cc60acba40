"""Compare, Look inside and The idea, without a server: what their sheets show, and whether points do flow."""

import functools
import itertools
import json
import re
from html import unescape
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from app_server import CONTENT, STYLE

import nstlib
from demo.components import point_clouds
from demo.components.grid import PAD, Cell, Grid, sheet
from demo.components.method_controls import ALL
from demo.runs.engine import Frame
from demo.tabs import compare, grid_tab, idea, inside

SMALL = nstlib.Settings(size=64, iterations=2, levels=1)


def comparison(kind: str = "methods", **changes: object) -> Grid:
    return compare.plan(kind, SMALL.replace(**changes), str(CONTENT), str(STYLE))


def test_one_size_rule_every_picture_of_a_sheet_is_as_the_visitor_chose():
    for tab, steps in ((compare, 2), (inside, inside.STEPS)):
        for kind in tab.KINDS:
            grid = tab.plan(kind, SMALL.replace(seed=5), str(CONTENT), str(STYLE))
            for cell in grid.jobs():
                chosen = cell.job.settings
                assert (chosen.size, chosen.iterations, chosen.seed) == (64, steps, 5)
            assert all(max(cell.pixels.shape) == 64 for cell in grid.beside)


def test_each_kind_says_what_it_uses_and_the_plans_agree():
    other = {"method": "energy", "gamma": 7.0}
    methods = {(c.job.settings.method, c.job.settings.gamma) for c in comparison("methods", **other).jobs()}
    assert {gamma for _, gamma in methods} == {7.0} and "energy" not in {method for method, _ in methods}
    sweep = [c.job.settings for c in comparison("gamma", **other).jobs()]
    assert {s.method for s in sweep} == {"energy"} and 7.0 not in {s.gamma for s in sweep}
    assert {c.job.settings.gamma for c in comparison("fusion", **other).jobs()} == {7.0}
    texture = inside.plan("style", SMALL.replace(method="energy"), None, str(STYLE))
    assert {str(c.job.settings.method) for c in texture.jobs()} == {"energy"}


def test_the_originals_are_always_beside_and_a_sheet_of_two_axes_has_heads():
    assert [c.label for c in comparison("gamma").beside] == ["Content", "Style"]
    table = inside.plan("methods", SMALL, None, str(STYLE))
    assert (len(table.heads), len(table.sides), len(table.cells)) == (5, 4, 20)
    html = table.html()
    assert html.count('scope="col"') == 5 and html.count('scope="row"') == 4
    assert html.count("relu3_1") == 1, "a head is not repeated in its tiles"
    assert "<figcaption>Style" in html


def test_a_missing_picture_is_named_and_only_where_it_is_needed():
    with pytest.raises(ValueError, match="a style image first"):
        inside.plan("style", SMALL, str(CONTENT), None)
    with pytest.raises(ValueError, match="a content image first"):
        inside.plan("content", SMALL, None, str(STYLE))
    assert inside.plan("content", SMALL, str(CONTENT), None).jobs()


def test_one_pass_fills_a_comparison_at_once_and_its_strength_follows_gamma():
    grid = comparison("gamma")
    assert all(grid_tab.preview(cell) for cell in grid.jobs())
    photograph = grid.beside[0].pixels.astype(float)
    away = [float(np.abs(cell.pixels - photograph).mean()) for cell in grid.jobs()]
    assert away == sorted(away) and away[-1] > 2 * away[0]
    assert not any(cell.recipe for cell in grid.jobs()), "a draft is not a result"
    assert all("one pass" in cell.html() for cell in grid.jobs())
    assert not grid_tab.preview(comparison(encoder="vgg19-random").jobs()[0]), "the decoder knows one encoder"
    assert not grid_tab.preview(inside.plan("style", SMALL, None, str(STYLE)).jobs()[0])


def test_the_time_left_falls_as_pictures_are_finished():
    cell = Cell("linear", "", share=0.5)
    words = [grid_tab.progress(number, 4, cell, seconds) for number, seconds in ((1, 10), (2, 30), (4, 70))]
    assert [re.search(r"about (.+) left", word)[1] for word in words] == ["1 min 10 s", "50 s", "10 s"]
    assert "just started" in grid_tab.progress(1, 4, Cell("linear", ""), 0.0)


def test_a_cell_knows_how_far_its_run_is():
    cell = comparison().jobs()[0]
    pixels = np.zeros((4, 6, 3), np.uint8)
    cell.update(Frame(1, 2, 1.0, [], 0.2, pixels))
    assert cell.share == 0.2 and cell.note == "step 1 of 2"
    cell.update(Frame(2, 2, 2.0, [], 1.0, pixels, {"a": 1}, done=True))
    assert cell.share == 1 and cell.note == "" and cell.recipe == {"a": 1}


def test_a_tile_opens_in_stylize_as_it_is():
    grid = comparison("fusion", method="linear:0.5+energy:0.5", gamma=3.0)
    tile, pixels = grid.jobs()[1], np.zeros((4, 6, 3), np.uint8)
    tile.update(Frame(2, 2, 1.0, [], 1.0, pixels, {"kind": "transfer"}, done=True))
    place = int(re.search(r'data-place="(\d+)"', tile.html(place=1))[1])
    result = grid_tab.tile(grid, SimpleNamespace(place=place))
    assert result.pixels is pixels and result.recipe.step == 2 and result.library == {"kind": "transfer"}
    assert result.recipe.settings == tile.job.settings
    assert 'data-place=""' in Cell("Style", pixels=pixels).html(), "an original opens large only"


@pytest.mark.parametrize("sent", [{}, *({"place": place} for place in (-1, 99, "1", None, 0))])
def test_what_is_no_tile_is_refused(sent):
    for grid in (None, comparison()):  # tile 0 has no image yet
        with pytest.raises(gr.Error, match="cannot be opened"):
            grid_tab.tile(grid, SimpleNamespace(**sent))


@pytest.mark.parametrize("kind", ["style", "methods"])
def test_the_sheet_to_keep_has_room_for_every_picture_and_head(kind):
    grid = inside.plan(kind, SMALL, None, str(STYLE))
    blank = sheet(grid)
    colours = [(40 + 9 * number, 10, 200) for number in range(len(grid.cells))]
    for cell, colour in zip(grid.cells, colours, strict=True):
        cell.show_draft(np.full((64, 64, 3), colour, np.uint8), "")
    drawn = sheet(grid)
    for colour in colours:  # all of every picture, none over another
        assert int((drawn == np.array(colour)).all(-1).sum()) == 64 * 64
    assert drawn.shape == blank.shape and (drawn != blank).any()


@pytest.mark.parametrize(
    ("size", "long"), [(64, "Batch-norm statistics"), (128, "poly(c=1,degree=2)+energy:0.25")]
)
def test_the_words_of_a_sheet_stay_in_their_cells(size, long):
    image = np.zeros((size, size, 3), np.uint8)
    cells = [Cell(long, pixels=image) for _ in range(4)]
    for heads, sides in (([], []), ([long, long], ["a", "b"])):
        title = f"{long} " * 6
        drawn = sheet(Grid(title, cells, 2, 1.0, [Cell("Style", pixels=image)], heads, sides)).min(-1)
        ink = drawn < 200
        assert not ink[:, -PAD:].any(), "beyond the last cell"
        first = int(np.argmax((drawn == 0).sum(1) >= 3 * size))  # the first row of images
        gaps = slice(drawn.shape[1] - 2 * PAD - size, drawn.shape[1] - PAD - size)
        assert not ink[first:, gaps].any(), "between two cells"
        assert not ink[-PAD:].any() and int((drawn[first:] == 0).sum()) >= 5 * size * size


# --- the idea ------------------------------------------------------------------------------------

F, S = point_clouds.make_samples()
flow = functools.cache(point_clouds.flow)


def differences(method: str) -> list[float]:
    """Shares of the first differences that are left at the end: means, spreads, correlation, everything."""
    end = flow(method)[-1]
    return [
        a / b for a, b in zip(point_clouds.differences(end, S), point_clouds.differences(F, S), strict=True)
    ]


@pytest.mark.parametrize("method", [*ALL, "poly(c=2)", "bn:0.5+poly:0.5"])
def test_a_flow_goes_downhill_all_the_way(method):
    frames = flow(method)
    assert len(frames) == point_clouds.FRAMES and torch.equal(frames[0], F)
    d = nstlib.method(method)
    for part, _ in d.components() if len(d.components()) == 1 else ():
        part = point_clouds.with_features(part).with_seed(0)
        values = [float(part(frame, S)) for frame in frames]
        assert all(b <= a + 1e-6 for a, b in itertools.pairwise(values))
        assert values[-1] < 0.05 * values[0]


def test_each_method_moves_what_it_sees_and_only_that():
    means, spreads, together, everything = differences("linear")
    assert means < 0.02 and spreads == pytest.approx(1, abs=0.01) == pytest.approx(together, abs=0.01)
    shift = flow("linear")[-1] - F
    assert float((shift - shift[:, :1]).abs().max()) < 1e-4, "the linear method moves all points alike"
    means, spreads, together, everything = differences("bn")
    assert max(means, spreads) < 0.05 and together > 0.8 and everything > 0.15
    means, spreads, together, everything = differences("wasserstein")
    assert max(means, spreads, together) < 0.05 and everything > 0.1, "three crowds are not a bell"
    means, spreads, together, everything = differences("coral")
    assert means > 0.95 and max(spreads, together) < 0.05
    for whole in ("sliced", "energy", "gaussian"):
        assert max(differences(whole)) < 0.12, "these see the whole cloud"


def test_the_gram_flow_ends_with_equal_gram_matrices():
    end = flow("poly")[-1]
    assert torch.allclose(end @ end.T / point_clouds.POINTS, S @ S.T / point_clouds.POINTS, atol=2e-2)


def test_the_figure_holds_its_frames_for_the_script_and_its_end_without_one():
    html = point_clouds.figure("linear")
    data = json.loads(unescape(re.search(r"data-flow='(.*?)'", html)[1]))
    assert len(data["frames"]) == len(data["left"]) == point_clouds.FRAMES
    assert {len(frame) for frame in data["frames"]} == {2 * point_clouds.POINTS}
    assert data["left"][0] == [100] * 4 and data["left"][-1][0] <= 1
    assert len(html) < 60_000 and html.count("<circle") == html.count("<rect") == point_clouds.POINTS
    shown = re.findall(r'<circle cx="(-?\d+)" cy="(-?\d+)"', html)
    assert [int(number) for point in shown for number in point] == data["frames"][-1]


def test_the_pulls_follow_gamma():
    shares = [float(re.search(r"--style:([\d.]+)", idea.forces(g))[1]) for g in (0.05, 0.5, 1, 4, 50)]
    assert shares == sorted(shares) and shares[2] == 0.5 and shares[3] == 0.8
    assert "4 times as hard" in idea.forces(4) and "2 times as weakly" in idea.forces(0.5)

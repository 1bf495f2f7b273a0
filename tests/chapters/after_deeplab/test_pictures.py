"""The drawings of chapter 17 say what the code does, at every stop of a slider."""

import itertools
import re

import numpy as np
import pytest
import torch

from dlseg.inspect import gradient_support
from support.after_deeplab.decisions import BOARD, DECIDES, decisions_picture, looked_at
from support.after_deeplab.deformable import DeformableConv2d, sample
from support.after_deeplab.fields import fields_of_span
from support.after_deeplab.holes_in_time import tcn
from support.after_deeplab.neighbourhood import NeighbourhoodAttention
from support.after_deeplab.pictures import (
    HIGH,
    QUERIES,
    SIDE,
    fields_picture,
    gridding_picture,
    moved_taps,
    numbered,
    query_picture,
    read_weights,
    taps_picture,
    things_picture,
    time_picture,
)


def numbers(words):
    return [int(number) for number in re.findall(r"\d+", words)]


@pytest.mark.parametrize(
    ("rates", "layers", "kernel_size", "listed"),
    [("doubling", 4, 2, (1, 2, 4, 8)), ("all 4", 3, 3, (4, 4, 4)), ("all 1", 2, 2, (1, 1))],
)
def test_time_is_that_of_the_network(rates, layers, kernel_size, listed):
    seen = gradient_support(tcn(2, kernel_size, listed, 1), (1, 80), (79,)).mask
    places = np.flatnonzero(seen)
    alt = time_picture(rates, layers, kernel_size).alt
    assert f"rates {', '.join(map(str, listed))}: field {80 - places[0]} steps" in alt
    assert alt.endswith(f"{len(places)} of them read.")
    drawn = time_picture(rates, layers, kernel_size).data.decode()
    assert len(re.findall(r'<rect[^>]*fill="#0072b2"', drawn)) >= len(places)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(("rate", "heads"), [(2, 1), (1, 3), (3, 2)])
def test_a_query_asks_what_the_layer_sees(rate, heads, query):
    layer = NeighbourhoodAttention(2 * heads, range(rate, rate + heads))
    mask = gradient_support(layer, (2 * heads, SIDE, SIDE), QUERIES[query]).mask
    assert f"{mask.sum()} pixels may be asked" in query_picture(rate, heads, query).alt


def test_every_stop_of_the_sliders_has_a_picture_of_its_own():
    stops = {
        query_picture: ([1, 2, 3], [1, 2, 3], list(QUERIES)),
        taps_picture: ([1, 2, 3], [0, 0.25, 0.5, 0.75, 1]),
        time_picture: (["doubling", "all 1", "all 4"], [2, 3, 4, 5], [2, 3]),
    }
    for draw, values in stops.items():
        drawn = [draw(*chosen) for chosen in itertools.product(*values)]
        assert len({one.data for one in drawn}) == len({one.alt for one in drawn}) == len(drawn)


@pytest.mark.parametrize("moved", [0, 0.25, 1])
def test_pixels_read_are_those_of_the_sampling(moved):
    taps = torch.from_numpy(moved_taps(2, moved))
    x = torch.zeros(1, 1, HIGH, HIGH).double().requires_grad_()
    rows, columns = (taps[:, axis].reshape(1, 9, 1, 1) + HIGH // 2 for axis in (0, 1))
    gradient = torch.autograd.grad(sample(x, rows, columns).sum(), x)[0][0, 0]
    assert np.abs(gradient.numpy() - read_weights(taps.numpy())).max() < 1e-8
    read = numbers(taps_picture(2, moved).alt.split("disc: ")[1])[0]
    assert read == (gradient > 1e-8).sum()


def test_taps_begin_where_the_layer_begins():
    mask = (read_weights(moved_taps(3, 0)) > 0)[3:10, 3:10]
    with torch.no_grad():
        x = torch.zeros(1, 1, 7, 7)
        x[0, 0, 3, 3] = 1.0
        layer = DeformableConv2d(1, 1, 3, 3)
        layer.weight.fill_(1.0)
        assert ((layer(x)[0, 0] > 0).numpy() == mask).all()


def test_holes_are_white():
    mask = np.eye(4, dtype=bool)
    picture = gridding_picture({"rates 2, 2, 2": mask, "all": ~mask})
    assert picture.alt.endswith("rates 2, 2, 2: 4 pixels; all: 12 pixels.")


def test_fields_are_told_by_their_width():
    fields = fields_of_span(2)
    alt = fields_picture(fields).alt
    assert alt.count("taps") == len(fields) == 5
    assert "one 3x3 at rate 15, 9 taps: 31 pixels" in alt


def test_eight_ways_and_who_decides():
    alt = decisions_picture().alt
    assert all(name in alt for name, *_ in DECIDES) and len(DECIDES) == 8
    for *_, way in DECIDES:
        squares = list(looked_at(way))
        assert squares and all(0 <= weight <= 1 for *_, weight in squares)
        assert all(
            row >= 0 and column >= 0 and max(row, column) + side <= BOARD
            for row, column, side, _ in squares
        )
    assert len(list(looked_at("atrous"))) == len(list(looked_at("moved"))) == 9
    assert len(list(looked_at("crf"))) == BOARD**2
    assert sum(side**2 for *_, side, _ in looked_at("smaller")) == BOARD**2


def test_things_have_colours_and_are_counted():
    owner = np.array([[0, 3], [3, 9]])
    assert (numbered(owner)[0, 0] == 255).all()
    assert (numbered(owner)[0, 1] == numbered(owner)[1, 1]).all()  # 3 and 9 = 3 + 6 colours
    image, centres = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2))
    assert things_picture(image, owner, centres, owner * 0).alt.endswith(
        "with 2 things, and 0 that were found."
    )

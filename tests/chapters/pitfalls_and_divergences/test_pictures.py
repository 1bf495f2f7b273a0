"""The drawings of chapter 14 say what the programs and the stretch do."""

import itertools
import re
import tomllib
from collections import Counter

import numpy as np
import pytest
from torch import nn

from dlseg.backbones import ResNet
from dlseg.models import ASPP, torchvision_deeplabv3
from support.implementations import (
    deeplab2_deeplabv3plus,
    smp_deeplabv3plus,
    vainf_deeplabv3plus,
)
from support.pitfalls_and_divergences.pictures import (
    ALIGNED,
    AUTHORS,
    PROGRAMS,
    differences,
    pitfall_map,
    places,
    program_picture,
    shift_picture,
    unit_rates,
)
from tests.backbones.counting import without_weights
from tests.chapters.tools import ROOT

FACTS = tomllib.loads((ROOT / "assets/programs.toml").read_text(encoding="utf-8"))
BUILT = {
    "torchvision, v3": lambda os: torchvision_deeplabv3(output_stride=os),
    "segmentation-models-pytorch": lambda os: smp_deeplabv3plus(output_stride=os),
    "VainF": lambda os: vainf_deeplabv3plus(ResNet(os)),
    "deeplab2": lambda os: deeplab2_deeplabv3plus(ResNet(os)),
}


def test_every_pitfall_has_a_place_and_the_kinds_are_counted():
    pitfalls = list(itertools.chain(*places().values()))
    assert sorted(number for number, *_ in pitfalls) == list(range(1, 23))
    kinds = Counter(kind for *_, kind in pitfalls)
    assert sorted(kinds.values()) == [2, 4, 16]  # as the chapter says
    drawn = pitfall_map().data.decode()
    assert all(f">{number} {name}<" in drawn for number, name, _ in pitfalls)
    assert drawn.count("<circle") == 16 + 4 + 2  # and two in the key


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_drawn_as_their_own_files_say(name):
    facts, program = FACTS[name], PROGRAMS[name]
    assert "/" in facts["repository"] and facts["files"]
    assert list(program.multi_grid) == facts["multi_grid"]
    for output_stride in (16, 8):
        drawn = unit_rates(program, output_stride)
        for block in ("block3", "block4"):
            assert drawn[block] == facts[block][str(output_stride)]
        assert list(program.rates[output_stride]) == facts["aspp"][str(output_stride)]
    assert program.dropout == facts["dropout"]
    assert (program.stretch == ALIGNED) == facts["aligned"]


def test_facts_are_recorded_of_every_program_and_of_no_other():
    assert list(FACTS) == list(PROGRAMS)


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_programs_are_drawn_as_they_are_built(name, output_stride):
    network = without_weights(lambda: BUILT[name](output_stride))
    program = PROGRAMS[name]
    rates = unit_rates(program, output_stride)
    assert rates["block3"] == [unit.conv2.dilation[0] for unit in network.backbone.layer3]
    assert rates["block4"] == [unit.conv2.dilation[0] for unit in network.backbone.layer4]
    aspp = next(module for module in network.modules() if isinstance(module, ASPP))
    convs = [module for module in aspp.convs.modules() if isinstance(module, nn.Conv2d)]
    wide = [conv for conv in convs if conv.dilation[0] > 1]
    if name != "torchvision, v3" or output_stride == 8:  # ours scales torchvision's at 16
        assert tuple(conv.dilation[0] for conv in wide) == program.rates[output_stride]
    assert (program.kind == "plain") == all(conv.groups == 1 for conv in wide)
    assert network.align_corners == (program.stretch == ALIGNED)
    assert aspp.project[3].p == float(program.dropout)
    if hasattr(network, "decoder"):
        assert program.decoder.startswith(("none", "one", "two")[len(network.decoder.layers)])


def test_only_what_differs_from_the_authors_is_orange():
    fill = "#f8dfae"
    assert fill not in program_picture(AUTHORS, 16).data.decode()
    drawn = program_picture("VainF", 16).data.decode()
    # The first rate of block4; three kinds in ASPP; decoder; stretch.
    assert drawn.count(fill) == 1 + 3 + 1 + 1
    alt = program_picture("segmentation-models-pytorch", 16).alt
    assert "block4 2, 2, 2" in alt and "rate 36" in alt and "dropout 0.5" in alt


def test_a_mask_that_is_read_in_place_is_right_everywhere():
    labels = np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint8)
    labels[40] = 255
    columns = np.arange(64.0)
    assert shift_picture(labels, columns, "64 pixels").alt == (
        "64 pixels: each pixel answers for one +0.0 to +0.0 px away, and 0% of them are wrong."
    )
    wrong = re.search(r"(\d+)%", shift_picture(labels, columns - 7.5, "off").alt)[1]
    assert 80 < int(wrong) < 95  # eight of nine labels differ by chance


def test_bars_tell_every_switch():
    alt = differences([("nothing", 0.0, 0.0), ("rates", 0.5, 1.25)]).alt
    assert alt.endswith(
        "nothing: 0% at output stride 16, 0% at 8; rates: 50% at output stride 16, 125% at 8."
    )

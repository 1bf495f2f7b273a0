"""Solutions of chapter 17 against the code that the chapter shows."""

import numpy as np
import pytest
import torch

from dlseg.arithmetic import effective_kernel
from support.after_deeplab import exercises
from support.after_deeplab.deformable import sample
from support.after_deeplab.holes_in_time import causal, field_in_time
from support.after_deeplab.large_kernels import LargeKernel
from support.after_deeplab.mean_field import kernel_attention
from support.after_deeplab.neighbourhood import neighbours
from support.after_deeplab.panoptic import group
from support.after_deeplab.regions import masked_attention


def cases(exercise):
    return pytest.mark.parametrize("case", exercise.cases)


@cases(exercises.field)
def test_field(case):
    assert exercises.field.solution(*case) == field_in_time(*case)


@cases(exercises.causal_padding)
def test_causal_padding(case):
    kernel_size, rate = case
    assert exercises.causal_padding.solution(*case) == causal(1, 1, kernel_size, rate)[0].padding
    assert exercises.causal_padding.solution(*case)[0] == effective_kernel(*case) - 1


@cases(exercises.keys)
def test_keys(case):
    place, *rest = case
    assert exercises.keys.solution(*case) == neighbours(*rest)[place].tolist()


@cases(exercises.bilinear)
def test_bilinear(case):
    plane, row, column = case
    places = (torch.full((1, 1, 1, 1), place).double() for place in (row, column))
    expected = sample(torch.from_numpy(plane)[None, None], *places).item()
    assert exercises.bilinear.solution(*case) == pytest.approx(expected)


@cases(exercises.fold)
def test_fold(case):
    large, small, factors = case
    layer = LargeKernel(1, len(large), len(small)).double().eval()
    with torch.no_grad():
        layer.large.weight.copy_(torch.from_numpy(large))
        layer.small.weight.copy_(torch.from_numpy(small))
        for norm, factor in zip((layer.large_bn, layer.small_bn), factors, strict=True):
            norm.weight.fill_(factor * (1 + norm.eps) ** 0.5)
    found = layer.folded().weight[0, 0].detach().numpy()
    assert np.abs(exercises.fold.solution(*case) - found).max() < 1e-12


@cases(exercises.crf_attention)
def test_crf_attention(case):
    f = torch.from_numpy(case[0])
    expected = kernel_attention(f, torch.eye(len(f)).double()).numpy()
    assert np.abs(exercises.crf_attention.solution(*case) - expected).max() < 1e-12


@cases(exercises.masked)
def test_masked(case):
    logits, mask = (torch.from_numpy(part) for part in case)
    query, values = torch.ones(1, 1).double(), torch.eye(len(mask)).double()
    expected = masked_attention(query, logits[:, None], values, mask[None])[0].numpy()
    assert np.abs(exercises.masked.solution(*case) - expected).max() < 1e-12


@cases(exercises.group)
def test_group(case):
    places, arrows, middles = (torch.tensor(part, dtype=torch.double) for part in case)
    offsets = torch.zeros(2, 9, 9).double()
    rows, columns = places.long().mT
    offsets[:, rows, columns] = arrows.mT
    found = group(offsets, middles, torch.ones(9, 9, dtype=torch.bool))
    assert exercises.group.solution(*case) == found[rows, columns].tolist()

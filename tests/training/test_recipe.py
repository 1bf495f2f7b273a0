"""Recipes say what is wrong with them; schedules and groups of parameters do what they say."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from dlseg.models import DeepLabV2, MultiScale
from dlseg.schema import LARGEST
from dlseg.training import Recipe, learning_rate, poly, step
from dlseg.training.optimiser import (
    make_optimiser,
    parameter_groups,
    prepare_batch_norm,
    set_learning_rate,
)
from dlseg.training.recipe import LATER, OPTIMISERS
from tests.training.toys import Net, tiny

# The papers' recipes can be written down: v1 section 5, v2 section 4, v3 section 4.1.
V1 = Recipe(
    6000,
    20,
    learning_rate=0.001,
    schedule="step",
    step_size=2000,
    head_multiplier=10,
    head_bias_multiplier=20,
    weight_decay=5e-4,
    loss="shrunk",
    crop_size=321,
    scale=(1, 1),
)
V2 = Recipe(
    20_000,
    10,
    2,
    learning_rate=2.5e-4,
    head_multiplier=10,
    freeze_batch_norm=True,
    loss="shrunk",
    crop_size=321,
    scale=(0.5, 1.5),
)
V3 = Recipe(
    30_000,
    16,
    learning_rate=0.001,
    crop_size=513,
    scale=(0.5, 2.0),
    freeze_batch_norm=True,
    bootstrap_classes=(2, 9, 11, 16, 18),
)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("iterations", 0, "iterations must be an integer from 1 to 1000000000, got 0"),
        ("iterations", 10**30, "iterations must be an integer from .* got an integer of 100 bits"),
        ("batch_size", 2.5, "batch_size must be an integer from 1"),
        ("seed", -1, "seed must be an integer from 0"),
        ("seed", True, "seed must be an integer from 0 .*got True"),
        ("flip", 1, "flip must be true or false, got 1"),
        ("schedule", "cosine", "schedule must be one of .*poly.*got 'cosine'"),
        ("optimiser", "adam", "optimiser must be one of sgd, adamw, got 'adam'"),
        ("loss", "dice", "loss must be one of .*shrunk"),
        ("criterion", "iou", "criterion must be one of cross_entropy, focal, dice, lovasz, got"),
        ("class_weights", "median", "class_weights must be one of none, balanced, sqrt, or a list"),
        ("class_weights", (1, -2), r"class_weights\[1\] must be a finite number >= 0, got -2"),
        ("class_weights", (), "class_weights must be a list"),
        ("patience", -1, "patience must be an integer from 0"),
        ("learning_rate", float("nan"), "learning_rate must be a finite number >= 0, got nan"),
        ("learning_rate", -0.1, "learning_rate must be a finite number >= 0"),
        ("momentum", 1.5, "momentum must be a number from 0 to 1"),
        ("head_bias_multiplier", -2, "head_bias_multiplier"),
        ("weight_decay", 10**400, "weight_decay must be .* got an integer of 1329 bits"),
        ("scale", (2.0, 0.5), "scale must be two factors above 0, the smaller first"),
        ("bootstrap_classes", (1, -3), r"bootstrap_classes\[1\] must be an integer from 0 to 255"),
    ],
)
def test_a_senseless_value_is_named(field, value, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**{field: value})


BOUNDS = {
    "iterations": (1, 10**9),
    "batch_size": (1, 10**6),
    "accumulate": (1, 10**6),
    "learning_rate": (0.0, LARGEST),
    "power": (0.0, LARGEST),
    "step_size": (1, 10**9),
    "step_factor": (0.0, 1.0),
    "head_multiplier": (0.0, LARGEST),
    "head_bias_multiplier": (0.0, LARGEST),
    "momentum": (0.0, 1.0),
    "weight_decay": (0.0, LARGEST),
    "batch_norm_decay": (0.0, 1.0),
    "crop_size": (1, 10**5),
    "colour": (0.0, 1.0),
    "bootstrap_copies": (0, 10**6),
    "seed": (0, 2**63 - 1),
}


@pytest.mark.parametrize("field", BOUNDS)
def test_the_bounds_of_a_field_belong_to_it(field):
    least, most = BOUNDS[field]
    for value in (least, most):
        assert getattr(Recipe(**{field: value}), field) == value
    step = 1 if type(least) is int else 1e-9
    for value in (least - step, math.inf if most == LARGEST else most + step):
        with pytest.raises(ValueError, match=f"^{field} must be"):
            Recipe(**{field: value})


def test_factors_and_labels_of_pictures_have_bounds():
    assert Recipe(scale=(0.5, 0.5), bootstrap_classes=(0, 255)).bootstrap_classes == (0, 255)
    for wrong in ({"scale": (0, 1)}, {"scale": (1,)}, {"bootstrap_classes": (256,)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Recipe(**wrong)


def test_recipes_are_frozen_and_survive_a_checkpoint():
    with pytest.raises(AttributeError):
        V1.seed = 3
    saved = asdict(V3) | {"scale": [0.5, 2.0], "bootstrap_classes": [2, 9, 11, 16, 18]}
    assert Recipe(**saved) == V3 != V2
    assert Recipe(**asdict(tiny(optimiser="adamw"))) == tiny(optimiser="adamw") != tiny()
    for name in LATER:  # as in checkpoints that are older than the choice
        del saved[name]
    assert Recipe(**saved) == V3
    weighed = tiny(class_weights=(1, 2.5))
    assert Recipe(**(asdict(weighed) | {"class_weights": [1, 2.5]})) == weighed


def test_numbers_of_numpy_become_plain_ones():
    recipe = Recipe(
        np.int8(3), learning_rate=np.float32(0.5), scale=np.array([0.5, 2]), flip=np.bool_(True)
    )
    assert recipe == Recipe(3, learning_rate=0.5, scale=(0.5, 2.0))
    assert type(recipe.iterations) is int and type(recipe.learning_rate) is float
    assert recipe.flip is True and {type(factor) for factor in recipe.scale} == {float}


def test_the_recipes_power_decides_the_rate():
    straight, steep = (tiny(iterations=100, power=power) for power in (1.0, 3.0))
    assert learning_rate(straight, 50) == pytest.approx(0.05 / 2)
    assert learning_rate(steep, 50) == pytest.approx(0.05 / 8)


def test_shares_of_a_batch():
    assert V2.share(1) == 10 and tiny(batch_size=8, accumulate=2).share(2) == 4
    with pytest.raises(ValueError, match="choose a batch_size that is a multiple of 6"):
        tiny(batch_size=8, accumulate=2).share(3)


def test_schedules_against_values_by_hand():
    rates = [learning_rate(V1, iteration) for iteration in (0, 1999, 2000, 3999, 4000, 5999)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert learning_rate(V2, 0) == 2.5e-4
    # (1/2)^0.9 = 0.535887; at the last of 20000 iterations (1/20000)^0.9 = 1.34609e-4
    assert learning_rate(V2, 10_000) == pytest.approx(2.5e-4 * 0.535887, rel=1e-6)
    assert learning_rate(V2, 19_999) == pytest.approx(2.5e-4 * 1.34609e-4, rel=1e-5)
    assert poly(5, 10, 8.0, power=1) == 4 and poly(5, 10, 8.0, power=3) == 1
    assert step(7, 8.0, 3, 0.5) == 2
    assert learning_rate(tiny(schedule="constant"), 9) == 0.05


@pytest.mark.parametrize(
    ("schedule", "good", "beyond"),
    [
        (
            poly,
            {"iteration": 1, "iterations": 1, "base": 0, "power": 0},
            {"iteration": (-1, 2), "iterations": (0,), "base": (-0.1,), "power": (-0.1,)},
        ),
        (
            step,
            {"iteration": 0, "base": 0, "step_size": 1, "factor": 1},
            {"iteration": (-1,), "base": (-0.1,), "step_size": (0,), "factor": (-0.1, 1.1)},
        ),
    ],
)
def test_arguments_of_schedules_go_to_their_bounds(schedule, good, beyond):
    assert schedule(**good) == 0
    for name, values in beyond.items():
        for value in values:
            with pytest.raises(ValueError, match=f"^{name} must be"):
                schedule(**good | {name: value})


def test_no_rate_outside_the_run():
    for iteration in (-1, 6000):
        with pytest.raises(ValueError, match=r"iteration must be an integer .= (0|5999), got"):
            learning_rate(V1, iteration)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_head_learns_faster_and_nothing_else_does(name):
    model = Net()
    recipe = tiny(head_multiplier=10, head_bias_multiplier=20, optimiser=name)
    optimiser = make_optimiser(model, recipe)
    assert type(optimiser).__name__.lower() == name
    assert [group["name"] for group in optimiser.param_groups] == ["backbone", "head", "head bias"]
    set_learning_rate(optimiser, 0.5)
    rates = {p: group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates.pop(model.classifier.weight) == 5
    assert rates.pop(model.classifier.bias) == 10
    assert set(rates) == set(model.backbone.parameters()) and set(rates.values()) == {0.5}


def test_a_wrapped_model_has_the_backbone_of_the_model_inside():
    plain = DeepLabV2("resnet18", 10, width=0.1)
    inside, outside = (parameter_groups(model, False) for model in (plain, MultiScale(plain)))
    assert inside.keys() == outside.keys()
    for name in inside:
        assert list(map(id, inside[name])) == list(map(id, outside[name])), name


@pytest.mark.parametrize("name", OPTIMISERS)
def test_one_step_moves_the_head_ten_times_as_far(name):
    moved = []
    for multiplier in (1, 10):
        model = Net("group")
        before = model.classifier.weight.detach().clone()
        recipe = tiny(head_multiplier=multiplier, weight_decay=0, optimiser=name)
        model(torch.ones(1, 3, 8, 8)).square().sum().backward()
        optimiser = make_optimiser(model, recipe)
        set_learning_rate(optimiser, 0.05)
        optimiser.step()
        moved.append(model.classifier.weight.detach() - before)
    torch.testing.assert_close(moved[1], 10 * moved[0], rtol=1e-4, atol=1e-6)


def test_adamw_by_hand():
    """Loshchilov and Hutter 2019, algorithm 2: the decay is no part of the gradient.

    The first beta is the recipe's momentum.
    """
    recipe = tiny(optimiser="adamw", momentum=0.8, weight_decay=0.1, head_multiplier=3)
    model = Net("group")
    optimiser = make_optimiser(model, recipe)
    set_learning_rate(optimiser, 0.05)
    weight, rate = model.classifier.weight, 0.05 * 3
    expected = weight.detach().double()
    first = second = 0
    for count in (1, 2, 3):
        gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(count))
        weight.grad = gradient.clone()
        optimiser.step()
        first = 0.8 * first + 0.2 * gradient.double()
        second = 0.999 * second + 0.001 * gradient.double() ** 2
        move = first / (1 - 0.8**count) / ((second / (1 - 0.999**count)).sqrt() + 1e-8)
        expected = (1 - rate * 0.1) * expected - rate * move
    torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_frozen_batch_norm_is_left_out_and_in_eval_mode(name):
    model, recipe = Net(), tiny(freeze_batch_norm=True, optimiser=name)
    learning = [p for g in make_optimiser(model, recipe).param_groups for p in g["params"]]
    norm = model.backbone.norm
    assert not {id(p) for p in norm.parameters()} & {id(p) for p in learning}
    prepare_batch_norm(model, recipe)
    assert not norm.training and model.training and model.dropout.training
    prepare_batch_norm(model, tiny(batch_norm_decay=0.9997))
    assert norm.training and norm.momentum == pytest.approx(0.0003)


def test_a_model_without_backbone_learns_at_one_rate():
    (group,) = make_optimiser(torch.nn.Conv2d(3, 3, 1), tiny()).param_groups
    assert len(group["params"]) == 2 and group["multiplier"] == 1


def test_a_frozen_backbone_is_left_out_and_in_eval_mode():
    model, recipe = Net(), tiny(freeze_backbone=True)
    learning = [p for g in make_optimiser(model, recipe).param_groups for p in g["params"]]
    assert list(map(id, learning)) == list(map(id, model.classifier.parameters()))
    prepare_batch_norm(model, recipe)
    assert not model.backbone.norm.training and not model.backbone.training
    assert model.training and model.dropout.training
    with pytest.raises(ValueError, match="no parameter of the model learns"):
        parameter_groups(model.backbone, False, True)

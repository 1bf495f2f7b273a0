"""A frozen backbone stays as it is, and training on kept features is training on the pictures."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.models import DeepLabV2, DeepLabV3Plus, MultiScale
from dlseg.training import Recipe, engine, train
from dlseg.training.features import KeptFeatures, given
from dlseg.training.loader import TrainingPictures
from tests.training.toys import CLASSES, Blocks, Net, tiny, weights

CACHED = {"freeze_backbone": True, "cache_features": True, "scale": (1, 1)}


def parts(model) -> tuple[dict, dict]:
    """The state of the backbone and of all else, copied."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return (
        {name: value for name, value in state.items() if name.startswith("backbone.")},
        {name: value for name, value in state.items() if not name.startswith("backbone.")},
    )


@pytest.mark.parametrize("changes", [{"freeze_backbone": True}, CACHED], ids=["crops", "kept"])
def test_the_backbone_stays_and_the_head_learns(changes):
    model = Net(dropout=0.1)
    before = parts(model)
    history = train(model, Blocks(), tiny(iterations=60, learning_rate=0.5, **changes))
    after = parts(model)
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items())
    assert not any(torch.equal(value, after[1][name]) for name, value in before[1].items())
    assert np.mean(history.losses[-9:]) < 0.9 * np.mean(history.losses[:9])
    assert all(parameter.requires_grad for parameter in model.parameters())


def plain(model: nn.Module, data, recipe: Recipe) -> None:
    """The same training by a loop of its own: whole pictures through the whole network."""
    pictures = TrainingPictures(data, recipe)
    optimiser = torch.optim.SGD(
        [p for n, p in model.named_parameters() if not n.startswith("backbone.")],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    kept = KeptFeatures(pictures, model, torch.device("cpu"))  # says which are mirrored
    for iteration in range(recipe.iterations):
        images, labels = [], []
        for place in range(recipe.batch_size):
            index, mirrored = kept._drawn(iteration * recipe.batch_size + place)
            image, label = data[index]
            step = -1 if mirrored else 1
            images.append(torch.from_numpy(image[:, ::step].copy()).permute(2, 0, 1).float())
            labels.append(torch.from_numpy(label[:, ::step].copy()).long())
        x = torch.stack(images) / 255
        x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
            [0.229, 0.224, 0.225]
        )[:, None, None]
        model.train()
        model.backbone.eval()
        engine._seed_dropout(recipe.seed, iteration)
        optimiser.zero_grad()
        F.cross_entropy(model(x), torch.stack(labels), ignore_index=255).backward()
        optimiser.step()


@pytest.mark.parametrize(
    "build",
    [
        Net,
        lambda: DeepLabV3Plus(
            "resnet18", CLASSES, output_stride=16, width=0.125, image_pooling=False
        ),
    ],
    ids=["a tensor", "two maps"],
)
def test_kept_features_are_the_pictures(build):
    recipe = tiny(iterations=5, schedule="constant", **CACHED)
    torch.manual_seed(0)
    ours = build()
    torch.manual_seed(0)
    theirs = build()
    history = train(ours, Blocks(6), recipe)
    plain(theirs, Blocks(6), recipe)
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-4, atol=1e-5)
    assert 6 < history.kept <= 12 and history.kept_bytes > 0  # both ways round


def test_without_room_the_result_has_the_same_bits(monkeypatch):
    found = []
    for room in (4 * 2**30, 10_000, 0):
        monkeypatch.setattr(KeptFeatures.__init__, "__defaults__", (room,))
        model = Net()
        history = train(model, Blocks(), tiny(**CACHED))
        found.append((weights(model), history))
        assert history.kept_bytes <= room
    assert [history.kept for _, history in found][2] == 0
    assert 0 < found[1][1].kept < found[0][1].kept
    assert all(torch.equal(found[0][0], other) for other, _ in found[1:])


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    def stop(iteration, loss, rate):
        if iteration == 6:
            raise KeyboardInterrupt

    whole, part = Net(dropout=0.5), Net(dropout=0.5)
    train(whole, Blocks(), tiny(**CACHED))
    with pytest.raises(KeyboardInterrupt):
        options = {"folder": tmp_path, "checkpoint_every": 3, "watch": stop}
        train(part, Blocks(), tiny(**CACHED), **options)
    train(part, Blocks(), tiny(**CACHED), folder=tmp_path, resume=True)
    assert torch.equal(weights(whole), weights(part))


class Sizes(Blocks):
    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        return (image, label) if i % 3 else (image[:20], label[:20])


class Looks(Net):
    """A model that looks at the picture beside its backbone, as a CRF does."""

    def forward(self, x):
        return super().forward(x) + x.mean(1, keepdim=True)


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (Net, Sizes, r"pictures of one size: picture \d+ is 32 x 20 and one"),
        (Looks, Blocks, "Looks does more with a picture than to give it to its backbone once"),
        (
            lambda: MultiScale(DeepLabV2("resnet18", CLASSES, width=0.125)),
            Blocks,
            "MultiScale does more with a picture",
        ),
    ],
)
def test_what_cannot_be_kept(model, data, words):
    with pytest.raises(ValueError, match=words):
        train(model(), data(), tiny(**CACHED))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freeze_backbone": False}, "cache_features needs freeze_backbone"),
        ({"scale": (0.5, 2)}, r"give scale \(1, 1\) and colour 0, got \(0.5, 2\) and 0"),
        ({"colour": 0.5}, r"colour 0, got \(1, 1\) and 0.5"),
        ({"accumulate": 2}, "give accumulate=1"),
    ],
)
def test_what_contradicts_itself(changes, words):
    with pytest.raises(ValueError, match=words):
        tiny(**(CACHED | changes))


def test_a_backbone_is_itself_again():
    model = Net().eval()
    x = torch.randn(1, 3, 32, 32)
    before = model(x)
    with pytest.raises(KeyboardInterrupt), given(model.backbone, torch.zeros(1, 8, 8, 8)):
        assert not torch.equal(model(x), before)
        raise KeyboardInterrupt
    assert torch.equal(model(x), before)

"""The tracer on small networks: what the report holds, each kind of operation, and its errors."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.arithmetic import Layer
from dlseg.inspect import from_layers, gradient_support, receptive_field


class Apply(nn.Module):
    """A model made of a function, behind one convolution that halves the map."""

    def __init__(self, function):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.stem(x))


class Residual(nn.Module):
    def __init__(self, shortcut=None):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        out = F.relu_(self.conv1(x))
        out = self.conv2(out)
        out += self.shortcut(x)
        return out


def test_report_of_a_stack():
    layers = [Layer(7, 2, 3, name="stem"), Layer(3, 2, 1, name="pool"), Layer(3, 1, 2, 2, "atrous")]
    report = receptive_field(from_layers(layers), 65)
    assert (report.size, report.stride, report.padding, report.start) == (27, 4, 13, 0)
    assert report.aligned and not report.whole_image and report.unaligned == ()
    assert [row.name for row in report.layers] == ["stem", "pool", "atrous"]
    assert report.layer("pool").output_size == 17
    assert report.region(8, 0) == ((19, 45), (0, 13))


def test_table():
    layers = [Layer(7, 2, 3, name="stem"), Layer(3, 1, 2, 2, "atrous")]
    assert str(receptive_field(from_layers(layers), (32, 64))).splitlines() == [
        "layer   operation        output  field  stride  padding  start  aligned",
        "stem    conv 7x7 /2       16x32      7       2        3      0      yes",
        "atrous  conv 3x3 rate 2   16x32     15       2        7      0      yes",
    ]


def test_rows_and_columns_differ():
    model = nn.Conv2d(3, 4, (1, 5), stride=(1, 2), padding=(0, 2))
    report = receptive_field(model, (8, 16))
    assert (report.size, report.stride, report.padding) == ((1, 5), (1, 2), (0, 2))
    assert (report.output.output_size, report.output.operation) == (8, "conv 1x5 /1x2")


def test_residual_unit():
    report = receptive_field(nn.Sequential(Residual(), Residual()), 32)
    assert (report.size, report.padding, report.aligned) == (9, 4, True)
    names = [row.name for row in report.layers]
    assert names == ["0.conv1", "0.conv2", "0.add", "1.conv1", "1.conv2", "1.add"]


def test_unaligned_branches_are_reported_by_name():
    report = receptive_field(
        Residual(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 3, 2))), 32
    )
    assert (report.size, report.aligned) == (5, False)
    assert report.unaligned == (
        "add: branches are not aligned: conv2 (size 5, stride 1, start 0), "
        "shortcut.1 (size 2, stride 1, start 0.5)",
    )
    assert str(report).endswith("not aligned: " + report.unaligned[0])


def test_layer_that_runs_twice():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    report = receptive_field(nn.Sequential(conv, conv), 16)
    assert [row.size for row in report.layers] == [3, 5]
    assert len({row.name for row in report.layers}) == 2


def test_model_is_left_unchanged():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(True))
    model[1].eval()  # a mix of modes, as in fine-tuning
    modes = [module.training for module in model.modules()]
    model(torch.ones(1, 3, 8, 8)).sum().backward()
    before = copy.deepcopy(model.state_dict())
    gradient = model[0].weight.grad.clone()
    hooks = [len(module._forward_hooks) for module in model.modules()]
    receptive_field(model, 32)
    gradient_support(model, 32)
    assert [module.training for module in model.modules()] == modes
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert torch.equal(model[0].weight.grad, gradient)
    after = model.state_dict()
    assert all(type(after[key]) is type(before[key]) for key in before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert type(model[0].weight) is nn.Parameter


def test_channels_come_from_the_first_convolution_or_the_input_size():
    assert receptive_field(nn.Conv2d(1, 2, 3), 8).size == 3
    assert receptive_field(nn.AvgPool2d(2), 8).size == 2
    linear_first = nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(2, 2, 3))
    assert receptive_field(linear_first, (8, 8, 8)).output.output_size == 14


def test_channels_last_in_between():
    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.dense = nn.LayerNorm(4), nn.Linear(4, 6)

        def forward(self, x):
            x = self.dense(self.norm(x.permute(0, 2, 3, 1)))
            return x.permute(0, 3, 1, 2)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Norm(), nn.Conv2d(6, 2, 3))
    assert receptive_field(model, 16).size == 5


OUTPUTS = [
    lambda x: {"aux": F.avg_pool2d(x, 2), "out": x},
    lambda x: (x, F.avg_pool2d(x, 2)),
    lambda x: [{"a": x}],
    lambda x: {"logits": x, "aux": F.avg_pool2d(x, 2)},
]


@pytest.mark.parametrize("function", OUTPUTS)
def test_output_is_the_entry_out_or_the_first_tensor(function):
    assert receptive_field(Apply(function), 16).size == 3


# Behind a 3x3 convolution of stride 2 on 32 pixels (field 3, stride 2, padding 1, map 16).
LOCAL = {
    "activation": (lambda x: F.hardswish(F.relu6(F.gelu(x))), (3, 2, 1)),
    "broadcast constant": (lambda x: x * torch.ones(1, 4, 1, 1) + torch.ones(16), (3, 2, 1)),
    "channel softmax": (lambda x: F.softmax(x, 1) + F.log_softmax(x, 1), (3, 2, 1)),
    "channel statistics": (lambda x: x - x.mean(1, keepdim=True) + x.amax(1)[:, None], (3, 2, 1)),
    "channel split": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), (3, 2, 1)),
    "channel index": (lambda x: x[:, [2, 0]], (3, 2, 1)),
    "channel shuffle": (lambda x: x.view(1, 2, 2, 16, 16).transpose(1, 2).flatten(1, 2), (3, 2, 1)),
    "stack": (lambda x: torch.stack([x, x], 2).sum(2), (3, 2, 1)),
    "einsum": (lambda x: torch.einsum("bchw,cd->bdhw", x, torch.ones(4, 2)), (3, 2, 1)),
    "tokens and back": (
        lambda x: F.linear(x.flatten(2).mT, torch.ones(5, 4)).mT.reshape(1, 5, 16, 16),
        (3, 2, 1),
    ),
    "max pool": (lambda x: F.max_pool2d(x, 3, 2, 1), (7, 4, 3)),
    "rated max pool": (lambda x: F.max_pool2d(x, 2, 1, 1, dilation=2), (7, 2, 3)),
    "average pool": (lambda x: F.avg_pool2d(x, 2), (5, 4, 1)),
    "even bins": (lambda x: F.adaptive_avg_pool2d(x, 4), (9, 8, 1)),
    "crop": (lambda x: x[..., 3:-3, 3:-3], (3, 2, -5)),
    "subsample": (lambda x: x[:, :, ::2, ::2], (3, 4, 1)),
    "zero pad": (lambda x: F.pad(x, (2, 2, 2, 2)), (3, 2, 5)),
    "reflection pad": (lambda x: F.pad(x, (2, 2, 2, 2), mode="reflect"), (3, 2, 5)),
    "halving": (lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"), (5, 4, 1)),
    "unshuffle": (lambda x: F.pixel_unshuffle(x, 2), (5, 4, 1)),
    "transposed, stride 1": (
        lambda x: F.conv_transpose2d(x, torch.ones(4, 1, 3, 3), padding=1),
        (7, 2, 3),
    ),
    "norm of channels": (lambda x: F.normalize(x) + F.local_response_norm(x, 3), (3, 2, 1)),
    "depthwise": (lambda x: F.conv2d(x, torch.ones(4, 1, 3, 3), dilation=2, groups=4), (11, 2, 1)),
}


@pytest.mark.parametrize("name", LOCAL)
def test_operations_with_a_single_field(name):
    function, expected = LOCAL[name]
    report = receptive_field(Apply(function), 32)
    assert (report.size, report.stride, report.padding) == expected
    assert report.aligned


WHOLE = {
    "mean": lambda x: x.mean((2, 3)),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, 1),
    "squeeze and excite": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "image pooling": lambda x: torch.cat(
        [x, F.interpolate(x.mean((2, 3), keepdim=True), x.shape[2:], mode="bilinear")], 1
    ),
    "pool and repeat": lambda x: x + x.amax((2, 3), keepdim=True).repeat(1, 1, 16, 16),
    "flatten and linear": lambda x: F.linear(x.flatten(1), torch.ones(5, 1024)),
    "linear over tokens": lambda x: F.linear(x.flatten(2), torch.ones(5, 256)),
    "group norm": lambda x: F.group_norm(x, 2),
    "instance norm": lambda x: F.instance_norm(x),
    "batch norm without statistics": lambda x: F.batch_norm(x, None, None, training=True),
    "layer norm over the map": lambda x: F.layer_norm(x, x.shape[1:]),
    "softmax over positions": lambda x: F.softmax(x.flatten(2), -1).view_as(x),
    "gate of a vector": lambda x: (
        x * F.linear(x.mean((2, 3)), torch.ones(4, 4)).softmax(1)[:, :, None, None]
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_operations_that_see_the_whole_image(name):
    report = receptive_field(Apply(WHOLE[name]), 32)
    assert report.whole_image
    assert (report.size, report.stride, report.padding) == (32, 0, 0)
    assert report.region(0, 0) == ((0, 31), (0, 31))


VARYING = {
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "aligned corners": lambda x: F.interpolate(x, (31, 31), mode="bilinear", align_corners=True),
    "factor": lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "shuffle": lambda x: F.pixel_shuffle(x, 2),
    "transposed": lambda x: F.conv_transpose2d(x, x.new_ones(4, 1, 3, 3), stride=2, padding=1),
    "uneven bins": lambda x: F.adaptive_avg_pool2d(x, 7),
    "branches of two strides": lambda x: F.max_pool2d(x, 2) + x[..., :8, :8],
}


@pytest.mark.parametrize("name", VARYING)
def test_operations_without_a_single_field_say_so_and_still_give_regions(name):
    model = Apply(VARYING[name])
    report = receptive_field(model, 32)
    assert report.size is report.stride is report.padding is report.start is None
    assert report.problem and "no single field at the output: " in str(report)
    smallest, largest = report.output.extents
    assert 1 <= smallest <= largest <= 32
    for unit in ((0, 0), (2, 1), (1, 2)):
        assert report.region(*unit) == gradient_support(model, 32, unit)[:2]


def test_unpooling_sees_the_window_that_was_pooled():
    model = Apply(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2))
    report = receptive_field(model, 32)
    assert report.region(5, 4) == ((7, 11), (7, 11))


REFUSED = {
    "attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x),
        r"aten._scaled_dot_product.* multiplies maps with each other",
    ),
    "products": (lambda x: x @ x.mT, "aten.bmm.* multiplies maps with each other"),
    "sampling grid": (
        lambda x: F.grid_sample(x, torch.zeros(1, 4, 4, 2), align_corners=False),
        "aten.grid_sampler_2d.* no rule",
    ),
    "flip": (lambda x: x.flip(3), "aten.flip.* works along rows or columns"),
    "roll": (lambda x: x.roll(1, 2), "aten.roll.* no rule"),
    "unfold": (lambda x: F.unfold(x, 3), "aten.im2col.* no rule"),
    "index": (lambda x: x[:, :, [0, 3]], "aten.index.* picks positions by index"),
    "side by side": (lambda x: torch.cat([x, x], 3), "aten.cat.* joins maps side by side"),
    "repeat": (lambda x: x.repeat(1, 1, 2, 1), "aten.repeat.* repeats a map side by side"),
    "split": (lambda x: x.split(8, 2)[0], "aten.split.* splits a map into parts"),
    "windows": (lambda x: x.view(1, 4, 4, 4, 4, 4), "aten.view.* rows or columns were split"),
    "flat slice": (lambda x: x.flatten(2)[..., :9], "aten.slice.* takes a part of a flattened map"),
    "swapped axes": (lambda x: F.avg_pool2d(x.mT, 2) + F.avg_pool2d(x, 2), "different axes"),
    "flat and not": (lambda x: x.flatten(2) + x.flatten(2)[0, 0, 0], "takes a part"),
    "three axes": (
        lambda x: F.conv3d(x[None], torch.ones(1, 1, 1, 3, 3)),
        "does not run along the axes of the map",
    ),
    "dynamic weights": (lambda x: F.conv2d(x, x[:, :, :3, :3]), "weights depend on the image"),
    "write in part": (
        lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"),
        "writes a map into a part of a tensor, in place",
    ),
    "values decide": (lambda x: x if x.sum() > 0 else -x, "path depends on the values"),
    "values pick": (lambda x: x[x > 0], "path depends on the values"),
    "no dependence": (lambda x: torch.zeros(1, 4, 8, 8), "does not depend on its input"),
    "only the shape": (lambda x: torch.zeros_like(x), "does not depend on its input"),
    "no tensor": (lambda x: {"loss": 3}, "returned dict with no tensor in it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused(name):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        receptive_field(Apply(function), 32)


def test_a_refusal_that_the_model_catches_is_not_forgotten():
    def careless(x):
        try:
            return x.roll(1, 2)
        except ValueError:
            return x

    with pytest.raises(ValueError, match=r"aten.roll.* Give receptive_field the part of the model"):
        receptive_field(Apply(careless), 32)


def test_error_names_the_module():
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Sequential(nn.Unfold(3)))
    with pytest.raises(ValueError, match=r"cannot follow aten.im2col.default in module 1\.0: "):
        receptive_field(model, 32)


@pytest.mark.parametrize(
    ("input_size", "message"),
    [
        (0, "height of input_size must be an integer >= 1, got 0"),
        ((3, 4, 5, 6), r"must be an int, \(height, width\) or .* got \(3, 4, 5, 6\)"),
        ((8, 2.5), "width of input_size must be an integer >= 1, got 2.5"),
        ((0, 8, 8), "channels of input_size must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_size(input_size, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(nn.Conv2d(3, 3, 3), input_size)


def test_unknown_layer_and_unit():
    report = receptive_field(nn.Sequential(nn.Conv2d(3, 3, 3)), 8)
    with pytest.raises(ValueError, match="there is no layer 'x'; the layers are 0"):
        report.layer("x")
    with pytest.raises(ValueError, match="units of '0' are 0 to 5, got 6 to 6"):
        report.region(0, 6)

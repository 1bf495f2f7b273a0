"""Rules for the operators that change what a unit sees: windows, pooling, mixing, resampling.

A rule takes the tracer and a call; it adds nodes to the tracer's graphs and returns the layout of
the result. Operators are those of ATen, into which `torch.nn` dissolves; `aten.py` lists them.
"""

from fractions import Fraction

from torch import Tensor

from dlseg.arithmetic import AdaptivePool, Crop, Layer, Pad, Resize, Transposed, Whole
from dlseg.inspect.layout import SAME, Call, Layout, LostPositionsError
from dlseg.inspect.probe import repeat

PADS = {"constant": "zeros", "reflection": "reflect", "replication": "replicate"}
MODES = {"linear": "bilinear", "trilinear": "bilinear"}  # along one axis they are the same
SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}
MATRICES = {
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
    "linear": ("input", "weight"),
}


# Rules for positions as they are


def pointwise(tracer, call: Call) -> Layout:
    """Maps of one shape, or broadcast to it, meet position by position."""
    layouts = []
    for tensor in call.tracked:
        new = call.result.dim() - tensor.dim()  # axes that broadcasting adds in front
        layouts.append(tracer.layout(tensor).moved(lambda axis, new=new: axis + new))
    return tracer.merge({"mul": "multiply"}.get(call.name, call.name), layouts, call.result)


def vector(tracer, call: Call) -> Layout:
    """Behind global pooling there is one position, and no way to mix it with others."""
    nowhere = (None,) * len(tracer.graphs)
    layouts = [Layout(tracer.layout(tensor).node, nowhere) for tensor in call.tracked]
    return tracer.merge(call.name, layouts, call.result)


# Rules for windows


def convolution(tracer, call: Call) -> Layout:
    """Convolution and its transpose, plain, grouped or depthwise: one window."""
    a = call.arguments
    if len(call.tracked) > 1 or call.tracked[0] is not a["input"]:
        raise LostPositionsError("its weights depend on the image")
    if len(a["stride"]) != len(tracer.graphs):
        if tracer.collapsed(call):
            return vector(tracer, call)
        raise LostPositionsError("it does not run along the axes of the map, all and no other")
    layout = tracer.last_axes(a["input"])
    numbers = list(
        zip(a["weight"].shape[2:], a["stride"], a["padding"], a["dilation"], strict=True)
    )
    if not a["transposed"]:
        return add_windows(tracer, "conv", layout, [Layer(*axis) for axis in numbers])
    ends = a["output_padding"]
    operations = [Transposed(*axis, end) for axis, end in zip(numbers, ends, strict=True)]
    return add_windows(tracer, "transposed conv", layout, operations)


def pool(tracer, call: Call) -> Layout:
    """Pooling along the last axes of the tensor, of which rows and columns may be two."""
    a, tensor = call.arguments, call.tracked[0]
    layout = tracer.real_axes(tensor)
    count = int(call.name.split("d")[0][-1])
    kernel = repeat(a["kernel_size"], count)
    stride = repeat(a["stride"] or kernel, count)
    padding, rate = repeat(a["padding"], count), repeat(a.get("dilation", 1), count)
    layers = []
    for axis in layout.axes:
        place = axis - (tensor.dim() - count)
        inside = place >= 0
        layers.append(
            Layer(kernel[place], stride[place], padding[place], rate[place]) if inside else SAME
        )
    if all(layer.window(1) == (1, 1, 0) for layer in layers):
        return layout  # it pools channels
    # Given because ceil_mode may add a unit.
    sizes = [call.result.shape[axis] for axis in layout.axes]
    kind = "max pool" if "max" in call.name else "average pool"
    return add_windows(tracer, kind, layout, layers, sizes)


def adaptive_pool(tracer, call: Call) -> Layout:
    """Pooling into a given number of bins."""
    layout = tracer.last_axes(call.tracked[0])
    bins = [AdaptivePool(units) for units in call.result.shape[-len(layout.axes) :]]
    return tracer.add("adaptive pool", layout, bins)


def unpool(tracer, call: Call) -> Layout:
    """Each pixel goes to one unit of its window: which one depends on the image."""
    values = tracer.last_axes(call.arguments["self"])
    factors = []
    ends = call.result.shape[-len(values.axes) :]
    for size, units in zip(tracer.sizes(values), ends, strict=True):
        if units % size:
            raise LostPositionsError(f"its windows do not follow from sizes {size} and {units}")
        factors.append(units // size)
    layouts = [tracer.layout(tensor) for tensor in call.tracked]
    together = tracer.merge("unpool", layouts, call.arguments["self"])
    operations = [Transposed(factor, factor) for factor in factors]
    return tracer.add("max unpool", together, operations)


# Rules for what every position of the result sees of the whole map


def reduce(tracer, call: Call) -> Layout:
    """Mean, sum, maximum, ... over some axes; over rows or columns it is global pooling."""
    a, tensor = call.arguments, call.tracked[0]
    if "other" in a:
        return pointwise(tracer, call)
    axes = a.get("dim", a.get("dims"))
    axes = [axes] if isinstance(axes, int) else axes or range(tensor.dim())
    reduced = {axis % max(1, tensor.dim()) for axis in axes}
    layout = mix(tracer, call.name, tracer.layout(tensor), reduced, keep=False)
    return layout if a.get("keepdim") else layout.without(reduced)


def softmax(tracer, call: Call) -> Layout:
    """Over positions it joins all of them; over channels it is local."""
    tensor = call.tracked[0]
    axis = call.arguments["dim"] % tensor.dim()
    return mix(tracer, "softmax", tracer.layout(tensor), {axis}, keep=True)


def batch_norm(tracer, call: Call) -> Layout:
    """With running statistics each position by itself; with those of the map, all positions."""
    if call.arguments.get("training", call.arguments.get("train", False)):
        return whole_norm(tracer, call)
    return tracer.layout(call.tracked[0])


def whole_norm(tracer, call: Call) -> Layout:
    """Group and instance normalisation: statistics of the whole map enter each position."""
    layout = tracer.last_axes(call.tracked[0])
    return mix(tracer, "norm over positions", layout, set(layout.axes), keep=True)


def layer_norm(tracer, call: Call) -> Layout:
    """Over channels it is local; over positions it joins all of them."""
    tensor, count = call.tracked[0], len(call.arguments["normalized_shape"])
    axes = set(range(tensor.dim() - count, tensor.dim()))
    return mix(tracer, "norm over positions", tracer.layout(tensor), axes, keep=True)


def matmul(tracer, call: Call) -> Layout:
    """A matrix of weights contracts one axis; flattened maps are contracted whole."""
    if tracer.collapsed(call):
        return vector(tracer, call)
    left, right = (call.arguments[key] for key in MATRICES[call.name])
    if len(call.tracked) > 1 or not any(call.tracked[0] is matrix for matrix in (left, right)):
        raise LostPositionsError("it multiplies maps with each other")
    tensor = call.tracked[0]
    axis = tensor.dim() - (1 if tensor is left else min(2, tensor.dim()))
    layout = tracer.layout(tensor)
    if tracer.holds(layout, axis) and not layout.merged:
        operations = [Whole(call.result.shape[axis]) if a == axis else SAME for a in layout.axes]
        return tracer.add("linear", layout, operations)
    return mix(tracer, "linear", layout, {axis}, keep=False)


def mix(tracer, kind: str, layout: Layout, mixed: set[int], keep: bool) -> Layout:
    """Join all positions along the axes `mixed`, and keep as many units (keep) or one."""
    sizes = tracer.sizes(layout)
    if layout.merged and layout.merged.axis in mixed:
        operations = [Whole(size if keep else 1) for size in sizes]
        gone = Layout(layout.node, (None,) * len(sizes))
        return tracer.add(kind, layout if keep else gone, operations)
    operations = [
        Whole(size if keep else 1) if axis in mixed and size > 1 else SAME
        for axis, size in zip(layout.axes, sizes, strict=True)
    ]
    return tracer.add(kind, layout, operations)


# Rules for resampling, cropping and padding


def resize(tracer, call: Call) -> Layout:
    """Interpolation, by size or by a factor that PyTorch then uses as it is."""
    a, layout = call.arguments, tracer.last_axes(call.tracked[0])
    kind, count = call.name.split("upsample_")[1][:-2].replace("_", "-"), len(layout.axes)
    mode, operations = MODES.get(kind, kind), []
    scales = a["scale_factors"] if "scale_factors" in a else [a[key] for key in SCALES[count]]
    for size, units, scale in zip(
        tracer.sizes(layout), call.result.shape[-count:], scales or [None] * count, strict=True
    ):
        step = 1 / Fraction(scale).limit_denominator(10**6) if scale else Fraction(size, units)
        step = None if step == Fraction(size, units) else step
        operations.append(Resize(units, mode, a.get("align_corners", False), step))
    return tracer.add(f"{kind} resize", layout, operations)


def pad(tracer, call: Call) -> Layout:
    """Padding of any mode; that of channels is no padding of the map."""
    a, layout = call.arguments, tracer.real_axes(call.tracked[0])
    listed = a["pad"] if "pad" in a else a["padding"]
    mode = next(mode for key, mode in PADS.items() if key in call.name)
    operations = []
    for axis in layout.axes:
        place = 2 * (call.result.dim() - 1 - axis)  # the list begins with the last axis
        ends = listed[place : place + 2] or (0, 0)
        operations.append(Pad(*ends, mode) if any(ends) else SAME)
    return tracer.add(f"{mode} pad", layout, operations)


def slice_(tracer, call: Call) -> Layout:
    """A part of the map, or every n-th position of it."""
    a, tensor = call.arguments, call.tracked[0]
    axis, length = a["dim"] % tensor.dim(), tensor.shape[a["dim"]]
    start, stop, step = slice(a["start"], a["end"], a["step"]).indices(length)
    if (start, stop, step) == (0, length, 1):
        return tracer.layout(tensor)
    return crop_axis(tracer, tensor, axis, Crop(start, call.result.shape[axis], step))


def select(tracer, call: Call) -> Layout:
    """One row or column, whose axis is then gone."""
    tensor = call.tracked[0]
    axis = call.arguments["dim"] % tensor.dim()
    index = call.arguments["index"] % tensor.shape[axis]
    return crop_axis(tracer, tensor, axis, Crop(index, 1)).without({axis})


def crop_axis(tracer, tensor: Tensor, axis: int, crop: Crop) -> Layout:
    """Crop the map, where the axis is one of its rows or columns."""
    layout = tracer.layout(tensor)
    if not tracer.holds(layout, axis):
        return layout
    if layout.merged:
        raise LostPositionsError("it takes a part of a flattened map")
    return tracer.add("crop", layout, [crop if a == axis else SAME for a in layout.axes])


def pixel_shuffle(tracer, call: Call) -> Layout:
    """A factor-wide block of units reads one pixel."""
    layout, factor = _plane(tracer, call), call.arguments["upscale_factor"]
    units = [factor * size for size in tracer.sizes(layout)]
    return tracer.add("pixel shuffle", layout, [Resize(size, "nearest") for size in units])


def pixel_unshuffle(tracer, call: Call) -> Layout:
    """A unit reads a factor-wide block of pixels."""
    layout, factor = _plane(tracer, call), call.arguments["downscale_factor"]
    return tracer.add("pixel unshuffle", layout, [Layer(factor, factor)] * 2)


def _plane(tracer, call: Call) -> Layout:
    """The layout of an argument that must be a map of rows and columns."""
    if len(tracer.graphs) != 2:
        raise LostPositionsError("it works on rows and columns only")
    return tracer.last_axes(call.tracked[0])


def add_windows(tracer, kind: str, layout: Layout, windows: list, sizes=None) -> Layout:
    """As `tracer.add`; the description shows kernel, stride and rate."""
    shown = [(w.kernel_size, w.stride, w.rate) if w is not SAME else (1, 1, 1) for w in windows]
    size, stride, rate = zip(*shown, strict=True)  # of each a number for each axis
    words = f"{kind} {'x'.join(map(str, size))}"
    for sign, numbers in ((" /", stride), (" rate ", rate)):
        if set(numbers) != {1}:
            words += sign + "x".join(map(str, numbers if len({*numbers}) > 1 else numbers[:1]))
    return tracer.add(words, layout, windows, sizes)

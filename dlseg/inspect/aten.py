"""Which rule follows which operator of PyTorch, and the rules that move no position.

See `rules.py` for what a rule is.
"""

import torch

from dlseg.inspect import rules
from dlseg.inspect.layout import Call, Layout, LostPositionsError, viewed

# The result has the shape of a map, but none of its values.
NO_DEPENDENCE = {
    *(f"{kind}_like" for kind in ("zeros", "ones", "empty", "full", "rand", "randn")),
    *(f"new_{kind}" for kind in ("zeros", "ones", "empty", "full")),
}


def follow(tracer, func, call: Call) -> Layout:
    """The layout of the result, by the rule for the operator `func`.

    Raises LostPositionsError where there is no rule, or the rule cannot follow this call.
    """
    written = call.arguments.get("self")
    others = [tensor for tensor in call.tracked if tensor is not written]
    if call.result is written and written._base is not None and others:
        raise LostPositionsError("it writes a map into a part of a tensor, in place")
    rule = RULES.get(call.name)
    if rule is None and torch.Tag.pointwise in func.tags:
        rule = rules.pointwise
    if rule is None and tracer.collapsed(call):
        rule = rules.vector
    if rule is None:
        attention = "it multiplies maps with each other"
        unknown = "there is no rule for what it does to positions"
        raise LostPositionsError(attention if "attention" in call.name else unknown)
    return rule(tracer, call)


def _concat(tracer, call: Call) -> Layout:
    """Maps joined along channels."""
    axis = call.arguments["dim"] % call.result.dim()
    layouts = [tracer.layout(tensor) for tensor in call.tracked]
    if any(tracer.holds(layout, axis) for layout in layouts):
        raise LostPositionsError("it joins maps side by side")
    return tracer.merge("concat", layouts, call.result)


def _stack(tracer, call: Call) -> Layout:
    """Maps joined along a new axis."""
    axis = call.arguments["dim"] % call.result.dim()
    layouts = [
        viewed(la, tracer.sizes(la), t.shape, (*t.shape[:axis], 1, *t.shape[axis:]))
        for t, la in ((tensor, tracer.layout(tensor)) for tensor in call.tracked)
    ]
    return tracer.merge("stack", layouts, call.result)


def _view(tracer, call: Call) -> Layout:
    """The same elements in another shape."""
    tensor = call.tracked[0]
    layout = tracer.layout(tensor)
    return viewed(layout, tracer.sizes(layout), tuple(tensor.shape), tuple(call.result.shape))


def _permute(tracer, call: Call) -> Layout:
    """The same axes in another order."""
    a, tensor = call.arguments, call.tracked[0]
    order = list(range(tensor.dim()))
    if "dims" in a:
        order = [axis % tensor.dim() for axis in a["dims"]]
    elif tensor.dim() > 1:
        first, second = (a.get(key, place) for place, key in enumerate(("dim0", "dim1")))
        order[first], order[second] = order[second], order[first]
    return tracer.layout(tensor).moved(order.index)


def _split(tracer, call: Call) -> Layout:
    """Channels in groups."""
    tensor = call.tracked[0]
    axis, layout = call.arguments["dim"] % tensor.dim(), tracer.layout(tensor)
    if tracer.holds(layout, axis):
        raise LostPositionsError("it splits a map into parts; slice it instead")
    return layout.without({axis}) if call.name == "unbind" else layout


def _along_axis(tracer, call: Call) -> Layout:
    """Sorting, cumulating, ... along channels moves no position."""
    tensor = call.tracked[0]
    axes = call.arguments["dims"] if "dims" in call.arguments else [call.arguments["dim"]]
    if any(tracer.holds(tracer.layout(tensor), axis % tensor.dim()) for axis in axes):
        raise LostPositionsError("it works along rows or columns")
    return tracer.layout(tensor)


def _index(tracer, call: Call) -> Layout:
    """Picking channels by a list of numbers."""
    a, layout = call.arguments, tracer.layout(call.tracked[0])
    if "dim" in a:
        axes = [a["dim"] % call.tracked[0].dim()]
    else:
        axes = [axis for axis, index in enumerate(a["indices"]) if index is not None]
    plain = call.result.dim() == call.tracked[0].dim() and len(axes) == len(call.tracked) == 1
    if not plain or tracer.holds(layout, axes[0]):
        raise LostPositionsError("it picks positions by index; slice the map instead")
    return layout


# Operators by their names without the underscore of the in-place form. Whatever PyTorch itself tags
# as pointwise needs no mention.
OPERATORS = {
    rules.pointwise: "alias clone contiguous copy detach dropout expand glu hardswish hardtanh "
    "lift_fresh log_sigmoid_forward masked_fill native_dropout prelu rrelu_with_noise "
    "_prelu_kernel _to_copy channel_shuffle repeat",
    _along_axis: "cumsum cumprod flip sort topk",
    _concat: "cat concat",
    _stack: "stack",
    rules.batch_norm: "native_batch_norm _native_batch_norm_legit batch_norm_with_update "
    "_native_batch_norm_legit_no_training cudnn_batch_norm miopen_batch_norm "
    "_batch_norm_no_update _batch_norm_with_update",
    rules.convolution: "convolution _convolution",
    rules.pool: "max_pool2d_with_indices max_pool2d max_pool3d_with_indices avg_pool1d avg_pool2d "
    "avg_pool3d",
    rules.adaptive_pool: "_adaptive_avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d "
    "_adaptive_avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d",
    rules.unpool: "max_unpool2d max_unpool3d",
    rules.reduce: "mean sum amax amin max min argmax argmin logsumexp var std var_mean "
    "std_mean linalg_vector_norm norm prod any all median",
    rules.softmax: "_softmax softmax _log_softmax log_softmax",
    rules.whole_norm: "native_group_norm",
    rules.layer_norm: "native_layer_norm _fused_rms_norm",
    rules.matmul: " ".join(rules.MATRICES),
    rules.resize: "upsample_bilinear2d upsample_bicubic2d upsample_linear1d upsample_trilinear3d "
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d",
    rules.pad: "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d "
    "replication_pad1d replication_pad2d replication_pad3d",
    rules.slice_: "slice",
    rules.select: "select",
    rules.pixel_shuffle: "pixel_shuffle",
    rules.pixel_unshuffle: "pixel_unshuffle",
    _view: "view _unsafe_view reshape _reshape_alias squeeze unsqueeze flatten",
    _permute: "permute transpose t",
    _split: "split split_with_sizes unbind chunk",
    _index: "index index_select",
}
RULES = {name: rule for rule, names in OPERATORS.items() for name in names.split()}

"""Exercises of chapter 06."""

from dlseg.arithmetic import plan_stages
from dlseg.book import Exercise, in_pairs

map_side = Exercise(
    solution=lambda side, output_stride: -(-side // output_stride),
    because="Each halving rounds up, and rounding up in steps is rounding up once.",
    cases=((513, 16), (513, 8), (512, 16), (129, 32), (321, 16), (7, 8)),
    mistakes=in_pairs(
        lambda side, output_stride: side // output_stride,
        "That rounds down. A padded layer of stride 2 makes 257 units of 513 pixels.",
        lambda side, output_stride: (side - 1) // output_stride,
        "The first unit stands on pixel 0 and has to be counted too: add 1.",
        lambda side, output_stride: side // output_stride + 1,
        "True for 513, but 512 pixels at output stride 16 make 32 units, not 33.",
        lambda side, output_stride: side / output_stride,
        "A map has a whole number of units.",
    ),
)


def _plan(strides, output_stride):
    return [(p.stride, p.first_rate, p.rate) for p in plan_stages(strides, output_stride)]


def _unstrided(strides, output_stride):
    plan = _plan(strides, output_stride)
    return [(s, first, rate) for s, (_, first, rate) in zip(strides, plan, strict=True)]


stage_plan = Exercise(
    solution=_plan,
    because="Strides stay until the product is reached; then each goes into the rate behind it.",
    cases=(
        ([4, 1, 2, 2, 2], 8),
        ([4, 1, 2, 2, 2], 16),
        ([2, 1, 2, 2, 2, 1, 2, 1], 8),
        ([2, 2, 2, 2, 2], 32),
    ),
    mistakes=in_pairs(
        lambda strides, s: [(p.stride, p.rate, p.rate) for p in plan_stages(strides, s)],
        "That dilates the whole part. Its first layer still reads the old map and keeps the old "
        "rate.",
        lambda strides, s: [(stride, first, first) for stride, first, _ in _plan(strides, s)],
        "The layers behind the lost stride, in the same part, already sit on the finer grid: they "
        "need the new rate.",
        _unstrided,
        "The rates are right, but the strides beyond the output stride have to become 1.",
        lambda strides, s: [(jump, min(a, 2), min(b, 2)) for jump, a, b in _plan(strides, s)],
        "A second lost stride multiplies the rate once more: 2, then 4.",
    ),
)

layer4_rates = Exercise(
    solution=(2, 4, 4),
    because="layer3 lost its stride: rate 2. layer4 lost its own: rate 4, but not in its first "
    "unit.",
    mistakes=in_pairs(
        (4, 4, 4),
        "That is the habit that dilates the whole stage. The first unit keeps the rate of the "
        "stage before.",
        (1, 2, 2),
        "That is output stride 16, where only layer4 has lost its stride.",
        (2, 4, 8),
        "That would be multi-grid. Without it, all units behind share a rate.",
        (1, 4, 4),
        "layer3 lost its stride as well, so the first unit of layer4 has rate 2.",
    ),
)

twin = Exercise(
    solution=lambda i, j: (4 * i, 4 * j),
    because="32 / 8 = 4: every fourth unit of the dense map stands where a coarse one stood.",
    cases=((0, 0), (1, 2), (3, 1)),
    mistakes=in_pairs(
        lambda i, j: (i, j),
        "Unit (i, j) of the dense map stands on pixel (8i, 8j), that of the coarse one on (32i, "
        "32j).",
        lambda i, j: (8 * i, 8 * j),
        "8 is the output stride of the dense map. You need how many of its units make one step of "
        "the coarse map.",
        lambda i, j: (2 * i, 2 * j),
        "That is output stride 16.",
        lambda i, j: (32 * i, 32 * j),
        "That is the pixel of the picture.",
    ),
)

padded_share = Exercise(
    solution=lambda side, rate: (-(-side // rate) * rate / side) ** 2,
    because="The map grows to the next multiple of the rate, along both axes.",
    cases=((33, 2), (33, 18), (65, 4), (65, 12), (64, 8)),
    mistakes=in_pairs(
        lambda side, rate: -(-side // rate) * rate / side,
        "That is one axis. A map has two.",
        lambda side, rate: ((side + rate) / side) ** 2,
        "Only as much is added as is missing to the next multiple of the rate.",
        lambda side, rate: (side // rate * rate / side) ** 2,
        "The map is padded up to a multiple, not cut down to one.",
    ),
)

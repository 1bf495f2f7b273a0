"""The experiments: what a paper says, and the arms that try it.

Ten seeds make a verdict. Five show effect and range, no more; that is enough where another
experiment answers the question: on trains what fields of view, several rates, image pooling and
multi-grid are worth.

An arm is a network of `support.networks.NETWORKS` and a way to look at it once it is trained. What
is claimed of the arms, and judged, stands in `support.verdicts`.
"""

from dataclasses import dataclass

from support.verdicts import SEEDS

FEW = 5
AS_TRAINED, CRF = "as trained", "dense CRF"
AT_8 = "output stride 8, rates doubled"
AT_8_SAME_RATES = "output stride 8, rates kept"
AT_8_MOVED = "output stride 8, moved by 4 pixels"
NO_SHALLOW, NO_DEEP = "shallow map blank", "deep map blank"
READ = "read with {}"  # one of the next three
SAME_WEIGHTS = ("corners aligned", "rates twice as large", "whole stage dilated")


@dataclass(frozen=True)
class Arm:
    """One network of an experiment; view: how it is looked at, see `measuring`."""

    network: str
    view: str = AS_TRAINED


@dataclass(frozen=True)
class Experiment:
    """One file of results.

    source: where the claim is made. arms: by the name that readers see. seeds: how many there are.
    """

    name: str
    source: str
    arms: dict[str, Arm]
    seeds: int = SEEDS


EXPERIMENTS = (
    Experiment(
        "comparison",
        "the chain of the four papers: each reports more than the one before",
        {
            "FCN-32s": Arm("fcn-32s"),
            "FCN-32s, ResNet": Arm("fcn-32"),
            "v1": Arm("v1"),
            "v2": Arm("v2"),
            "v3": Arm("v3"),
            "v3, output stride 8": Arm("v3-os8"),
            "v3+": Arm("v3plus"),
        },
    ),
    Experiment(
        "v3plus-decoder",
        "DeepLab v3+, section 4.4 and figure 5: the decoder helps most near boundaries",
        {
            "v3": Arm("v3"),
            "v3+": Arm("v3plus"),
            "v3, output stride 8": Arm("v3-os8"),
            "v3+, output stride 8": Arm("v3plus-os8"),
        },
    ),
    Experiment(
        "v3-pooling",
        "DeepLab v3, section 3.3 and table 5: image pooling adds context of the whole image",
        {
            "small field": Arm("v3-short-no-pooling"),
            "small field, pooling": Arm("v3-short"),
            "large field": Arm("v3-no-pooling"),
            "large field, pooling": Arm("v3"),
        },
        seeds=FEW,
    ),
    Experiment(
        "v2-aspp",
        "DeepLab v2, table 3: four rates summed are better than one",
        {
            "rate 1": Arm("v2-vgg-rate-1"),
            "rate 2": Arm("v2-vgg-rate-2"),
            "rate 4": Arm("v2-vgg-rate-4"),
            "rate 6": Arm("v2-vgg-rate-6"),
            "rates 1, 2, 4, 6": Arm("v2-vgg"),
            "rate 4, four times": Arm("v2-vgg-4444"),
        },
        seeds=FEW,
    ),
    Experiment(
        "v1-field-of-view",
        "DeepLab v1, section 4.3 and table 2: holes give fc6 a large field at little cost",
        {
            "3x3, rate 1": Arm("v1-rate-1"),
            "3x3, rate 4": Arm("v1"),
            "4x4, rate 2": Arm("v1-4x4"),
            "7x7, rate 1": Arm("v1-7x7"),
        },
        seeds=FEW,
    ),
    Experiment(
        "v1-crf",
        "DeepLab v1, table 1, and v3, section 4: the CRF helps v1, and v3 does without",
        {
            "v1": Arm("v1"),
            "v1 + CRF": Arm("v1", CRF),
            "v3, output stride 8": Arm("v3-os8"),
            "v3, output stride 8 + CRF": Arm("v3-os8", CRF),
            "v3+": Arm("v3plus"),
            "v3+ + CRF": Arm("v3plus", CRF),
        },
    ),
    Experiment(
        "output-stride",
        "DeepLab v3, table 1: mean IoU rises as the output stride falls",
        {
            "output stride 32": Arm("fcn-32-random"),
            "output stride 16": Arm("fcn-16-random"),
            "output stride 8": Arm("resnet"),
        },
    ),
    Experiment(
        "v3-train16-eval8",
        "DeepLab v3, tables 6 and 10: trained at 16, better when evaluated at 8",
        {
            "trained and evaluated at 16": Arm("v3"),
            "trained at 16, evaluated at 8": Arm("v3", AT_8),
            "the same, rates not doubled": Arm("v3", AT_8_SAME_RATES),
            "the same, moved by 4 pixels": Arm("v3", AT_8_MOVED),
            "trained and evaluated at 8": Arm("v3-os8"),
        },
    ),
    Experiment(
        "v3-cascade-or-parallel",
        "DeepLab v3, tables 2, 3 and 5: more blocks and multi-grid help, ASPP helps more",
        {
            "block4": Arm("fcn-16"),
            "cascade to block7": Arm("v3-cascade"),
            "cascade, multi-grid (1, 2)": Arm("v3-cascade-12"),
            "ASPP": Arm("v3"),
        },
        seeds=FEW,
    ),
    Experiment(
        "v3plus-separable",
        "DeepLab v3+, table 5: separable convolutions keep the accuracy at fewer multiply-adds",
        {"plain": Arm("v3plus"), "separable": Arm("v3plus-separable")},
    ),
    Experiment(
        "v2-schedule",
        "DeepLab v2, table 2: poly is better than step",
        {"poly": Arm("v2"), "step": Arm("v2-step")},
    ),
    Experiment(
        "v1-msc",
        "DeepLab v1, section 4.3 and table 1: shallow maps (MSc) help the classifier",
        {"v1": Arm("v1"), "v1-MSc": Arm("v1-msc")},
    ),
    Experiment(
        "v3-loss",
        "DeepLab v3, section 4.1 and table 8: a loss at the size of the labels keeps details",
        {"upsampled logits": Arm("v3-os8"), "shrunk labels": Arm("v3-os8-shrunk")},
    ),
    Experiment(
        "v3plus-low-level",
        "DeepLab v3+, table 1: more channels of the low-level map than it needs do not help",
        {"16 channels": Arm("v3plus"), "48 channels": Arm("v3plus-low-48")},
    ),
    Experiment(
        "v3plus-causes",
        "why two claims about v3+ do not show: a wider head, a finer deep map",
        {
            "128 channels, plain": Arm("v3plus-wide"),
            "128 channels, separable": Arm("v3plus-wide-separable"),
            "at 8, 16 channels": Arm("v3plus-os8"),
            "at 8, 48 channels": Arm("v3plus-os8-low-48"),
        },
        seeds=FEW,
    ),
    Experiment(
        "v3plus-maps",
        "DeepLab v3+, section 3.1: the deep map knows what, the shallow one where",
        {
            "v3+": Arm("v3plus"),
            "shallow map blank": Arm("v3plus", NO_SHALLOW),
            "deep map blank": Arm("v3plus", NO_DEEP),
        },
    ),
    Experiment(
        "divergences",
        "chapter 14: what programs do otherwise than DeepLab v3+, trained so, or read so only",
        {
            "v3+": Arm("v3plus"),
            "corners aligned": Arm("v3plus-aligned"),
            "rates twice as large": Arm("v3plus-rates"),
            "whole stage dilated": Arm("v3plus-whole"),
            "one 3x3 in the decoder": Arm("v3plus-one"),
            "dropout 0.5": Arm("v3plus-dropout"),
            **{READ.format(one): Arm("v3plus", READ.format(one)) for one in SAME_WEIGHTS},
        },
        seeds=FEW,
    ),
    Experiment(
        "mobilenet",
        "MobileNetV2, table 7; MobileNets, section 3.3: the price of a thin network, a coarse map",
        {
            "width 0.5, stride 32": Arm("mobilenet-half-32"),
            "width 0.5, stride 16": Arm("mobilenet-half-16"),
            "width 0.5, stride 8": Arm("mobilenet-half-8"),
            "width 0.25, stride 32": Arm("mobilenet-quarter-32"),
            "width 0.25, stride 16": Arm("mobilenet-quarter-16"),
            "width 0.25, stride 8": Arm("mobilenet-quarter-8"),
        },
        seeds=FEW,
    ),
)

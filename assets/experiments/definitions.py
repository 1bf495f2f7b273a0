"""The experiments: what a paper claims, the arms that test it, and what is compared.

An arm is a network of `support.networks.NETWORKS` and a way to look at it once it is trained.
"""

from dataclasses import dataclass

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
class Comparison:
    """The first arm has more of `measure` than the second, or loses no more than `margin`.

    An arm may be a pair of arms, which means the first minus the second.
    """

    claim: str
    first: str | tuple[str, str]
    second: str | tuple[str, str]
    measure: str = "mean_iou"
    margin: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """One file of results. source: where the claim is made. arms: by the name that readers see."""

    name: str
    source: str
    arms: dict[str, Arm]
    comparisons: tuple[Comparison, ...]


FARTHEST = "letter_accuracy/65-120"

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
        (
            Comparison("v1 is better than FCN-32s, both on VGG", "v1", "FCN-32s"),
            Comparison("v2 on ResNet is better than v1 on VGG", "v2", "v1"),
            Comparison("v3 is better than v2, both at 8", "v3, output stride 8", "v2"),
            Comparison("v3+ is better than v3, both at 16", "v3+", "v3"),
            Comparison("v3+ is better near boundaries", "v3+", "v3", "trimap_iou/2"),
        ),
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
        (
            Comparison("the decoder raises mean IoU at 16", "v3+", "v3"),
            Comparison("... within 1 pixel of a boundary", "v3+", "v3", "trimap_iou/1"),
            Comparison("... of thin things", "v3+", "v3", "thin_iou"),
            Comparison(
                "the decoder raises mean IoU at 8", "v3+, output stride 8", "v3, output stride 8"
            ),
            Comparison(
                "... within 1 pixel of a boundary",
                "v3+, output stride 8",
                "v3, output stride 8",
                "trimap_iou/1",
            ),
            Comparison(
                "it helps more at 16 than at 8",
                ("v3+", "v3"),
                ("v3+, output stride 8", "v3, output stride 8"),
            ),
        ),
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
        (
            Comparison(
                "pooling tells far dark lamps, small field",
                "small field, pooling",
                "small field",
                FARTHEST,
            ),
            Comparison(
                "pooling tells far dark lamps, large field",
                "large field, pooling",
                "large field",
                FARTHEST,
            ),
            Comparison(
                "pooling raises mean IoU, small field", "small field, pooling", "small field"
            ),
            Comparison(
                "pooling raises mean IoU, large field", "large field, pooling", "large field"
            ),
        ),
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
        (
            *(
                Comparison(f"four rates beat rate {rate}", "rates 1, 2, 4, 6", f"rate {rate}")
                for rate in (1, 2, 4, 6)
            ),
            Comparison(
                "four rates beat four equal branches", "rates 1, 2, 4, 6", "rate 4, four times"
            ),
        ),
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
        (
            Comparison("a larger rate raises mean IoU", "3x3, rate 4", "3x3, rate 1"),
            Comparison(
                "... of plates, told by their centre", "3x3, rate 4", "3x3, rate 1", "plate_iou"
            ),
            Comparison(
                "3x3 with holes keeps what 7x7 reaches",
                "3x3, rate 4",
                "7x7, rate 1",
                margin=0.02,
            ),
            Comparison(
                "7x7 needs more multiply-adds", "7x7, rate 1", "3x3, rate 4", "multiply_adds"
            ),
        ),
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
        (
            Comparison("the CRF raises the mean IoU of v1", "v1 + CRF", "v1"),
            Comparison("... within 1 pixel of a boundary", "v1 + CRF", "v1", "trimap_iou/1"),
            Comparison(
                "the CRF raises the mean IoU of v3",
                "v3, output stride 8 + CRF",
                "v3, output stride 8",
            ),
            Comparison(
                "v1 gains more by it than v3",
                ("v1 + CRF", "v1"),
                ("v3, output stride 8 + CRF", "v3, output stride 8"),
            ),
            Comparison("v1 gains more by it than v3+", ("v1 + CRF", "v1"), ("v3+ + CRF", "v3+")),
        ),
    ),
    Experiment(
        "output-stride",
        "DeepLab v3, table 1: mean IoU rises as the output stride falls",
        {
            "output stride 32": Arm("fcn-32-random"),
            "output stride 16": Arm("fcn-16-random"),
            "output stride 8": Arm("resnet"),
        },
        (
            Comparison("16 is better than 32", "output stride 16", "output stride 32"),
            Comparison("8 is better than 16", "output stride 8", "output stride 16"),
            Comparison(
                "8 finds more of thin things", "output stride 8", "output stride 16", "thin_iou"
            ),
        ),
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
        (
            Comparison(
                "evaluation at 8 raises mean IoU",
                "trained at 16, evaluated at 8",
                "trained and evaluated at 16",
            ),
            Comparison(
                "... moved by the 4 pixels by which the stretch puts units elsewhere",
                "the same, moved by 4 pixels",
                "trained and evaluated at 16",
            ),
            Comparison(
                "the rates must double",
                "trained at 16, evaluated at 8",
                "the same, rates not doubled",
            ),
        ),
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
        (
            Comparison("more blocks raise mean IoU", "cascade to block7", "block4"),
            Comparison(
                "multi-grid raises mean IoU", "cascade, multi-grid (1, 2)", "cascade to block7"
            ),
            Comparison("ASPP is better than the cascade", "ASPP", "cascade to block7"),
        ),
    ),
    Experiment(
        "v3plus-separable",
        "DeepLab v3+, table 5: separable convolutions keep the accuracy at fewer multiply-adds",
        {"plain": Arm("v3plus"), "separable": Arm("v3plus-separable")},
        (
            Comparison("mean IoU is kept", "separable", "plain", margin=0.02),
            Comparison("plain needs more multiply-adds", "plain", "separable", "multiply_adds"),
        ),
    ),
    Experiment(
        "v2-schedule",
        "DeepLab v2, table 2: poly is better than step",
        {"poly": Arm("v2"), "step": Arm("v2-step")},
        (Comparison("poly raises mean IoU", "poly", "step"),),
    ),
    Experiment(
        "v1-msc",
        "DeepLab v1, section 4.3 and table 1: shallow maps (MSc) help the classifier",
        {"v1": Arm("v1"), "v1-MSc": Arm("v1-msc")},
        (
            Comparison("MSc raises mean IoU", "v1-MSc", "v1"),
            Comparison("... within 1 pixel of a boundary", "v1-MSc", "v1", "trimap_iou/1"),
        ),
    ),
    Experiment(
        "v3-loss",
        "DeepLab v3, section 4.1 and table 8: a loss at the size of the labels keeps details",
        {"upsampled logits": Arm("v3-os8"), "shrunk labels": Arm("v3-os8-shrunk")},
        (
            Comparison("upsampled logits raise mean IoU", "upsampled logits", "shrunk labels"),
            Comparison("... of thin things", "upsampled logits", "shrunk labels", "thin_iou"),
        ),
    ),
    Experiment(
        "v3plus-low-level",
        "DeepLab v3+, table 1: more channels of the low-level map than it needs do not help",
        {"16 channels": Arm("v3plus"), "48 channels": Arm("v3plus-low-48")},
        (Comparison("fewer channels raise mean IoU", "16 channels", "48 channels"),),
    ),
    Experiment(
        "v3plus-maps",
        "DeepLab v3+, section 3.1: the deep map knows what, the shallow one where",
        {
            "v3+": Arm("v3plus"),
            "shallow map blank": Arm("v3plus", NO_SHALLOW),
            "deep map blank": Arm("v3plus", NO_DEEP),
        },
        (
            Comparison("the deep map tells plates", "v3+", "deep map blank", "plate_iou"),
            Comparison(
                "... more than the shallow one",
                ("v3+", "deep map blank"),
                ("v3+", "shallow map blank"),
                "plate_iou",
            ),
            Comparison("the shallow map finds thin things", "v3+", "shallow map blank", "thin_iou"),
            Comparison(
                "... more than the deep one",
                ("v3+", "shallow map blank"),
                ("v3+", "deep map blank"),
                "thin_iou",
            ),
        ),
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
        (
            *(
                Comparison(f"trained with {one}, mean IoU is kept", one, "v3+", margin=0.02)
                for one in (*SAME_WEIGHTS, "one 3x3 in the decoder", "dropout 0.5")
            ),
            *(
                Comparison(f"only read with {one}, it is less", "v3+", READ.format(one))
                for one in SAME_WEIGHTS
            ),
        ),
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
        (
            *(
                Comparison(
                    f"width 0.5: stride {fine} is better than {coarse}",
                    f"width 0.5, stride {fine}",
                    f"width 0.5, stride {coarse}",
                )
                for fine, coarse in ((16, 32), (8, 16))
            ),
            *(
                Comparison(
                    f"stride {stride}: width 0.5 is better than 0.25",
                    f"width 0.5, stride {stride}",
                    f"width 0.25, stride {stride}",
                )
                for stride in (32, 16, 8)
            ),
            Comparison(
                "a finer map beats more channels", "width 0.25, stride 8", "width 0.5, stride 16"
            ),
        ),
    ),
)

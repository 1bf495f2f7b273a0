"""The parts of the published backbones, as several drawings need them."""

from dlseg.arithmetic import StagePlan, plan_stages

# Per backbone its parts in order: name, channels, stride as trained.
PARTS = {
    "VGG-16": (
        ("conv1", 64, 2),
        ("conv2", 128, 2),
        ("conv3", 256, 2),
        ("conv4", 512, 2),
        ("conv5", 512, 2),
    ),
    "ResNet-50": (
        ("stem", 64, 4),
        ("layer1", 256, 1),
        ("layer2", 512, 2),
        ("layer3", 1024, 2),
        ("layer4", 2048, 2),
    ),
    "MobileNetV2": (
        ("stem", 32, 2),
        ("row 1", 16, 1),
        ("row 2", 24, 2),
        ("row 3", 32, 2),
        ("row 4", 64, 2),
        ("row 5", 96, 1),
        ("row 6", 160, 2),
        ("row 7", 320, 1),
    ),
    "Xception-65": (
        ("stem", 64, 2),
        ("entry 1", 128, 2),
        ("entry 2", 256, 2),
        ("entry 3", 728, 2),
        ("middle", 728, 1),
        ("exit 1", 1024, 2),
        ("exit 2", 2048, 1),
    ),
}


def planned_parts(backbone: str, output_stride: int, side: int) -> list[tuple[StagePlan, int]]:
    """The plan of each part, and the side of the map it makes of a picture of `side` pixels.

    VGG-16 ends each part with a 2x2 pool without padding; all others round up.
    Raises ValueError for an unknown backbone or output stride.
    """
    if backbone not in PARTS:
        raise ValueError(f"backbone must be one of {', '.join(PARTS)}, got {backbone!r}")
    plans, parts = plan_stages([stride for *_, stride in PARTS[backbone]], output_stride), []
    for plan in plans:
        if backbone == "VGG-16":
            side = side // 2 if plan.stride == 2 else side - plan.first_rate
        else:
            side = -(-side // plan.stride)
        parts.append((plan, side))
    return parts

"""Atrous spatial pyramid pooling: the same map through 3x3 convolutions of several rates."""

from collections.abc import Sequence

from torch import Tensor, nn

from dlseg.checks import check_integer


class SumASPP(nn.Module):
    """ASPP of DeepLab v2: one branch of scores for each rate, added up.

    x: (B, in_channels, H, W). Returns: scores (B, num_classes, H, W).
    hidden: None makes a branch of one 3x3 convolution to the classes, as on ResNet-101. A number
    makes it fc6 (3x3), fc7 (1x1) and fc8 (1x1) with that many channels in between, a ReLU and
    dropout of 0.5 behind each of the first two, as on VGG-16. No batch norm, no image pooling.
    Raises: ValueError where there is no rate, or a number is no integer >= 1.
    Source: DeepLab v2, sections 3.1 and 4.1.2 and figure 7.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        atrous_rates: Sequence[int],
        hidden: int | None = None,
    ):
        super().__init__()
        if len(atrous_rates) == 0:
            raise ValueError("atrous_rates must hold at least one rate, got none")
        self.branches = nn.ModuleList(
            _branch(
                check_integer("in_channels", in_channels, 1),
                check_integer("num_classes", num_classes, 1),
                check_integer("rate of atrous_rates", rate, 1),
                hidden,
            )
            for rate in atrous_rates
        )

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)  # (B, num_classes, H, W)


def _branch(in_channels: int, num_classes: int, rate: int, hidden: int | None) -> nn.Module:
    """Scores from what lies `rate` units around; the last layer starts from N(0, 0.01)."""
    if hidden is None:
        last = nn.Conv2d(in_channels, num_classes, 3, padding=rate, dilation=rate)
        layers = [last]
    else:
        check_integer("hidden", hidden, 1)
        fc6 = nn.Conv2d(in_channels, hidden, 3, padding=rate, dilation=rate)
        fc7, last = nn.Conv2d(hidden, hidden, 1), nn.Conv2d(hidden, num_classes, 1)
        layers = [fc6, nn.ReLU(), nn.Dropout(0.5), fc7, nn.ReLU(), nn.Dropout(0.5), last]
        for conv in (fc6, fc7):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers)

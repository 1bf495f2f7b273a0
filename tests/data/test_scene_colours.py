"""The colours that show labels of the scenes: seen on the background, and told apart by all."""

import numpy as np
import pytest

from dlseg.data import CLASSES, PALETTE

SHOWN = np.vstack([PALETTE[: len(CLASSES)], PALETTE[255:]])  # void last
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
EYES = {  # Machado, Oliveira and Fernandes 2009, Table 1, severity 1: what is left of linear RGB
    "normal": np.eye(3),
    "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deutan": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritan": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


def linear(colours: np.ndarray) -> np.ndarray:
    """sRGB values, 0 to 255, as shares of light."""
    shares = np.asarray(colours) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def contrast(colour: np.ndarray, other: np.ndarray) -> float:
    """The contrast ratio of WCAG 2: 1 to 21."""
    dark, light = sorted(linear(c) @ XYZ[1] for c in (colour, other))
    return (light + 0.05) / (dark + 0.05)


def lab(light: np.ndarray) -> np.ndarray:
    """Linear RGB as CIELAB."""
    t = light @ XYZ.T / XYZ.sum(1)
    f = np.where(t > 0.008856, np.cbrt(t), (903.3 * t + 16) / 116)
    parts = 116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    return np.stack(parts, axis=1)


def test_contrast_is_that_of_the_standard():
    assert contrast(np.zeros(3), np.full(3, 255)) == pytest.approx(21, abs=0.01)
    assert contrast(np.array([119] * 3), np.full(3, 255)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("label", range(1, len(SHOWN)))
def test_every_class_stands_out_from_the_background(label):
    assert contrast(SHOWN[label], SHOWN[0]) >= 3


@pytest.mark.parametrize("eye", EYES)
def test_no_two_classes_look_alike(eye):
    seen = lab(np.clip(linear(SHOWN) @ np.transpose(EYES[eye]), 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen, axis=2)
    assert apart[~np.eye(len(SHOWN), dtype=bool)].min() > 25

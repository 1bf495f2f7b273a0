"""The package under the book "Seeing Through Holes: DeepLab from First Principles"."""

__version__ = "0.1.0"

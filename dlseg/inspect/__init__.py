"""What any PyTorch model reads, and what it costs: receptive field, gradient support, cost."""

from dlseg.inspect.cost import Cost, cost
from dlseg.inspect.probe import evaluating
from dlseg.inspect.receptive_field import receptive_field
from dlseg.inspect.support import effective_field, from_layers, gradient_support

__all__ = [
    "Cost",
    "cost",
    "effective_field",
    "evaluating",
    "from_layers",
    "gradient_support",
    "receptive_field",
]

"""A segmentation model as a model of its scores: what tracers and counters look at."""

from torch import Tensor, nn


class ScoreMap(nn.Module):
    """Images (B, 3, H, W) to the coarse logits of `model`, without the last upsampling.

    Where `model.scores` gives a tuple of maps, as `MultiScale` does, to the last of them.
    Behind the upsampling there is no single receptive field; before it there is.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        if not hasattr(model, "scores"):
            raise ValueError(f"{type(model).__name__} has no `scores`: it is no network of dlseg")
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        scores = self.model.scores(x)
        return scores[-1] if isinstance(scores, tuple) else scores

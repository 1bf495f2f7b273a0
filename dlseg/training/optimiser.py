"""Which parameters learn, and how fast: backbone, head, the head's biases; frozen batch norm."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlseg.schema import Unfit, record
from dlseg.training.recipe import Recipe

# What each optimiser remembers of a parameter: of its shape, but for the number "step".
REMEMBERED = {"sgd": {"momentum_buffer"}, "adamw": {"step", "exp_avg", "exp_avg_sq"}}


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of `recipe` on what it lets learn.

    model: its attribute `backbone` holds the backbone; every other parameter is the head's. Without
    such all learn at one rate, and a recipe that asks for more is refused with ValueError.
    Each group of parameters has a "multiplier" of the learning rate, see `set_learning_rate`.
    Source: DeepLab v1, section 5 (the classifier learns 10 times faster).
    """
    slow, head = recipe.head_multiplier, recipe.head_bias_multiplier
    multipliers = {"backbone": 1.0, "head": slow, "head bias": slow if head is None else head}
    if not hasattr(model, "backbone"):
        _check_one_rate(model, recipe)
    groups = parameter_groups(model, recipe.freeze_batch_norm, recipe.freeze_backbone)
    learning = [
        {"params": parameters, "multiplier": multipliers[name], "name": name}
        for name, parameters in groups.items()
        if parameters
    ]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "adamw":
        betas = (recipe.momentum, 0.999)
        return torch.optim.AdamW(learning, lr=rate, betas=betas, weight_decay=decay)
    return torch.optim.SGD(learning, lr=rate, momentum=recipe.momentum, weight_decay=decay)


def _check_one_rate(model: nn.Module, recipe: Recipe) -> None:
    """ValueError where a recipe tells backbone from head, for a model that does not."""
    asked = {"head_multiplier": 1, "head_bias_multiplier": (None, 1), "freeze_backbone": False}
    for name, plain in asked.items():
        value = getattr(recipe, name)
        if value not in (plain if isinstance(plain, tuple) else (plain,)):
            raise ValueError(
                f"{name}={value} needs a model whose attribute backbone tells backbone from head, "
                f"and {type(model).__name__} has none: set model.backbone to the part that is it, "
                f"or leave out {name}"
            )


def restore_optimiser(optimiser: torch.optim.Optimizer, saved: dict, recipe: Recipe) -> None:
    """Give `optimiser`, made by `make_optimiser`, what another of the same recipe remembered.

    saved: the other's state dict, its types checked. Of its groups only the order of parameters is
    looked at; all else in them follows from the recipe.
    Raises Unfit where it is that of other parameters.
    """
    own = optimiser.state_dict()["param_groups"]
    orders = [[group["params"] for group in groups] for groups in (saved["param_groups"], own)]
    if orders[0] != orders[1]:
        raise Unfit("optimiser.param_groups are not those of this network and recipe")
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    for number, memory in saved["state"].items():
        shape = parameters[number].shape if number < len(parameters) else None
        _check_memory(f"optimiser.state.{number}", memory, shape, REMEMBERED[recipe.optimiser])
    optimiser.load_state_dict({"state": saved["state"], "param_groups": own})


def _check_memory(entry: str, memory: dict, shape: torch.Size | None, names: set[str]) -> None:
    """Unfit unless these are the things remembered of a parameter of that shape."""
    if shape is None:
        raise Unfit(f"{entry} belongs to no parameter of this network")
    record(dict.fromkeys(names, lambda _, value: value))(entry, memory)
    for name, value in memory.items():
        wanted = () if name == "step" else tuple(shape)
        given = tuple(value.shape) if isinstance(value, torch.Tensor) else value
        if given != wanted:
            raise Unfit(f"{entry}.{name} must be a tensor of shape {wanted}, got {given}")


def parameter_groups(
    model: nn.Module, freeze_batch_norm: bool, freeze_backbone: bool = False
) -> dict[str, list[nn.Parameter]]:
    """The parameters that learn: of the "backbone", the "head", and the "head bias".

    All of a model without `backbone` are in the first group.
    Raises ValueError where nothing is left that learns.
    """
    frozen = batch_norm_parameters(model) if freeze_batch_norm else set()
    backbone = set(getattr(model, "backbone", model).parameters())  # wrapped, names are others
    frozen |= backbone if freeze_backbone else set()
    groups = {"backbone": [], "head": [], "head bias": []}
    for name, parameter in model.named_parameters():
        if parameter in frozen or not parameter.requires_grad:
            continue
        head = "head bias" if name.endswith("bias") else "head"
        groups["backbone" if parameter in backbone else head].append(parameter)
    if not any(groups.values()):
        raise ValueError("no parameter of the model learns: all are frozen, or it has none")
    return groups


def batch_norm_parameters(model: nn.Module) -> set[nn.Parameter]:
    """Scales and shifts of all batch norms of `model`."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    return {parameter for norm in norms for parameter in norm.parameters()}


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let the backbone learn at `rate`, and each group at its multiple."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["multiplier"]


def prepare_batch_norm(model: nn.Module, recipe: Recipe) -> None:
    """Put `model` in training mode, its batch norms as `recipe` says: frozen, or with its decay.

    A frozen batch norm normalises by its running statistics and does not change them (DeepLab v3,
    section 4.1); all of a frozen backbone computes as it does when it predicts.
    """
    model.train()
    if recipe.freeze_backbone:
        model.backbone.eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.train(module.training and not recipe.freeze_batch_norm)
            module.momentum = 1 - recipe.batch_norm_decay  # PyTorch counts the share of the new

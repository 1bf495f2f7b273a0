"""The learning rate as a pure function of the iteration, so that a resumed run has no state of it.

Iterations count from 0; `iterations` is their number.
"""

from dlseg.training.recipe import Recipe


def poly(iteration: int, iterations: int, base: float, power: float = 0.9) -> float:
    """`base (1 - iteration / iterations)^power`: from base, almost straight, towards 0.

    Source: DeepLab v2, section 4.1.2 and table 2.
    """
    return base * (1 - iteration / iterations) ** power


def step(iteration: int, base: float, step_size: int, factor: float = 0.1) -> float:
    """`base`, multiplied by `factor` after every step_size iterations. Source: DeepLab v1, sec. 5.

    The paper: step_size 2000, factor 0.1.
    """
    return base * factor ** (iteration // step_size)


def learning_rate(recipe: Recipe, iteration: int) -> float:
    """Learning rate of the backbone at an iteration of `recipe`.

    Raises ValueError outside 0 .. recipe.iterations - 1.
    """
    if not 0 <= iteration < recipe.iterations:
        last = recipe.iterations - 1
        raise ValueError(f"iteration must be from 0 to {last}, got {iteration}")
    if recipe.schedule == "poly":
        return poly(iteration, recipe.iterations, recipe.learning_rate, recipe.power)
    if recipe.schedule == "step":
        return step(iteration, recipe.learning_rate, recipe.step_size, recipe.step_factor)
    return recipe.learning_rate

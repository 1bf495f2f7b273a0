"""The learning rate as a pure function of the iteration, so that a resumed run has no state of it.

Iterations count from 0; `iterations` is their number.
"""

from dlseg.checks import check_integer, check_number
from dlseg.training.recipe import Recipe


def poly(iteration: int, iterations: int, base: float, power: float = 0.9) -> float:
    """`base (1 - iteration / iterations)^power`: from base, almost straight, towards 0.

    Raises ValueError unless 0 <= iteration <= iterations, and for a base or a power below 0.
    Source: DeepLab v2, section 4.1.2 and table 2.
    """
    iterations = check_integer("iterations", iterations, 1)
    iteration = check_integer("iteration", iteration, 0, iterations)
    base = check_number("base", base, 0)
    power = check_number("power", power, 0)
    return base * (1 - iteration / iterations) ** power


def step(iteration: int, base: float, step_size: int, factor: float = 0.1) -> float:
    """`base`, multiplied by `factor` after every step_size iterations. Source: DeepLab v1, sec. 5.

    The paper: step_size 2000, factor 0.1.
    Raises ValueError for an iteration below 0, a step_size below 1, a base below 0 or a factor
    outside [0, 1].
    """
    iteration = check_integer("iteration", iteration, 0)
    step_size = check_integer("step_size", step_size, 1)
    base = check_number("base", base, 0)
    factor = check_number("factor", factor, 0, 1)
    return base * factor ** (iteration // step_size)


def learning_rate(recipe: Recipe, iteration: int) -> float:
    """Learning rate of the backbone at an iteration of `recipe`.

    Raises ValueError outside 0 .. recipe.iterations - 1.
    """
    iteration = check_integer("iteration", iteration, 0, recipe.iterations - 1)
    if recipe.schedule == "poly":
        return poly(iteration, recipe.iterations, recipe.learning_rate, recipe.power)
    if recipe.schedule == "step":
        return step(iteration, recipe.learning_rate, recipe.step_size, recipe.step_factor)
    return recipe.learning_rate

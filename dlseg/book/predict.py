"""A guess that the reader makes before the answer: a number, one of some words, or a curve."""

from collections.abc import Sequence

import ipywidgets

from dlseg.book import publish


class Predict:
    """A question with a form for the answer; it is kept nowhere, and no cell waits for it.

    question: one sentence. One of the three: number, the smallest and the largest there may be;
    choice, words; curve, names of the points of a curve, whose values lie in `between`.
    `value` is what the reader chose: a number, a word, or a number for each name; None before that,
    as when all cells are run in one go, so that what comes after must do without.
    Raises: ValueError unless exactly one of the three is given, with at least two values.
    """

    def __init__(
        self,
        question: str,
        *,
        number: tuple[float, float] | None = None,
        choice: Sequence[str] | None = None,
        curve: Sequence[str] | None = None,
        between: tuple[float, float] = (0, 1),
    ):
        given = [kind for kind in (number, choice, curve) if kind is not None]
        if len(given) != 1 or len(given[0]) < 2:
            raise ValueError(
                "a guess is a number, a choice or a curve: give one of the three, with two values "
                f"at least, got number={number!r}, choice={choice!r}, curve={curve!r}"
            )
        self.question, self.choice, self.curve = question, choice, curve
        self.between = number or between
        if not self.between[0] < self.between[1]:
            raise ValueError(f"two ends must be given, the smaller first, got {self.between}")
        self.value: float | str | dict[str, float] | None = None

    def __repr__(self) -> str:
        how = f"between {self.between[0]:g} and {self.between[1]:g}"
        if self.choice:
            how = " or ".join(self.choice)
        if self.curve:
            how += f", for each of {', '.join(self.curve)}"
        return f"Guess first: {self.question}\nRun this cell to answer: {how}"

    def widget(self) -> ipywidgets.VBox:
        """The live form: buttons for words, one slider for a number, one for each point."""
        words = ipywidgets.HTML("Not answered yet: move it, or go on without.")
        if self.choice:
            form = ipywidgets.ToggleButtons(options=self.choice, value=None)
        elif self.curve:
            form = ipywidgets.HBox([self._point(name) for name in self.curve])
            form.layout.flex_flow = "row wrap"
        else:
            form = self._slider("guess", {"width": "26em"})

        def answer(change):
            self.value = change["new"]
            if self.curve:
                self.value = {one.description: one.value for one in form.children}
            words.value = "Your guess is noted. Now go on."

        for control in form.children if self.curve else [form]:
            control.observe(answer, "value")
        return ipywidgets.VBox([ipywidgets.Label(self.question), form, words])

    def _point(self, name: str) -> ipywidgets.FloatSlider:
        layout = {"height": "11em", "width": "4.5em"}
        return self._slider(name, layout, orientation="vertical")

    def _slider(self, name: str, layout: dict, **more) -> ipywidgets.FloatSlider:
        low, high = self.between
        look = {"description": name, "layout": layout, **more}
        return ipywidgets.FloatSlider(
            (low + high) / 2, min=low, max=high, step=(high - low) / 20, **look
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        if publish.executed_for_the_book():
            return {"text/plain": repr(self)}
        return self.widget()._repr_mimebundle_()

"""A figure with sliders: live in a notebook; for the book, one picture and a file of frames."""

import html
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import ipywidgets

from dlseg.book import publish
from dlseg.book.frames import HINT, SUFFIX, Frames
from dlseg.book.picture import Picture

MOST_PICTURES = 800
PACE = 150  # milliseconds from stop to stop while it plays


def _range(name: str, values: list) -> str:
    words = isinstance(values[0], str)
    ends = " or ".join(values) if words else f"{values[0]} to {values[-1]}"
    return f"{name.replace('_', ' ')} {ends}"


def _failure(error: Exception) -> str:
    words = html.escape(f"{type(error).__name__}: {error}")
    return f'<p role="alert"><b>This stop cannot be drawn.</b> {words}</p>'


class Explorer:
    """One drawing function and the stops of its sliders.

    draw: takes one keyword per slider and returns a `Picture`; its defaults are the first view.
    stops: for each parameter of `draw`, the values its control runs through: numbers make a
        slider, strings a dropdown.
    play: the parameter that a button runs through by itself, where something travels.
    strip: what stands for it on paper: the name of a parameter, for four of its stops from end to
        end, by default the first; or the views, each the parameters that are not as at first.
    Raises: ValueError if the stops do not fit the function, or are too many to print, or play or
        strip name what is no stop.
    """

    def __init__(
        self,
        draw: Callable[..., Picture],
        *,
        play: str | None = None,
        strip: str | Sequence[dict] | None = None,
        **stops: Sequence,
    ):
        self.draw, self.play = draw, play
        self.stops = {name: list(values) for name, values in stops.items()}
        parameters = inspect.signature(draw).parameters
        if list(parameters) != list(self.stops):
            raise ValueError(
                f"{draw.__name__} takes {list(parameters)}, but stops are given for "
                f"{list(self.stops)}: give one list of stops per parameter, in the same order"
            )
        self.first = {name: parameters[name].default for name in self.stops}
        for name, value in self.first.items():
            if value not in self.stops[name]:
                raise ValueError(f"the default {name}={value!r} must be one of {self.stops[name]}")
        if len(self) > MOST_PICTURES:
            raise ValueError(f"{len(self)} pictures are too many to print: thin the stops")
        if play is not None and play not in self.stops:
            raise ValueError(f"play must be one of {list(self.stops)}, got {play!r}")
        if not strip or isinstance(strip, str):
            strip = self._ends(strip or next(iter(stops), ""))
        self.strip = [self._place(view) for view in strip]

    def _ends(self, name: str) -> list[dict]:
        """Four stops of a parameter from end to end, or as many as it has."""
        values = self.stops.get(name, [None])  # what is no parameter has no place either
        count = min(4, len(values))
        places = [round(i * (len(values) - 1) / max(1, count - 1)) for i in range(count)]
        return [{name: values[place]} for place in places]

    def _place(self, view: dict) -> int:
        """The number of a picture in `sweep`; ValueError for what is no stop."""
        place = 0
        for name, value in (self.first | view).items():
            if name not in self.stops or value not in self.stops[name]:
                raise ValueError(f"strip: {name}={value!r} is no stop of {self._ranges()}")
            place = place * len(self.stops[name]) + self.stops[name].index(value)
        return place

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.stops.values())

    def __repr__(self) -> str:
        return f"Explorer of {len(self)} pictures: {self._ranges()}"

    def _ranges(self) -> str:
        return ", ".join(map(_range, self.stops, self.stops.values()))

    def sweep(self) -> Iterator[tuple[dict, Picture]]:
        """Every stop of every slider, last slider fastest: (values, picture)."""
        for values in itertools.product(*self.stops.values()):
            chosen = dict(zip(self.stops, values, strict=True))
            yield chosen, self.draw(**chosen)

    def widget(self) -> ipywidgets.VBox:
        """The live form. An exception of `draw` is shown to the reader, then raised."""
        view = ipywidgets.HTML()
        controls = {name: self._control(name) for name in self.stops}

        def redraw(_change=None):
            try:
                chosen = {name: control.value for name, control in controls.items()}
                view.value = self.draw(**chosen).html()
            except Exception as error:
                view.value = _failure(error)
                raise

        for control in controls.values():
            control.observe(redraw, "value")
        redraw()
        buttons = [self._button(controls[self.play])] if self.play else []
        return ipywidgets.VBox([*controls.values(), *buttons, view])

    def _button(self, control: ipywidgets.Widget) -> ipywidgets.Play:
        """What runs a control through its stops."""
        last = len(self.stops[self.play]) - 1
        button = ipywidgets.Play(max=last, value=control.index, interval=PACE)
        ipywidgets.link((button, "value"), (control, "index"))
        return button

    def _control(self, name: str) -> ipywidgets.Widget:
        words = isinstance(self.stops[name][0], str)
        kind = ipywidgets.Dropdown if words else ipywidgets.SelectionSlider
        return kind(
            options=self.stops[name],
            value=self.first[name],
            description=name.replace("_", " "),
            style={"description_width": "8em"},
            layout={"width": "26em"},
        )

    def frames(self) -> Frames:
        """Every picture, with the stops of the sliders that lead to it."""
        stops = [(name.replace("_", " "), values) for name, values in self.stops.items()]
        first = [self.stops[name].index(value) for name, value in self.first.items()]
        play = None if self.play is None else list(self.stops).index(self.play)
        pictures = [picture for _, picture in self.sweep()]
        return Frames(stops, first, pictures, play, self.strip)

    def _repr_mimebundle_(self, include=None, exclude=None):
        if not publish.executed_for_the_book():
            return self.widget()._repr_mimebundle_()
        frames = self.frames()
        kept, still = publish.keep(SUFFIX, frames.pack()), frames.still()
        words = f"\n{HINT}: {self._ranges()}\n"
        words += f"Frames: frames/{kept.name}\nSHA-256: {kept.sha256}"
        return publish.bundle(still.png(), still.size, still.alt, kept, words)

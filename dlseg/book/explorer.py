"""A figure with sliders: live in a notebook, and draggable on a page that has no kernel."""

import base64
import gzip
import html
import inspect
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence

import ipywidgets

from dlseg.book.picture import SVG, Picture

MOST_PICTURES = 800

# Runs on a page without a kernel: finds every explorer that is not alive yet, unpacks its pictures,
# adds the controls. Arrow keys must not reach JupyterLab, which would move to another cell.
SCRIPT = """(async () => {
for (const box of document.querySelectorAll('.explorer:not([data-on])')) {
  box.dataset.on = 1;
  const stops = JSON.parse(box.dataset.stops), at = JSON.parse(box.dataset.first);
  const picture = box.querySelector('img'), form = box.querySelector('p');
  const packed = atob(box.querySelector('script[type="text/plain"]').textContent);
  const bytes = new Blob([Uint8Array.from(packed, c => c.charCodeAt(0))]).stream();
  const plain = new Response(bytes.pipeThrough(new DecompressionStream('gzip')));
  const frames = await plain.json();
  const draw = () => {
    const index = stops.reduce((sum, [, values], i) => sum * values.length + at[i], 0);
    const [type, data, alt] = frames[index], svg = type == 'image/svg+xml';
    picture.src = `data:${type}${svg ? ',' + encodeURIComponent(data) : ';base64,' + data}`;
    picture.alt = alt;
  };
  const controls = stops.map(([name, values], i) => {
    const words = typeof values[0] == 'string', place = words ? 'selectedIndex' : 'value';
    const control = document.createElement(words ? 'select' : 'input');
    const label = document.createElement('label'), shown = document.createElement('output');
    if (words) control.append(...values.map(value => new Option(value)));
    else Object.assign(control, {type: 'range', min: 0, max: values.length - 1});
    const say = () => { if (!words) shown.value = control.ariaValueText = values[at[i]]; };
    control[place] = at[i];
    control.ariaLabel = name;
    control.oninput = () => { at[i] = +control[place]; say(); draw(); };
    control.onkeydown = event => event.stopPropagation();
    say();
    label.append(name + ' ', control, ' ', shown, ' ');
    return label;
  });
  form.replaceChildren(...controls);
}})()"""


def executed_for_the_book() -> bool:
    """Whether the notebook is run to be published or tested (`DLSEG_BOOK=1`), not by a reader."""
    return os.environ.get("DLSEG_BOOK") == "1"


def _failure(error: Exception) -> str:
    words = html.escape(f"{type(error).__name__}: {error}")
    return f'<p role="alert"><b>This stop cannot be drawn.</b> {words}</p>'


class Explorer:
    """One drawing function and the stops of its sliders.

    draw: takes one keyword per slider and returns a `Picture`; its defaults are the first view.
    stops: for each parameter of `draw`, the values its control runs through: numbers make a
        slider, strings a dropdown.
    Raises: ValueError if the stops do not fit the function, or are too many to print.
    """

    def __init__(self, draw: Callable[..., Picture], **stops: Sequence):
        self.draw = draw
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

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.stops.values())

    def __repr__(self) -> str:
        ranges = (f"{name} {values[0]} to {values[-1]}" for name, values in self.stops.items())
        return f"Explorer of {len(self)} pictures: {', '.join(ranges)}"

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
        return ipywidgets.VBox([*controls.values(), view])

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

    def html(self) -> str:
        """The printed form: the first picture, and every picture packed beside a small script."""
        frames = [_frame(picture) for _, picture in self.sweep()]
        packed = base64.b64encode(gzip.compress(json.dumps(frames).encode(), mtime=0)).decode()
        stops = [(name.replace("_", " "), values) for name, values in self.stops.items()]
        first = [self.stops[name].index(value) for name, value in self.first.items()]
        return (
            f'<div class="explorer" data-stops="{html.escape(json.dumps(stops))}" '
            f'data-first="{first}">{self.draw(**self.first).html()}'
            "<p><em>Run this cell to move the sliders.</em></p>"
            f'<script type="text/plain">{packed}</script><script>{SCRIPT}</script></div>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        if executed_for_the_book():
            return {"text/html": self.html(), "text/plain": repr(self)}
        return self.widget()._repr_mimebundle_()


def _frame(picture: Picture) -> tuple[str, str, str]:
    if picture.mime == SVG:
        return picture.mime, picture.data.decode(), picture.alt
    return picture.mime, base64.b64encode(picture.data).decode(), picture.alt

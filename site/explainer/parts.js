// Small parts of a page: elements, sliders, canvases that show labels and maps.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};

  function el(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in node) node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // A named slider; `say` makes words of its value.
  function slider(name, {min, max, step = 1, value, say = String}, moved) {
    const input = el('input', {type: 'range', min, max, step});
    const shown = el('output');
    input.value = value;
    const tell = () => { shown.value = say(+input.value); input.setAttribute('aria-valuetext', shown.value); };
    input.oninput = () => { tell(); moved(+input.value); };
    tell();
    const row = el('label', {className: 'dx-row'}, el('span', {textContent: name}), input, shown);
    row.set = v => { input.value = v; tell(); };
    row.input = input;
    return row;
  }

  function tick(name, checked, moved) {
    const input = el('input', {type: 'checkbox', checked});
    input.onchange = () => moved(input.checked);
    const row = el('label', {className: 'dx-tick'}, input, ` ${name}`);
    row.set = v => { input.checked = v; };
    return row;
  }

  function choice(name, options, value, moved) {
    const input = el('select', {}, ...options.map(([key, words]) => new Option(words, key)));
    input.value = value;
    input.onchange = () => moved(input.value);
    const row = el('label', {className: 'dx-row'}, el('span', {textContent: name}), input);
    row.set = v => { input.value = v; };
    row.input = input;
    return row;
  }

  function button(words, pressed) {
    return el('button', {type: 'button', textContent: words, onclick: pressed});
  }

  // A picture of side x side pixels under a title.
  function picture(title, side, more = {}) {
    const canvas = el('canvas', {width: side, height: side, className: 'dx-pixels', ...more});
    canvas.setAttribute('aria-label', title);
    if (!more.tabIndex && more.tabIndex !== 0) canvas.setAttribute('role', 'img');
    const box = el('figure', {}, canvas, el('figcaption', {textContent: title}));
    return {box, canvas, pen: canvas.getContext('2d', {willReadFrequently: true})};
  }

  // colour: from a place to [r, g, b].
  function fill({canvas, pen}, side, colour) {
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const data = pen.createImageData(side, side);
    for (let i = 0; i < side * side; i++) {
      const [r, g, b] = colour(i), at = 4 * i;
      data.data[at] = r;
      data.data[at + 1] = g;
      data.data[at + 2] = b;
      data.data[at + 3] = 255;
    }
    pen.putImageData(data, 0, 0);
  }

  function rgb(hex) {
    return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
  }

  const percent = share => `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`;

  Object.assign(DL, {el, slider, tick, choice, button, picture, fill, rgb, percent});
})(typeof self === 'undefined' ? globalThis : self);

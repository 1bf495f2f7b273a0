// "Why did it say that?" and "The dense CRF": parts that look behind the labels.
(function (root) {
  'use strict';
  const DL = root.DL, {el, slider, choice, picture, fill, percent} = DL, {SIZE, CLASSES} = DL, N = SIZE * SIZE;
  const VOICES = ['1x1', 'rate 1st', 'rate 2nd', 'rate 3rd', 'image pooling'];

  function whyPart(page, place) {
    const moved = picture('What moved the score', SIZE), live = el('p', {className: 'dx-live', ariaLive: 'polite'});
    const voices = el('table', {}, el('caption', {textContent: 'Who spoke for it'}));
    const maps = choice('Map', [], '', () => show());
    const tiles = picture('One square for each channel', SIZE, {className: 'dx-pixels dx-map'});
    const value = el('p', {className: 'dx-note', textContent: 'Move over a map to read its values.'});
    let kept = null;

    function ask() {
      if (!page.seen) return;
      const [x, y] = page.where();
      page.asker.ask({kind: 'why', place: y * SIZE + x}, found => {
        const most = found.moved.reduce((a, b) => Math.max(a, b), 1e-12);
        fill(moved, SIZE, i => {
          const glow = Math.sqrt(found.moved[i] / most), seen = found.could[i];
          const grey = page.seen.pixels[4 * i] / 8 + page.seen.pixels[4 * i + 1] / 8 + 60;
          return seen ? [grey + glow * (255 - grey), grey + glow * (200 - grey), grey * (1 - glow)] : [20, 20, 90];
        });
        moved.pen.strokeStyle = '#fff';
        moved.pen.strokeRect(x - 1.5, y - 1.5, 4, 4);
        const could = found.could.reduce((a, b) => a + b, 0) / N, half = reach(found.moved, x, y);
        live.textContent = `At ${x}, ${y} it says ${CLASSES[found.label]}. It could read ${percent(could)} of the picture. ` +
          `Half of what moved the score lies within ${half} pixels.`;
        moved.canvas.ariaLabel = live.textContent;
        const rates = page.seen.options.rates;
        const names = VOICES.map((name, i) => i > 0 && i < 4 ? `rate ${rates[i - 1]}` : name);
        const said = [...names.map((name, i) => [name, found.branches[i]]), ['shallow map', found.shallow]];
        const loudest = Math.max(...said.map(([, v]) => Math.abs(v)), 1e-9);
        voices.replaceChildren(voices.caption, ...said.map(([name, v]) => el('tr', {className: v < 0 ? 'dx-against' : ''},
          el('th', {scope: 'row', textContent: name}),
          el('td', {}, el('meter', {min: 0, max: loudest, value: Math.abs(v), ariaLabel: name})),
          el('td', {textContent: (v < 0 ? 'against, ' : '') + Math.abs(v).toFixed(2)}))));
        page.why = found;
        page.tell('explained');
      });
      list();
    }

    // The radius around (x, y) that holds half of all that moved the score.
    function reach(values, x, y) {
      const rings = new Float64Array(2 * SIZE);
      values.forEach((v, i) => { rings[Math.round(Math.hypot(i % SIZE - x, Math.floor(i / SIZE) - y))] += v; });
      const all = rings.reduce((a, b) => a + b, 0);
      let sum = 0, r = 0;
      while (r < rings.length && (sum += rings[r]) < all / 2) r += 1;
      return r;
    }

    function list() {
      page.asker.ask({kind: 'maps'}, ({names}) => {
        const before = maps.input.value;
        maps.input.replaceChildren(...names.map(name => new Option(name, name)));
        maps.set(names.includes(before) ? before : 'ASPP');
        show();
      });
    }

    function show() {
      page.asker.ask({kind: 'map', name: maps.input.value}, map => {
        kept = map;
        const across = Math.ceil(Math.sqrt(map.c)), gap = 1, cell = map.w + gap;
        const side = across * cell + gap, n = map.h * map.w;
        let low = Infinity, high = -Infinity;
        for (const v of map.v) { low = Math.min(low, v); high = Math.max(high, v); }
        fill(tiles, side, i => {
          const spot = find(i % side, Math.floor(i / side));
          if (!spot) return [70, 70, 90];
          const v = (map.v[spot[0] * n + spot[2] * map.w + spot[1]] - low) / (high - low || 1);
          return [255 * v, 255 * v, 255 * v];
        });
        tiles.canvas.ariaLabel = `${maps.input.value}: ${map.c} channels of ${map.h} by ${map.w}, from ${low.toFixed(2)} to ${high.toFixed(2)}.`;
        value.textContent = tiles.canvas.ariaLabel;
        kept.find = find;

        function find(x, y) {
          const [column, row] = [Math.floor((x - gap) / cell), Math.floor((y - gap) / cell)];
          const [u, v] = [(x - gap) - column * cell, (y - gap) - row * cell], channel = row * across + column;
          return x >= gap && y >= gap && u < map.w && v < map.h && column < across && channel < map.c
            ? [channel, u, v] : null;
        }
      });
    }

    tiles.canvas.addEventListener('pointermove', event => {
      if (!kept) return;
      const box = tiles.canvas.getBoundingClientRect(), side = tiles.canvas.width;
      const spot = kept.find(...[event.clientX - box.left, event.clientY - box.top].map(v => Math.floor(v / box.width * side)));
      if (!spot) return;
      const [channel, x, y] = spot;
      value.textContent = `Channel ${channel}, column ${x}, row ${y}: ${kept.v[channel * kept.h * kept.w + y * kept.w + x].toFixed(3)}`;
    });
    page.on('asked', ask);
    page.on('still', ask);
    place.append(el('div', {className: 'dx-pictures dx-beside'}, moved.box, el('div', {}, live, voices)),
      el('div', {className: 'dx-pictures dx-beside'}, tiles.box, el('div', {className: 'dx-controls'}, maps, value)));
  }

  function crfPart(page, place) {
    const before = picture('The network', SIZE), after = picture('After the CRF', SIZE);
    const live = el('p', {className: 'dx-live', ariaLive: 'polite'});
    const asked = page.crf = {sxy: 8, srgb: 32, weight: 4, smooth: 1, iterations: 5, exact: false};
    const knob = (words, name, range) => slider(words, {...range, value: asked[name]}, v => { asked[name] = v; ask(); });
    const way = choice('Messages', [['lattice', 'lattice, the whole scene'], ['exact', 'every pair, at half size']], 'lattice',
      v => { asked.exact = v === 'exact'; ask(); });

    function ask() {
      if (!page.seen) return;
      const {sxy, srgb, weight, smooth, iterations, exact} = asked, seen = page.seen;
      const kernels = [{sxy, srgb, weight}, ...(smooth ? [{sxy: 1, weight: smooth}] : [])];
      page.asker.ask({kind: 'crf', kernels, iterations, exact}, ({labels, side, ms}) => {
        const whole = side === SIZE, step = SIZE / side;
        const at = i => whole ? i : Math.floor(i / side) * step * SIZE + i % side * step;
        fill(before, side, i => page.palette[seen.labels[at(i)]]);
        fill(after, side, i => page.palette[labels[i]]);
        let right = [0, 0], of = 0, changed = 0;
        labels.forEach((label, i) => {
          const truth = seen.truth[at(i)];
          changed += label !== seen.labels[at(i)];
          if (truth === 255) return;
          of += 1;
          right[0] += seen.labels[at(i)] === truth;
          right[1] += label === truth;
        });
        page.refined = {labels, side, right: right[1] / of};
        if (page.first && whole) page.first.refined ??= page.refined.right;
        live.textContent = `${percent(right[0] / of)} right before, ${percent(right[1] / of)} after; ${changed} pixels changed, in ${ms.toFixed(0)} ms.`;
        before.canvas.ariaLabel = 'Labels of the network.';
        after.canvas.ariaLabel = `Labels after the CRF. ${live.textContent}`;
        place.dataset.ms = ms.toFixed(1);
        page.tell('refined');
      });
    }

    page.on('still', ask);
    place.append(el('div', {className: 'dx-pictures'}, before.box, after.box), live, el('div', {className: 'dx-controls'},
      knob('Reach, sxy (pixels)', 'sxy', {min: 1, max: 40}), knob('Colours, srgb', 'srgb', {min: 4, max: 80, step: 2}),
      knob('Weight', 'weight', {min: 0, max: 12, step: 0.5}), knob('Weight of nearness alone', 'smooth', {min: 0, max: 6, step: 0.5}),
      knob('Steps', 'iterations', {min: 0, max: 10}), way));
  }

  Object.assign(DL, {whyPart, crfPart});
})(typeof self === 'undefined' ? globalThis : self);

// The page "DeepLab Explainer": its parts, and what they tell each other.
(function (root) {
  'use strict';
  const DL = root.DL, {el, slider, tick, choice, button, picture, fill, rgb, percent} = DL;
  const {SIZE, CLASSES} = DL, N = SIZE * SIZE;
  const WRONG = [200, 30, 30];

  // Asks the worker one thing of a kind at a time; of what came in between only the last is asked.
  class Asker {
    constructor(source) {
      this.waiting = new Map();
      this.next = new Map();
      this.ticket = 0;
      try {
        this.worker = new Worker(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
        this.worker.onmessage = ({data}) => this.heard(data);
      } catch (error) { // where workers are forbidden the page itself computes
        this.worker = null;
      }
    }

    ask(job, then) {
      if (this.waiting.has(job.kind)) {
        this.next.set(job.kind, [job, then]);
        return;
      }
      this.waiting.set(job.kind, then);
      job.ticket = ++this.ticket;
      if (this.worker) this.worker.postMessage(job);
      else setTimeout(() => this.heard(DL.answer(job)));
    }

    heard(data) {
      const then = this.waiting.get(data.kind), next = this.next.get(data.kind);
      this.waiting.delete(data.kind);
      this.next.delete(data.kind);
      if (next) this.ask(...next);
      then(data);
    }
  }

  class Page {
    constructor(data, source) {
      this.palette = data.palette.map(rgb);
      this.asker = new Asker(source);
      this.listeners = [];
      this.options = {...DL.TRAINED};
      this.pixel = null;
      const told = this.fromHash();
      this.hands = DL.Hands.heard(told);
      Object.assign(this.options, told.o);
      this.asker.ask({kind: 'load', names: data.names, numbers: data.numbers}, () => this.redraw());
    }

    // Everything that follows from scene and options is made again; what takes longer than a
    // drag allows waits until hands are still.
    redraw() {
      const {pixels, labels, owner} = DL.render(this.hands.scene);
      const options = JSON.parse(JSON.stringify(this.options));
      this.refined = this.why = null; // they spoke of what was before
      this.drawn = {pixels, truth: labels, owner, options};
      this.tell('drawn');
      this.asker.ask({kind: 'label', pixels, options}, found => {
        this.seen = {pixels, truth: labels, owner, options, labels: found.labels, ms: found.ms};
        this.seen.right = share(labels, found.labels);
        // What the tasks compare with: the same things, seen by the network as trained.
        const things = JSON.stringify(this.hands.told());
        if (this.first?.things !== things) this.first = null;
        if (JSON.stringify(options) === JSON.stringify(DL.TRAINED)) this.first ??= {things, right: this.seen.right};
        this.tell('seen');
        clearTimeout(this.rest);
        this.rest = setTimeout(() => this.tell('still'), 150);
      });
      clearTimeout(this.later);
      clearTimeout(this.rest);
      this.later = setTimeout(() => this.toHash(), 300);
    }

    // The pixel that is asked for; at first one on a plate's rim, which has to read the mark.
    where() {
      const {things} = this.hands.scene, plate = things.find(({label}) => label === 3 || label === 4);
      const [x, y] = plate ? [plate.x - 0.6 * plate.radius, plate.y - 0.6 * plate.radius] : [SIZE / 2, SIZE / 2];
      return (this.pixel || [x, y]).map(v => Math.min(SIZE - 1, Math.max(0, Math.round(v))));
    }

    on(event, act) {
      this.listeners.push([event, act]);
    }

    tell(event) {
      for (const [name, act] of this.listeners) if (name === event) act();
    }

    toHash() {
      const o = Object.fromEntries(Object.entries(this.options)
        .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(DL.TRAINED[key])));
      const words = {...this.hands.told(), ...(Object.keys(o).length ? {o} : {})};
      const bare = JSON.stringify(words) === '{"i":0}';
      history.replaceState(null, '', bare ? location.pathname + location.search : `#${encodeURIComponent(JSON.stringify(words))}`);
    }

    fromHash() {
      try {
        const told = JSON.parse(decodeURIComponent(location.hash.slice(1)));
        return {...told, o: DL.soundOptions(told.o)};
      } catch (error) {
        return {};
      }
    }
  }

  function share(truth, labels) {
    let right = 0, of = 0;
    truth.forEach((label, i) => {
      if (label === 255) return;
      of += 1;
      right += label === labels[i];
    });
    return right / of;
  }

  // Options that came in a URL, what makes no sense left out.
  DL.soundOptions = o => {
    const whole = (v, low, high) => Number.isInteger(v) && v >= low && v <= high;
    const found = {};
    if (o && [8, 16].includes(o.stride)) found.stride = o.stride;
    for (const name of ['pooling', 'decoder']) if (typeof o?.[name] === 'boolean') found[name] = o[name];
    for (const [name, count] of [['rates', 3], ['deep', 2]]) {
      const list = o?.[name];
      if (Array.isArray(list) && list.length === count && list.every(v => whole(v, 1, 12))) found[name] = list;
    }
    return found;
  };

  // ---- A scene under your hands

  // small: of a page that has no room for more than the scene and the answer.
  function scenePart(page, place, small) {
    const scene = picture('The scene: drag its things', SIZE, {tabIndex: 0, className: 'dx-pixels dx-hands'});
    const answer = picture(small ? 'What the network says' : 'What the network says: click a pixel', SIZE, {tabIndex: 0, className: 'dx-pixels dx-ask'});
    const errors = picture('Where it is wrong', SIZE);
    const live = el('p', {className: 'dx-live', ariaLive: 'polite'});
    const key = el('ul', {className: 'dx-key'}, ...CLASSES.map((name, i) =>
      el('li', {}, el('i', {style: `background: rgb(${page.palette[i]})`}), name)));
    const list = choice('Thing', [], '', value => choose(+value));
    const act = (words, change) => button(words, () => {
      if (page.hands.chosen < 0) choose(0);
      if (change() === false) { live.textContent = 'This thing has no other kind.'; return; }
      page.redraw();
    });
    const hands = () => page.hands;
    const tools = el('div', {className: 'dx-tools', role: 'group', ariaLabel: 'Change the thing'},
      act('Other mark or pattern', () => hands().other()), act('Colour', () => hands().recolour()),
      act('Larger', () => hands().resize(1.15)), act('Smaller', () => hands().resize(1 / 1.15)),
      act('Turn', () => hands().turn(Math.PI / 12)), act('Delete', () => hands().remove()));
    const more = choice('Add', [['', 'choose'], ...CLASSES.slice(1, 8).map((name, i) => [i + 1, name])], '', value => {
      if (value) hands().add(+value);
      more.set('');
      page.redraw();
    });
    const scenes = el('div', {className: 'dx-tools', role: 'group', ariaLabel: 'Another scene'},
      button('Scene before', () => take(hands().index - 1)),
      button('Next scene', () => take(hands().index + 1)),
      button('As it was', () => take(hands().index)));

    function take(index) {
      hands().take(Math.max(0, index));
      page.redraw();
    }

    function choose(index) {
      hands().chosen = index;
      page.tell('drawn');
    }

    // Dragging by mouse, pen or finger; a plain touch beside all things scrolls the page.
    const spot = event => {
      const box = scene.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * SIZE, (event.clientY - box.top) / box.height * SIZE];
    };
    let held = null;
    scene.canvas.addEventListener('pointerdown', event => {
      const [x, y] = spot(event), index = DL.thingAt(hands().scene, x, y);
      choose(index);
      if (index < 0) return;
      held = [x, y];
      scene.canvas.setPointerCapture(event.pointerId);
    });
    scene.canvas.addEventListener('touchstart', event => {
      const [x, y] = spot(event.touches[0]);
      if (DL.thingAt(hands().scene, x, y) >= 0) event.preventDefault();
    }, {passive: false});
    scene.canvas.addEventListener('pointermove', event => {
      if (!held) return;
      const [x, y] = spot(event);
      hands().move(x - held[0], y - held[1]);
      held = [x, y];
      page.redraw();
    });
    for (const end of ['pointerup', 'pointercancel']) scene.canvas.addEventListener(end, () => { held = null; });
    scene.canvas.addEventListener('keydown', event => {
      const step = {ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2]}[event.key];
      const many = hands().scene.things.length;
      if (event.key === 'n') choose((hands().chosen + 1) % many);
      else if (hands().chosen < 0) return;
      else if (step) hands().move(...step);
      else if (event.key === '+') hands().resize(1.1);
      else if (event.key === '-') hands().resize(1 / 1.1);
      else if (event.key === 'm') hands().other();
      else if (event.key === 'c') hands().recolour();
      else if (event.key === 't') hands().turn(Math.PI / 12);
      else if (event.key === 'Delete') hands().remove();
      else return;
      event.preventDefault();
      page.redraw();
    });

    // The answer: a click or the arrow keys choose the pixel that the next part explains.
    const ask = (x, y) => {
      page.pixel = [x, y];
      page.tell('asked');
    };
    answer.canvas.addEventListener('click', event => {
      const box = answer.canvas.getBoundingClientRect();
      ask(Math.floor((event.clientX - box.left) / box.width * SIZE), Math.floor((event.clientY - box.top) / box.height * SIZE));
    });
    answer.canvas.addEventListener('keydown', event => {
      const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
      if (!step) return;
      event.preventDefault();
      const [x, y] = page.where();
      ask(x + 2 * step[0], y + 2 * step[1]);
    });

    page.on('drawn', () => {
      const {pixels} = page.drawn, {thing} = hands();
      fill(scene, SIZE, i => pixels.subarray(4 * i, 4 * i + 3));
      if (thing) {
        scene.pen.strokeStyle = '#fff';
        scene.pen.setLineDash([2, 2]);
        const r = thing.points ? 6 : thing.radius * 1.3 + 2;
        scene.pen.strokeRect(thing.x - r, thing.y - r, 2 * r, 2 * r);
      }
      const names = hands().scene.things.map((one, i) => [i, one])
        .filter(([, one]) => one.label !== 255)
        .map(([i, one]) => [i, `${CLASSES[one.label]} at ${Math.round(one.x)}, ${Math.round(one.y)}`]);
      list.input.replaceChildren(new Option('none', -1), ...names.map(([i, words]) => new Option(words, i)));
      list.set(hands().chosen);
      scene.canvas.ariaLabel = `Scene ${hands().index}. Chosen: ${list.input.selectedOptions[0]?.text ?? 'none'}. ` +
        'n takes the next thing, arrows move it, plus and minus resize it, m changes its mark, c its colour, t turns it.';
    });
    const mark = () => {
      if (!page.seen) return;
      const {labels} = page.seen;
      fill(answer, SIZE, i => page.palette[labels[i]]);
      if (small) return;
      const [x, y] = page.where();
      answer.pen.strokeStyle = '#fff';
      answer.pen.strokeRect(x - 1.5, y - 1.5, 4, 4);
    };
    page.on('asked', mark);
    page.on('seen', () => {
      const {labels, truth, right, ms} = page.seen, pixels = page.seen.pixels;
      mark();
      fill(errors, SIZE, i => truth[i] === 255 ? [128, 128, 128] : truth[i] === labels[i]
        ? Array.from(pixels.subarray(4 * i, 4 * i + 3), v => 160 + v / 3) : WRONG);
      const counts = CLASSES.map((name, k) => [name, labels.reduce((sum, one) => sum + (one === k), 0)]);
      const said = counts.filter(([name, count]) => count && name !== 'background').map(([name, count]) => `${name} ${count}`);
      live.textContent = `Scene ${hands().index}: ${percent(right)} of the pixels right. Pixels of ${said.join(', ')}.`;
      answer.canvas.ariaLabel = `Labels of the network. ${live.textContent} Arrow keys choose a pixel.`;
      errors.canvas.ariaLabel = `${percent(1 - right)} of the pixels are wrong.`;
      place.dataset.ms = ms.toFixed(1);
    });
    if (small) {
      place.append(el('div', {className: 'dx-pictures'}, scene.box, answer.box), key, live, scenes);
      return;
    }
    place.append(el('div', {className: 'dx-pictures dx-stay'}, scene.box, answer.box, errors.box), key, live,
      el('div', {className: 'dx-controls'}, list, tools, more, scenes, knobs(page)));
  }

  // The network's rates and parts.
  function knobs(page) {
    const {options} = page, rows = [];
    const rate = (words, list, i, value) => {
      const row = slider(words, {min: 1, max: 12, value, say: v => `rate ${v}`}, v => {
        options[list] = options[list].map((one, k) => k === i ? v : one);
        page.redraw();
      });
      rows.push([row, () => options[list][i]]);
      return row;
    };
    const part = (words, name) => {
      const row = tick(words, options[name], v => { options[name] = v; page.redraw(); });
      rows.push([row, () => options[name]]);
      return row;
    };
    const stride = choice('Output stride', [[8, '8, as trained'], [16, '16']], options.stride, v => {
      options.stride = +v;
      page.redraw();
    });
    rows.push([stride, () => options.stride]);
    const set = changes => {
      Object.assign(options, changes);
      for (const [row, value] of rows) row.set(value());
      page.redraw();
    };
    return el('fieldset', {},
      el('legend', {textContent: 'The trained network'}),
      ...[0, 1, 2].map(i => rate(`ASPP, branch ${i + 1}`, 'rates', i, options.rates[i])),
      ...[0, 1].map(i => rate(`Stage ${i + 3}`, 'deep', i, options.deep[i])),
      stride, part('Image pooling', 'pooling'), part('Decoder', 'decoder'),
      el('div', {className: 'dx-tools'},
        button('All rates 1', () => set({rates: [1, 1, 1], deep: [1, 1]})),
        button('As trained', () => set(JSON.parse(JSON.stringify(DL.TRAINED))))));
  }

  Object.assign(DL, {Page, scenePart});
})(typeof self === 'undefined' ? globalThis : self);

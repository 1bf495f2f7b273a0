// The book's drawn scenes, as dlseg.data draws them, kept as a list of things that can be moved.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};
  const SIZE = 96, SPREAD = 0.15, GAP = 0.3, TRIES = 60, THICK = 3, NOISE = 0.04, VOID = 255;
  const CLASSES = ['background', 'stripes', 'dots', 'plate A', 'plate B', 'star', 'ring', 'wire',
    'lamp A', 'lamp B'];
  const [, STRIPES, DOTS, PLATE_A, PLATE_B, STAR, RING, WIRE, LAMP_A, LAMP_B] = CLASSES.keys();
  const WARM = [1, 0.55, 0.05], COOL = [0.05, 0.5, 1], ROOT = 0.8660254037844386;

  // Signed distances in pixels to plane shapes, negative inside; x, y from the shape's middle.
  const box = (x, y, w, h) => Math.max(Math.abs(x) - w, Math.abs(y) - h);
  const disc = (x, y, r) => Math.sqrt(x * x + y * y) - r;
  const diamond = (x, y, r) => (Math.abs(x) + 4 * Math.abs(y) - r) / 4.123105625617661;
  const rotate = (x, y, [cosine, sine]) => [cosine * x + sine * y, cosine * y - sine * x];
  const SHAPES = {
    disc,
    square: (x, y, r) => box(x, y, 0.85 * r, 0.85 * r),
    triangle: (x, y, r) => Math.max(ROOT * Math.abs(x) + 0.5 * y, -y) - 0.65 * r,
    cross: (x, y, r) => Math.min(box(x, y, r, r / 3.5), box(x, y, r / 3.5, r)),
    ring: (x, y, r) => Math.abs(disc(x, y, r)) - THICK / 2,
    star: (x, y, r) => [ROOT, -ROOT].reduce(
      (least, sine) => Math.min(least, diamond(...rotate(x, y, [0.5, sine]), r)), diamond(x, y, r)),
  };
  const CORNER = {disc: 1, square: 1.21, triangle: 1.3, star: 1};
  const PATTERNS = {
    [STRIPES]: (x, y, period) => period * (Math.abs(part(x / period) - 0.5) - 0.25),
    [DOTS]: (x, y, period) =>
      period * (Math.hypot(part(x / period) - 0.5, part(y / period) - 0.5) - 0.39894),
  };
  const part = v => v - Math.floor(v);

  function line(x, y, points) {
    let nearest = Infinity;
    for (let i = 1; i < points.length; i++) {
      const [x0, y0] = points[i - 1], across = points[i][0] - x0, down = points[i][1] - y0;
      const along = ((x - x0) * across + (y - y0) * down) / (across * across + down * down);
      const t = Math.min(1, Math.max(0, along));
      nearest = Math.min(nearest, (x - x0 - t * across) ** 2 + (y - y0 - t * down) ** 2);
    }
    return Math.sqrt(nearest) - THICK / 2;
  }

  // How far a pixel's middle lies from the outline of a thing.
  function distance(thing, x, y) {
    const [u, v] = [x - thing.x, y - thing.y];
    if (thing.points) return line(u, v, thing.points);
    return SHAPES[thing.shape](...rotate(u, v, thing.turn), thing.radius);
  }

  // The colours of a scene's ground and how they differ from place to place.
  class Ground {
    constructor(draws) {
      const base = this.base = [0, 1, 2].map(() => draws.uniform(0.25, 0.75));
      this.low = base.map(value => value - SPREAD);
      this.high = base.map(value => value + SPREAD);
      this.curves = [0, 1, 2].map(() => Array.from({length: 9}, () => draws.uniform(-SPREAD, SPREAD)));
      this.blobs = Array.from({length: draws.integer(3, 6)}, () => ({
        x: draws.uniform(0, SIZE), y: draws.uniform(0, SIZE),
        radius: draws.uniform(5, 20), strength: draws.uniform(-0.12, 0.12),
      }));
    }

    planes() {
      const planes = new Float32Array(3 * SIZE * SIZE), bernstein = Array.from({length: SIZE}, (_, i) => {
        const t = (i + 0.5) / SIZE;
        return [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
      });
      for (let y = 0, at = 0; y < SIZE; y++) {
        for (let x = 0; x < SIZE; x++, at++) {
          let soft = 0;
          for (const blob of this.blobs) {
            const u = x + 0.5 - blob.x, v = y + 0.5 - blob.y;
            const fall = Math.max(0, 1 - (u * u + v * v) / (blob.radius * blob.radius));
            soft += blob.strength * fall * fall;
          }
          for (let c = 0; c < 3; c++) {
            let value = soft;
            for (let k = 0; k < 9; k++) {
              value += this.curves[c][k] * bernstein[y][Math.floor(k / 3)] * bernstein[x][k % 3];
            }
            planes[c * SIZE * SIZE + at] = this.base[c] + Math.min(SPREAD, Math.max(-SPREAD, value));
          }
        }
      }
      return planes;
    }

    // The colour, with one channel moved where nothing sets it off from all of the ground.
    contrast(colour, channel) {
      const {low, high} = this;
      if (colour.some((value, c) => value <= low[c] - GAP || value >= high[c] + GAP)) return colour;
      const moved = low[channel] > 1 - high[channel] ? low[channel] - GAP : high[channel] + GAP;
      return colour.map((value, c) => c === channel ? moved : value);
    }

    grey(dark) {
      const darkest = Math.max(...this.low) - GAP, lightest = Math.min(...this.high) + GAP;
      return (dark ? darkest >= 0 : lightest > 1)
        ? Math.max(0, darkest - 0.03) : Math.min(1, lightest + 0.03);
    }

    signal(draws, warm) {
      const shades = (warm ? WARM : COOL).map(value => value + draws.uniform(-0.05, 0.05));
      return this.contrast(shades.map(value => Math.min(1, Math.max(0, value))), 1);
    }

    second(colour) {
      const off = colour.map((value, c) => Math.max(this.low[c] - value, value - this.high[c]));
      const kept = off.indexOf(Math.max(...off));
      return colour.map((value, c) => c === kept ? value : value < 0.5 ? value + 0.45 : value - 0.45);
    }
  }

  // Scene number `index` of a seed, as `dlseg.data.draw_scene` makes it.
  function makeScene(seed, index) {
    const draws = new DL.Draws(1, seed, index, SIZE), ground = new Ground(draws);
    const things = [], taken = [];
    const room = (radius, margin) => {
      for (let i = 0; i < TRIES; i++) {
        const x = draws.uniform(margin, SIZE - margin), y = draws.uniform(margin, SIZE - margin);
        if (taken.every(([u, v, r]) => (x - u) ** 2 + (y - v) ** 2 > (radius + r) ** 2)) {
          taken.push([x, y, radius + 1]);
          return [x, y];
        }
      }
      return null;
    };
    const free = () => ground.contrast([0, 1, 2].map(() => draws.uniform(0.03, 0.97)), draws.integer(0, 2));
    for (let n = draws.integer(1, 2); n; n--) things.push(wire(ground, draws));
    for (let n = draws.integer(1, 2); n; n--) {
      const radius = draws.scale(5, 0.25 * SIZE), x = draws.uniform(0, SIZE), y = draws.uniform(0, SIZE);
      things.push({label: RING, shape: 'ring', x, y, radius, turn: [1, 0], colour: free()});
    }
    things.push(...lamps(ground, draws, room));
    things.push(...rectangle(draws, room));
    for (const [radius, label] of sizes(draws)) {
      let shape = 'star';
      if (label !== STAR) shape = ['disc', 'square', 'triangle'][draws.integer(0, 2)];
      const place = room(radius * CORNER[shape], 4);
      if (place) things.push(solid(ground, draws, {label, shape, x: place[0], y: place[1], radius}, free));
    }
    return {seed, index, ground, things, noise: draws.noise(3 * SIZE * SIZE)};
  }

  function wire(ground, draws) {
    const start = draws.uniform(0, 0.35 * SIZE), end = draws.uniform(0.65 * SIZE, SIZE);
    const first = draws.uniform(0, SIZE), last = draws.uniform(0, SIZE);
    const middle = (first + last) / 2 + draws.uniform(-0.6 * SIZE, 0.6 * SIZE);
    let points = Array.from({length: 9}, (_, k) => {
      const t = k / 8;
      return [start + t * (end - start), (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t * t * last];
    });
    if (!draws.integer(0, 1)) points = points.map(([x, y]) => [y, x]);
    const [x, y] = points[4], dark = ground.grey(draws.integer(0, 1) === 1) < 0.5;
    points = points.map(([u, v]) => [u - x, v - y]);
    return {label: WIRE, points, x, y, radius: THICK / 2, turn: [1, 0], colour: Array(3).fill(dark ? 0 : 1)};
  }

  function lamps(ground, draws, room) {
    const label = draws.integer(LAMP_A, LAMP_B), turn = draws.rotation(), found = [];
    const unlit = Array(3).fill(ground.grey(draws.integer(0, 1) === 1));
    const lit = ground.signal(draws, label === LAMP_A);
    for (let n = draws.integer(3, 4), i = 0; i < n; i++) {
      const radius = i ? 6.5 : 8, place = room(radius + 1.5, radius);
      if (!place) continue;
      const thing = {label, shape: 'cross', x: place[0], y: place[1], radius, turn};
      found.push({...thing, colour: i ? unlit : lit, lit: i === 0});
    }
    return found;
  }

  function rectangle(draws, room) {
    const height = draws.integer(5, 14), width = draws.integer(5, 14), place = room(9.9, 8);
    if (!place) return [];
    const x = Math.floor(place[0]) - Math.floor(width / 2), y = Math.floor(place[1]) - Math.floor(height / 2);
    return [{label: VOID, x, y, width, height, bytes: draws.bytes(3 * height * width)}];
  }

  function sizes(draws) {
    const largest = SIZE / 3.2, found = [];
    for (let n = draws.integer(3, 5); n; n--) {
      found.push([draws.scale(3.5, Math.min(30, largest)), draws.integer(STRIPES, DOTS)]);
    }
    for (let n = 2; n; n--) {
      found.push([draws.scale(8, Math.min(28, largest)), draws.integer(PLATE_A, PLATE_B)]);
    }
    found.push([draws.scale(8, Math.min(26, largest)), STAR]);
    return found.sort((a, b) => b[0] - a[0] || b[1] - a[1]);
  }

  function solid(ground, draws, thing, free) {
    thing.turn = draws.rotation();
    thing.colour = free();
    if (thing.label in PATTERNS) {
      thing.period = draws.uniform(4, 6);
      thing.second = ground.second(thing.colour);
    } else if (thing.label !== STAR) {
      thing.mark = ground.signal(draws, thing.label === PLATE_A);
    }
    return thing;
  }

  // Pixels (RGBA) and labels of a scene, and which thing a pixel belongs to, -1 for none.
  function render(scene) {
    const n = SIZE * SIZE, planes = scene.ground.planes();
    const labels = new Uint8Array(n), owner = new Int16Array(n).fill(-1);
    scene.things.forEach((thing, number) => {
      const claim = at => { labels[at] = thing.label; owner[at] = number; };
      (thing.label === VOID ? scatter : paint)(planes, claim, thing);
    });
    const pixels = new Uint8ClampedArray(4 * n).fill(255);
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < n; i++) {
        const value = (planes[c * n + i] + NOISE * scene.noise[c * n + i]) * 255 + 0.5;
        pixels[4 * i + c] = Math.floor(Math.min(255, Math.max(0, value)));
      }
    }
    return {pixels, labels, owner};
  }

  function scatter(planes, claim, {x, y, width, height, bytes}) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [u, v] = [x + column, y + row];
        if (u < 0 || v < 0 || u >= SIZE || v >= SIZE) continue;
        claim(v * SIZE + u);
        for (let c = 0; c < 3; c++) {
          planes[(c * SIZE + v) * SIZE + u] = bytes[(c * height + row) * width + column] / 255;
        }
      }
    }
  }

  function paint(planes, claim, thing) {
    const reach = thing.points
      ? Math.max(...thing.points.flat().map(Math.abs)) + THICK
      : thing.radius * (CORNER[thing.shape] || 1) + THICK;
    const [left, top] = [thing.x, thing.y].map(v => Math.max(0, Math.floor(v - reach - 1)));
    const [right, bottom] = [thing.x, thing.y].map(v => Math.min(SIZE, Math.ceil(v + reach + 2)));
    const cover = (at, far, colour) => {
      const share = Math.min(1, Math.max(0, 0.5 - far));
      if (share) {
        for (let c = 0; c < 3; c++) {
          planes[c * SIZE * SIZE + at] += share * (colour[c] - planes[c * SIZE * SIZE + at]);
        }
      }
    };
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const at = y * SIZE + x, far = distance(thing, x + 0.5, y + 0.5);
        cover(at, far, thing.colour);
        if (far < 0) claim(at);
        if (thing.period) {
          const turned = rotate(x + 0.5 - thing.x, y + 0.5 - thing.y, thing.turn);
          cover(at, Math.max(far, PATTERNS[thing.label](...turned, thing.period)), thing.second);
        }
        if (thing.mark) {
          const middle = disc(x + 0.5 - thing.x, y + 0.5 - thing.y, 0);
          cover(at, middle - 3.6, [0.06, 0.06, 0.06]);
          cover(at, middle - 2.6, thing.mark);
        }
      }
    }
  }

  // The uppermost thing under a place; a wire or ring is taken from a little beside it too.
  function thingAt(scene, x, y) {
    for (let i = scene.things.length - 1; i >= 0; i--) {
      const thing = scene.things[i];
      if (thing.label !== VOID && distance(thing, x, y) < (thing.radius < 5 || thing.label === RING ? 3 : 1)) return i;
    }
    return -1;
  }

  Object.assign(DL, {SIZE, CLASSES, WARM, COOL, makeScene, render, thingAt, distance});
})(typeof self === 'undefined' ? globalThis : self);

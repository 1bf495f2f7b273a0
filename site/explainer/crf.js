// The fully connected CRF: mean field with messages by the permutohedral lattice or from every pair.
//
// As in dlseg.crf: kernels are divided by the roots of their sums on both sides, and the simplex of
// a pixel is found by rounding down (dlseg/crf/minimal.py).
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};

  // What a kernel looks at, N x d: the place over sxy and, if srgb is given, the colour over srgb.
  function features(pixels, width, height, {sxy, srgb}) {
    const d = srgb ? 5 : 2, f = new Float64Array(width * height * d);
    for (let i = 0; i < width * height; i++) {
      f[d * i] = i % width / sxy;
      f[d * i + 1] = Math.floor(i / width) / sxy;
      for (let c = 0; srgb && c < 3; c++) f[d * i + 2 + c] = pixels[4 * i + c] / srgb;
    }
    return {f, d, n: width * height};
  }

  class Lattice {
    constructor({f, d, n}) {
      Object.assign(this, {d, n});
      const corners = d + 1, low = new Int32Array(n * corners), rest = new Float64Array(n * corners);
      let least = Infinity, most = -Infinity;
      for (let p = 0; p < n; p++) {
        const y = lift(f, d, p), last = Math.floor(y[d]);
        for (let i = 0; i < corners; i++) {
          const down = Math.floor(y[i]);
          rest[p * corners + i] = y[i] - down;
          low[p * corners + i] = down - last;
          least = Math.min(least, down - last);
          most = Math.max(most, down - last);
        }
      }
      const base = most - least + 5, steps = Array.from({length: d}, (_, i) => base ** i);
      steps.push(-steps.reduce((sum, step) => sum + step, 0));
      this.place = new Int32Array(n * corners);
      this.near = new Float64Array(n * corners);
      const table = new Map(), keys = [];
      for (let p = 0; p < n; p++) this.corner(p, low, rest, steps, table, keys);
      this.count = keys.length;
      this.next = steps.map(step => Int32Array.from(keys, key => table.get(key + step) ?? keys.length));
      this.before = steps.map(step => Int32Array.from(keys, key => table.get(key - step) ?? keys.length));
    }

    // The d + 1 corners around pixel p, and how near it is to each.
    corner(p, low, rest, steps, table, keys) {
      const corners = this.d + 1, at = p * corners;
      const order = Array.from({length: corners}, (_, i) => i);
      order.sort((a, b) => rest[at + b] - rest[at + a]);
      const sorted = order.map(i => rest[at + i]);
      let key = 0;
      for (let i = 0; i < this.d; i++) key += low[at + i] * steps[i];
      for (let t = 0; t < corners; t++) {
        if (t) key += steps[order[t - 1]];
        this.near[at + t] = t ? sorted[t - 1] - sorted[t] : 1 + sorted[this.d] - sorted[0];
        let index = table.get(key);
        if (index === undefined) {
          table.set(key, index = keys.length);
          keys.push(key);
        }
        this.place[at + t] = index;
      }
    }

    // K x for x, N x channels.
    filter(x, channels) {
      const {n, d, count, place, near} = this, corners = d + 1;
      let v = new Float64Array((count + 1) * channels), w = new Float64Array((count + 1) * channels);
      for (let p = 0; p < n; p++) {
        for (let t = p * corners; t < (p + 1) * corners; t++) {
          const to = place[t] * channels, from = p * channels;
          for (let c = 0; c < channels; c++) v[to + c] += near[t] * x[from + c];
        }
      }
      for (let axis = 0; axis < corners; axis++) {
        const next = this.next[axis], before = this.before[axis];
        for (let i = 0; i < count; i++) { // row `count` stands for corners that are not there
          const a = next[i] * channels, b = before[i] * channels, at = i * channels;
          for (let c = 0; c < channels; c++) w[at + c] = v[at + c] + 0.5 * (v[a + c] + v[b + c]);
        }
        [v, w] = [w, v];
        v.fill(0, count * channels);
      }
      const y = new Float64Array(n * channels);
      for (let p = 0; p < n; p++) {
        for (let t = p * corners; t < (p + 1) * corners; t++) {
          const from = place[t] * channels, to = p * channels;
          for (let c = 0; c < channels; c++) y[to + c] += near[t] * v[from + c];
        }
      }
      return y;
    }
  }

  // Features of pixel p on the plane where d + 1 numbers sum to zero.
  function lift(f, d, p) {
    const y = new Float64Array(d + 1);
    for (let j = 1; j <= d; j++) {
      const scaled = f[p * d + j - 1] / Math.sqrt(1.5 * j * (j + 1));
      for (let i = 0; i < j; i++) y[i] += scaled;
      y[j] -= j * scaled;
    }
    return y;
  }

  // K x from every pair of pixels.
  class Pairs {
    constructor(what) {
      Object.assign(this, what);
    }

    filter(x, channels) {
      const {f, d, n} = this, y = Float64Array.from(x);
      for (let i = 0; i < n; i++) {
        for (let j = i + 1; j < n; j++) {
          let far = 0;
          for (let k = 0; k < d && far < 60; k++) far += (f[i * d + k] - f[j * d + k]) ** 2;
          if (far >= 60) continue; // below 1e-13
          const near = Math.exp(-far / 2);
          for (let c = 0; c < channels; c++) {
            y[i * channels + c] += near * x[j * channels + c];
            y[j * channels + c] += near * x[i * channels + c];
          }
        }
      }
      return y;
    }
  }

  // K x for a kernel of the place alone: along the rows, then along the columns.
  class Grid {
    constructor({n}, width, height, {sxy}) {
      Object.assign(this, {n, width, height});
      const far = Math.max(width, height);
      this.near = Float64Array.from({length: far}, (_, i) => Math.exp(-i * i / (2 * sxy * sxy)));
      this.reach = Math.min(far - 1, Math.ceil(7 * sxy)); // beyond, 2e-11
    }

    filter(x, channels) {
      const {width, height, near, reach} = this;
      const along = (from, step, count, where) => {
        const to = new Float64Array(from.length);
        for (let p = 0; p < this.n; p++) {
          const at = where(p);
          for (let t = Math.max(-reach, -at); t <= Math.min(reach, count - 1 - at); t++) {
            const other = (p + t * step) * channels, weight = near[Math.abs(t)];
            for (let c = 0; c < channels; c++) to[p * channels + c] += weight * from[other + c];
          }
        }
        return to;
      };
      const rows = along(x, 1, width, p => p % width);
      return along(rows, width, height, p => Math.floor(p / width));
    }
  }

  // A kernel as a function of q: D^-1/2 K D^-1/2 q times its weight.
  function message(pixels, width, height, kernel, exact) {
    const what = features(pixels, width, height, kernel);
    const filter = exact ? new Pairs(what)
      : kernel.srgb ? new Lattice(what) : new Grid(what, width, height, kernel);
    const root = filter.filter(new Float64Array(what.n).fill(1), 1).map(n => 1 / Math.sqrt(n + 1e-20));
    const scaled = (x, channels, by) => x.map((v, i) => v * root[Math.floor(i / channels)] * by);
    return (q, channels) => scaled(filter.filter(scaled(q, channels, 1), channels), channels, kernel.weight);
  }

  function softmax(logits, channels) {
    const q = new Float64Array(logits.length);
    for (let at = 0; at < q.length; at += channels) {
      let top = -Infinity, sum = 0;
      for (let c = 0; c < channels; c++) top = Math.max(top, logits[at + c]);
      for (let c = 0; c < channels; c++) sum += q[at + c] = Math.exp(logits[at + c] - top);
      for (let c = 0; c < channels; c++) q[at + c] /= sum;
    }
    return q;
  }

  // Q after so many steps, N x channels. logits: N x channels. kernels: [{sxy, srgb, weight}, ...].
  function meanField({logits, channels, pixels, width, height, kernels, iterations, exact}) {
    const messages = kernels.map(one => message(pixels, width, height, one, exact));
    let q = softmax(logits, channels);
    for (let step = 0; step < iterations; step++) {
      const next = Float64Array.from(logits);
      for (const send of messages) send(q, channels).forEach((v, i) => { next[i] += v; });
      q = softmax(next, channels);
    }
    return q;
  }

  Object.assign(DL, {meanField, softmax});
})(typeof self === 'undefined' ? globalThis : self);

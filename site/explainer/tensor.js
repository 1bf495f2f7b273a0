// What a network does to the maps of one picture, each operation with its way back.
//
// A map is {c, h, w, v}: channels, rows, columns, and their values, channel by channel, row by row.
// A map that was made from others has `back(g)`: given how much a score grows with each of its
// values, it adds to `grad` of the maps that it was made of.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};

  function map(c, h, w, v) {
    return {c, h, w, v: v || new Float32Array(c * h * w)};
  }

  // Visits each row of the output under each tap: where it lies in a table of taps, where the row that
  // the tap meets begins in the input, and the column that it meets first.
  function visit(x, k, {stride, padding, rate}, h, w, each) {
    for (let c = 0, row = 0; c < x.c; c++) {
      for (let ky = 0; ky < k; ky++) {
        for (let kx = 0; kx < k; kx++, row += h * w) {
          for (let y = 0; y < h; y++) {
            const sy = y * stride + ky * rate - padding;
            if (sy >= 0 && sy < x.h) each(row + y * w, (c * x.h + sy) * x.w, kx * rate - padding);
          }
        }
      }
    }
  }

  // Rows of a matrix: for each input channel and tap, what the tap meets at each output place.
  function columns(x, k, how, h, w) {
    const table = new Float32Array(x.c * k * k * h * w), {stride} = how;
    visit(x, k, how, h, w, (to, from, sx) => {
      for (let i = 0; i < w; i++, sx += stride) {
        if (sx >= 0 && sx < x.w) table[to + i] = x.v[from + sx];
      }
    });
    return table;
  }

  // The way back of `columns`: what each tap is told goes to the pixel that it met.
  function scatter(grad, table, x, k, how, h, w) {
    const {stride} = how;
    visit(x, k, how, h, w, (from, to, sx) => {
      for (let i = 0; i < w; i++, sx += stride) {
        if (sx >= 0 && sx < x.w) grad[to + sx] += table[from + i];
      }
    });
  }

  // to (out, n) = weight (out, taps) times table (taps, n), plus bias if any: two rows and four columns at
  // a time, whose eight sums stay in registers.
  function multiply(to, weight, bias, table, out, taps, n) {
    for (let o = 0; o < out; o += 2) {
      const two = o + 1 < out, first = o * taps, second = two ? first + taps : first;
      let i = 0;
      for (; i + 3 < n; i += 4) {
        let a0 = bias ? bias[o] : 0, a1 = a0, a2 = a0, a3 = a0;
        let b0 = two && bias ? bias[o + 1] : 0, b1 = b0, b2 = b0, b3 = b0;
        for (let t = 0, p = i; t < taps; t++, p += n) {
          const a = weight[first + t], b = weight[second + t];
          const x0 = table[p], x1 = table[p + 1], x2 = table[p + 2], x3 = table[p + 3];
          a0 += a * x0; a1 += a * x1; a2 += a * x2; a3 += a * x3;
          b0 += b * x0; b1 += b * x1; b2 += b * x2; b3 += b * x3;
        }
        const at = o * n + i, under = at + n;
        to[at] = a0; to[at + 1] = a1; to[at + 2] = a2; to[at + 3] = a3;
        if (two) { to[under] = b0; to[under + 1] = b1; to[under + 2] = b2; to[under + 3] = b3; }
      }
      for (; i < n; i++) { // what is left of a row
        for (let row = o; row < Math.min(o + 2, out); row++) {
          let sum = bias ? bias[row] : 0;
          for (let t = 0; t < taps; t++) sum += weight[row * taps + t] * table[t * n + i];
          to[row * n + i] = sum;
        }
      }
    }
  }

  // Atrous convolution. layer: {weight, bias, out, k}; how: {stride, padding, rate}.
  function conv(x, layer, how) {
    const {weight, bias, out, k} = layer, reach = (k - 1) * how.rate + 1;
    const size = side => Math.floor((side + 2 * how.padding - reach) / how.stride) + 1;
    const y = map(out, size(x.h), size(x.w)), n = y.h * y.w, taps = x.c * k * k;
    const plain = k === 1 && how.stride === 1;
    const table = plain ? x.v : columns(x, k, how, y.h, y.w);
    multiply(y.v, weight, bias, table, out, taps, n);
    y.back = g => {
      const told = new Float32Array(taps * n), turned = new Float32Array(weight.length);
      weight.forEach((v, i) => { turned[i % taps * out + Math.floor(i / taps)] = v; });
      multiply(told, turned, null, g, taps, out, n);
      const grad = gradOf(x);
      if (plain) for (let i = 0; i < told.length; i++) grad[i] += told[i];
      else scatter(grad, told, x, k, how, y.h, y.w);
    };
    return y;
  }

  function gradOf(x) {
    return x.grad = x.grad || new Float32Array(x.v.length);
  }

  // open: let every value pass on the way back, as if none had been below zero.
  function relu(x, open) {
    const y = map(x.c, x.h, x.w);
    for (let i = 0; i < y.v.length; i++) y.v[i] = Math.max(0, x.v[i]);
    y.back = g => {
      const grad = gradOf(x);
      for (let i = 0; i < g.length; i++) if (open || x.v[i] > 0) grad[i] += g[i];
    };
    return y;
  }

  function add(a, b) {
    const y = map(a.c, a.h, a.w);
    for (let i = 0; i < y.v.length; i++) y.v[i] = a.v[i] + b.v[i];
    y.back = g => {
      for (const grad of [gradOf(a), gradOf(b)]) for (let i = 0; i < g.length; i++) grad[i] += g[i];
    };
    return y;
  }

  // Maximum of 3x3, stride 2, one pixel of padding. open: all nine count on the way back.
  function maxPool(x, open) {
    const y = map(x.c, (x.h + 1) >> 1, (x.w + 1) >> 1), from = new Int32Array(y.v.length);
    const nine = (c, row, column, visit) => {
      for (let sy = Math.max(0, 2 * row - 1); sy < Math.min(x.h, 2 * row + 2); sy++) {
        for (let sx = Math.max(0, 2 * column - 1); sx < Math.min(x.w, 2 * column + 2); sx++) {
          visit((c * x.h + sy) * x.w + sx);
        }
      }
    };
    const each = visit => {
      for (let c = 0, at = 0; c < y.c; c++) {
        for (let row = 0; row < y.h; row++) {
          for (let column = 0; column < y.w; column++, at++) visit(at, c, row, column);
        }
      }
    };
    each((at, c, row, column) => {
      let top = -Infinity;
      nine(c, row, column, i => { if (x.v[i] > top) { top = x.v[i]; from[at] = i; } });
      y.v[at] = top;
    });
    y.back = g => {
      const grad = gradOf(x);
      each((at, c, row, column) => {
        if (open) nine(c, row, column, i => { grad[i] += g[at]; });
        else grad[from[at]] += g[at];
      });
    };
    return y;
  }

  // Bilinear enlargement, the middles of pixels half a pixel from their edges.
  function resize(x, h, w) {
    const axis = (n, m) => Array.from({length: n}, (_, i) => {
      const p = Math.min(m - 1, Math.max(0, (i + 0.5) * m / n - 0.5)), low = Math.floor(p);
      return [low, Math.min(m - 1, low + 1), p - low];
    });
    const rows = axis(h, x.h), cols = axis(w, x.w), y = map(x.c, h, w);
    const each = visit => {
      for (let c = 0, at = 0; c < x.c; c++) {
        for (const [top, bottom, t] of rows) {
          const p = (c * x.h + top) * x.w, q = (c * x.h + bottom) * x.w;
          for (const [l, r, u] of cols) {
            visit(at++, [p + l, p + r, q + l, q + r],
              [(1 - t) * (1 - u), (1 - t) * u, t * (1 - u), t * u]);
          }
        }
      }
    };
    for (let c = 0, at = 0; c < x.c; c++) { // `each` spelled out: this is where time goes
      for (const [top, bottom, t] of rows) {
        const p = (c * x.h + top) * x.w, q = (c * x.h + bottom) * x.w;
        for (const [l, r, u] of cols) {
          y.v[at++] = (1 - t) * ((1 - u) * x.v[p + l] + u * x.v[p + r]) +
            t * ((1 - u) * x.v[q + l] + u * x.v[q + r]);
        }
      }
    }
    y.back = g => {
      const grad = gradOf(x);
      each((at, places, shares) => {
        for (let i = 0; i < 4; i++) grad[places[i]] += shares[i] * g[at];
      });
    };
    return y;
  }

  // The mean of each channel, one value for the whole map.
  function mean(x) {
    const y = map(x.c, 1, 1), n = x.h * x.w;
    for (let i = 0; i < x.v.length; i++) y.v[Math.floor(i / n)] += x.v[i] / n;
    y.back = g => {
      const grad = gradOf(x);
      for (let i = 0; i < grad.length; i++) grad[i] += g[Math.floor(i / n)] / n;
    };
    return y;
  }

  // One value per channel, everywhere.
  function spread(x, h, w) {
    const y = map(x.c, h, w), n = h * w;
    for (let i = 0; i < y.v.length; i++) y.v[i] = x.v[Math.floor(i / n)];
    y.back = g => {
      const grad = gradOf(x);
      for (let i = 0; i < g.length; i++) grad[Math.floor(i / n)] += g[i];
    };
    return y;
  }

  function concat(parts) {
    const y = map(parts.reduce((sum, x) => sum + x.c, 0), parts[0].h, parts[0].w);
    let at = 0;
    for (const x of parts) { y.v.set(x.v, at); at += x.v.length; }
    y.back = g => {
      let at = 0;
      for (const x of parts) {
        const grad = gradOf(x);
        for (let i = 0; i < grad.length; i++) grad[i] += g[at + i];
        at += grad.length;
      }
    };
    return y;
  }

  // The channel of the largest value at each place.
  function argmax(x) {
    const n = x.h * x.w, best = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      for (let c = 1; c < x.c; c++) if (x.v[c * n + i] > x.v[best[i] * n + i]) best[i] = c;
    }
    return best;
  }

  Object.assign(DL, {map, conv, relu, add, maxPool, resize, mean, spread, concat, argmax});
})(typeof self === 'undefined' ? globalThis : self);

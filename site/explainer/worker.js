// What the page asks of its worker: labels, reasons, maps, and the CRF; see page.js.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};
  const BRANCHES = ['branch 1x1', 'branch 1', 'branch 2', 'branch 3', 'branch pooling'];
  let network = null, last = null, colours = null;

  const jobs = {
    load({names, numbers}) {
      network = new DL.Network(names, numbers);
      return {};
    },

    label({pixels, options}) {
      last = network.run(pixels, DL.SIZE, options);
      last.options = options;
      colours = pixels;
      return {labels: DL.argmax(last.logits)};
    },

    // Which pixels a place could read, how much each of them moved its score, and which branch.
    why({place}) {
      const n = DL.SIZE ** 2, label = DL.argmax(last.logits)[place];
      DL.backward(last, label, place);
      const moved = pixelSums(last.maps.image, n), spoke = BRANCHES.map(name => told(last.maps[name]));
      const shallow = told(last.maps.shallow);
      const reach = network.run(colours, DL.SIZE, last.options, true);
      DL.backward(reach, label, place);
      const could = pixelSums(reach.maps.image, n).map(v => v > 0 ? 1 : 0);
      return {label, moved, could, branches: spoke, shallow, score: last.logits.v[label * n + place]};
    },

    maps() {
      return {names: Object.keys(last.maps).filter(name => !name.endsWith(' sum'))};
    },

    map({name}) {
      const {c, h, w, v} = last.maps[name];
      return {c, h, w, v: Float32Array.from(v)};
    },

    crf({kernels, iterations, exact}) {
      const side = exact ? DL.SIZE / 2 : DL.SIZE, step = DL.SIZE / side, channels = last.logits.c;
      const logits = new Float64Array(side * side * channels), pixels = new Uint8Array(4 * side * side);
      for (let i = 0; i < side * side; i++) {
        const from = Math.floor(i / side) * step * DL.SIZE + i % side * step;
        for (let c = 0; c < channels; c++) logits[i * channels + c] = last.logits.v[c * DL.SIZE ** 2 + from];
        for (let c = 0; c < 4; c++) pixels[4 * i + c] = colours[4 * from + c];
      }
      const q = DL.meanField({logits, channels, pixels, width: side, height: side, kernels, iterations, exact});
      const labels = Uint8Array.from({length: side * side}, (_, i) => {
        let best = 0;
        for (let c = 1; c < channels; c++) if (q[i * channels + c] > q[i * channels + best]) best = c;
        return best;
      });
      return {labels, side};
    },
  };

  // How much all channels of a pixel move the score together.
  function pixelSums({grad}, n) {
    return Float32Array.from({length: n}, (_, i) =>
      Math.abs(grad[i]) + Math.abs(grad[n + i]) + Math.abs(grad[2 * n + i]));
  }

  // What a map says for the score: each of its values times how much the score grows with it.
  function told(map) {
    return map.grad ? map.v.reduce((sum, value, i) => sum + value * map.grad[i], 0) : 0;
  }

  DL.answer = job => {
    const began = performance.now(), found = jobs[job.kind](job);
    return {...found, kind: job.kind, ticket: job.ticket, ms: performance.now() - began};
  };
  if (typeof WorkerGlobalScope !== 'undefined' && self instanceof WorkerGlobalScope) {
    self.onmessage = ({data}) => self.postMessage(DL.answer(data));
  }
})(typeof self === 'undefined' ? globalThis : self);

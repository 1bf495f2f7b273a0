// DeepLab v3+ on ResNet-18, as dlseg builds it, with every rate and part in the reader's hand.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};
  const MEAN = [0.485, 0.456, 0.406], STD = [0.229, 0.224, 0.225], EPS = 1e-5;
  // As trained. rates: of ASPP, in units of output stride 8; deep: of the two last stages there.
  const TRAINED = {stride: 8, rates: [2, 4, 6], deep: [2, 4], pooling: true, decoder: true};

  // float16, as two bytes, to a number.
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, part = bits & 1023;
    return sign * (power ? 2 ** (power - 15) * (1 + part / 1024) : 2 ** -14 * part / 1024);
  }

  // names: [[name, shape], ...] in the order of the numbers; numbers: base64 of float16.
  function unpack(names, numbers) {
    const bytes = Uint8Array.from(atob(numbers), c => c.charCodeAt(0));
    const all = Float32Array.from(new Uint16Array(bytes.buffer), half), state = {};
    let at = 0;
    for (const [name, shape] of names) {
      const size = shape.reduce((product, side) => product * side, 1);
      state[name] = {shape, v: all.subarray(at, at += size)};
    }
    return state;
  }

  // A convolution and the batch norm behind it, as one convolution.
  function folded(state, conv, norm) {
    const {shape: [out, , k], v} = state[`${conv}.weight`], per = v.length / out;
    if (!norm) return {out, k, weight: v, bias: state[`${conv}.bias`].v};
    const weight = new Float32Array(v.length), bias = new Float32Array(out);
    const of = part => state[`${norm}.${part}`].v;
    for (let o = 0; o < out; o++) {
      const scale = of('weight')[o] / Math.sqrt(of('running_var')[o] + EPS);
      for (let i = 0; i < per; i++) weight[o * per + i] = v[o * per + i] * scale;
      bias[o] = of('bias')[o] - of('running_mean')[o] * scale;
    }
    return {out, k, weight, bias};
  }

  class Network {
    constructor(names, numbers) {
      const state = this.state = unpack(names, numbers);
      const layers = this.layers = {};
      const pair = (conv, norm) => { layers[conv] = folded(state, conv, norm); };
      pair('backbone.conv1', 'backbone.bn1');
      for (const stage of [1, 2, 3, 4]) {
        for (const unit of [0, 1]) {
          const name = `backbone.layer${stage}.${unit}`;
          for (const i of [1, 2]) pair(`${name}.conv${i}`, `${name}.bn${i}`);
          if (`${name}.downsample.0.weight` in state) {
            pair(`${name}.downsample.0`, `${name}.downsample.1`);
          }
        }
      }
      for (const branch of [0, 1, 2, 3]) pair(`aspp.convs.${branch}.0`, `aspp.convs.${branch}.1`);
      pair('aspp.convs.4.1', 'aspp.convs.4.2');
      for (const name of ['aspp.project', 'decoder.project', 'decoder.layers.0', 'decoder.layers.1']) {
        pair(`${name}.0`, `${name}.1`);
      }
      pair('classifier');
    }

    // The maps of a picture, by name; the scores are `logits`. pixels: RGBA, as of a canvas.
    // reach: weights are taken as positive and nothing is cut off, so that the way back from a
    // score tells which pixels it could read at all.
    run(pixels, side, options, reach) {
      const {stride, rates, deep, pooling, decoder} = {...TRAINED, ...options};
      const maps = {}, tape = [];
      const keep = (name, y) => { tape.push(y); maps[name] = y; return y; };
      const conv = (name, x, how) => {
        let layer = this.layers[name];
        if (reach) layer = {...layer, weight: layer.weight.map(Math.abs)};
        return keep(name, DL.conv(x, layer, {stride: 1, rate: 1, padding: 0, ...how}));
      };
      const relu = (name, x) => keep(name, DL.relu(x, reach));
      const wide = (name, x, rate, stride) => conv(name, x, {rate, stride, padding: rate});

      const unit = (name, x, stride, first, rate) => {
        let y = relu(`${name}.conv1`, wide(`${name}.conv1`, x, first, stride));
        y = wide(`${name}.conv2`, y, rate, 1);
        const by = `${name}.downsample.0`;
        const short = by in this.layers ? conv(by, x, {stride}) : x;
        return relu(name, keep(`${name} sum`, DL.add(y, short)));
      };
      const stage = (number, x, stride, first, rate) => {
        const name = `backbone.layer${number}`;
        return unit(`${name}.1`, unit(`${name}.0`, x, stride, first, rate), 1, rate, rate);
      };

      const fine = stride === 8, at = rate => fine ? rate : Math.max(1, Math.round(rate / 2));
      let x = keep('image', DL.map(3, side, side));
      for (let i = 0; i < side * side; i++) {
        for (let c = 0; c < 3; c++) {
          x.v[c * side * side + i] = (pixels[4 * i + c] / 255 - MEAN[c]) / STD[c];
        }
      }
      x = relu('backbone.conv1', conv('backbone.conv1', x, {stride: 2, padding: 3}));
      x = stage(1, keep('pool', DL.maxPool(x, reach)), 1, 1, 1); // H/4
      let shallow = x;
      x = stage(2, x, 2, 1, 1); // H/8
      x = stage(3, x, fine ? 1 : 2, 1, at(deep[0])); // H/os
      x = stage(4, x, 1, at(deep[0]), at(deep[1]));

      const branches = [relu('branch 1x1', conv('aspp.convs.0.0', x))];
      rates.forEach((rate, i) => {
        const y = wide(`aspp.convs.${i + 1}.0`, x, at(rate), 1);
        branches.push(relu(`branch ${i + 1}`, y));
      });
      let pooled = keep('mean', DL.mean(x));
      pooled = relu('pooled', conv('aspp.convs.4.1', pooled));
      if (!pooling) pooled = keep('pooled', DL.map(pooled.c, 1, 1));
      branches.push(keep('branch pooling', DL.spread(pooled, x.h, x.w)));
      x = keep('together', DL.concat(branches));
      x = relu('ASPP', conv('aspp.project.0', x)); // (24, H/os, W/os)

      if (!decoder) { // the shallow map without its places
        shallow = keep('blank', DL.spread(keep('blank mean', DL.mean(shallow)), shallow.h, shallow.w));
      }
      const low = relu('shallow', conv('decoder.project.0', shallow)); // (8, H/4, W/4)
      x = keep('both', DL.concat([keep('deep', DL.resize(x, low.h, low.w)), low]));
      x = relu('decoder 1', wide('decoder.layers.0.0', x, 1, 1));
      x = relu('decoder 2', wide('decoder.layers.1.0', x, 1, 1));
      x = conv('classifier', x);
      maps.logits = keep('logits', DL.resize(x, side, side)); // (10, H, W)
      return {maps, tape, logits: maps.logits};
    }
  }

  // How much the score of class `label` at one place grows with each value of each map.
  function backward({tape, logits}, label, place) {
    for (const y of tape) y.grad = null;
    logits.grad = new Float32Array(logits.v.length);
    logits.grad[label * logits.h * logits.w + place] = 1;
    for (let i = tape.length - 1; i >= 0; i--) if (tape[i].grad && tape[i].back) tape[i].back(tape[i].grad);
  }

  Object.assign(DL, {Network, backward, half, unpack, TRAINED});
})(typeof self === 'undefined' ? globalThis : self);

// "One kernel, one place at a time" and "your own picture": atrous convolution itself.
(function (root) {
  'use strict';
  const DL = root.DL, {el, slider, choice, button, picture, fill} = DL;
  const KERNELS = {
    edges: [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    'to the right': [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    downwards: [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    mean: [[1, 1, 1], [1, 1, 1], [1, 1, 1]].map(row => row.map(v => v / 9)),
    'nothing but the middle': [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  };
  const SMALL = 25, LARGE = 256;

  // What a 3x3 kernel of some rate makes of a grey picture; taps off the picture meet zero.
  function convolve(grey, side, kernel, rate) {
    const layer = {weight: kernel.flat(), bias: [0], out: 1, k: 3};
    const x = DL.map(1, side, side, grey);
    return DL.conv(x, layer, {stride: 1, rate, padding: rate}).v;
  }

  const shade = (v, most) => {
    const share = Math.min(1, Math.abs(v) / (most || 1));
    return v < 0 ? [255 - 155 * share, 255 - 255 * share, 255 - 120 * share] : [255 - 255 * share, 255 - 141 * share, 255 - 77 * share];
  };

  function slidingPart(page, place) {
    const input = picture('Input: nine taps', SMALL, {tabIndex: 0, className: 'dx-pixels dx-hands'});
    const output = picture('Output so far', SMALL);
    const sum = el('p', {className: 'dx-note dx-sum'}), state = {rate: 2, kernel: 'edges', at: SMALL ** 2 >> 1, playing: 0};
    const grey = () => {
      const {pixels} = page.drawn, from = 24;
      return Float32Array.from({length: SMALL ** 2}, (_, i) => {
        const at = 4 * ((from + Math.floor(i / SMALL)) * DL.SIZE + from + i % SMALL);
        return Math.round((pixels[at] + pixels[at + 1] + pixels[at + 2]) / 76.5);
      });
    };
    const where = slider('Place', {min: 0, max: SMALL ** 2 - 1, value: state.at, say: v => `row ${Math.floor(v / SMALL)}, column ${v % SMALL}`}, v => go(v));
    const play = button('Play', () => state.playing ? stop() : start());

    function start() {
      play.textContent = 'Stop';
      if (state.at >= SMALL ** 2 - 1) go(0);
      state.playing = setInterval(() => state.at >= SMALL ** 2 - 1 ? stop() : go(state.at + 1), 60);
    }

    function stop() {
      clearInterval(state.playing);
      state.playing = 0;
      play.textContent = 'Play';
    }

    function go(at) {
      state.at = at;
      where.set(at);
      draw();
    }

    function draw() {
      if (!page.drawn) return;
      const x = grey(), y = convolve(x, SMALL, KERNELS[state.kernel], state.rate), {rate, at} = state;
      const [row, column] = [Math.floor(at / SMALL), at % SMALL], taps = [];
      fill(input, SMALL, i => Array(3).fill(25 * x[i]));
      for (let ky = -1; ky <= 1; ky++) {
        for (let kx = -1; kx <= 1; kx++) {
          const [u, v] = [column + kx * rate, row + ky * rate], inside = u >= 0 && v >= 0 && u < SMALL && v < SMALL;
          const value = inside ? x[v * SMALL + u] : 0;
          taps.push([KERNELS[state.kernel][ky + 1][kx + 1], value]);
          if (inside) {
            input.pen.fillStyle = kx || ky ? 'rgba(230, 159, 0, 0.8)' : 'rgba(213, 94, 0, 0.9)';
            input.pen.fillRect(u, v, 1, 1);
          }
        }
      }
      const most = y.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      fill(output, SMALL, i => i <= at ? shade(y[i], most) : [200, 200, 200]);
      const short = v => Number.isInteger(v) ? v : v.toFixed(2);
      sum.textContent = `${taps.map(([w, v]) => `${short(w)}·${v}`).join(' + ')} = ${short(y[at])}`;
      input.canvas.ariaLabel = `A piece of the scene, and nine taps around row ${row}, column ${column}, rate ${rate}. Arrow keys move them.`;
      output.canvas.ariaLabel = `Output at this place: ${short(y[at])}.`;
      page.tell('slid');
    }

    input.canvas.addEventListener('pointermove', event => {
      if (state.playing) return;
      const box = input.canvas.getBoundingClientRect();
      const [u, v] = [event.clientX - box.left, event.clientY - box.top].map(d => Math.floor(d / box.width * SMALL));
      if (u >= 0 && v >= 0 && u < SMALL && v < SMALL) go(v * SMALL + u);
    });
    input.canvas.addEventListener('keydown', event => {
      const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SMALL, ArrowDown: SMALL}[event.key];
      if (!step) return;
      event.preventDefault();
      go(Math.min(SMALL ** 2 - 1, Math.max(0, state.at + step)));
    });
    page.on('drawn', draw);
    place.append(el('div', {className: 'dx-pictures'}, input.box, output.box), sum, el('div', {className: 'dx-controls'},
      slider('Rate', {min: 1, max: 16, value: 2}, v => { state.rate = v; draw(); }),
      choice('Kernel', Object.keys(KERNELS).map(name => [name, name]), 'edges', v => { state.kernel = v; draw(); }),
      where, play));
    page.sliding = state;
  }

  function ownPart(page, place) {
    const before = picture('Your picture', LARGE, {className: 'dx-photo'}), after = picture('After the kernel', LARGE, {className: 'dx-photo'});
    const live = el('p', {className: 'dx-live', ariaLive: 'polite'}), state = {rate: 2, kernel: 'edges', grey: null, own: false};
    const file = el('input', {type: 'file', accept: 'image/*', ariaLabel: 'A picture of your own'});
    const video = el('video', {playsInline: true, muted: true, hidden: true});
    file.onchange = async () => {
      if (file.files[0]) state.own = take(await createImageBitmap(file.files[0]).catch(() => null));
    };
    const camera = button('Camera', async () => {
      try {
        video.srcObject = await navigator.mediaDevices.getUserMedia({video: {width: LARGE, height: LARGE}});
        await video.play();
        state.own = take(video);
        for (const track of video.srcObject.getTracks()) track.stop();
      } catch (error) {
        live.textContent = 'This page may not use a camera here; take a file.';
      }
    });

    function take(image) {
      if (!image) { live.textContent = 'This file is no picture that the browser can read.'; return state.own; }
      const [w, h] = [image.videoWidth || image.width, image.videoHeight || image.height], side = Math.min(w, h);
      before.pen.drawImage(image, (w - side) / 2, (h - side) / 2, side, side, 0, 0, LARGE, LARGE);
      const {data} = before.pen.getImageData(0, 0, LARGE, LARGE);
      state.grey = Float32Array.from({length: LARGE ** 2}, (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 765);
      draw();
      return true;
    }

    function draw() {
      if (!state.grey) return;
      const began = performance.now(), y = convolve(state.grey, LARGE, KERNELS[state.kernel], state.rate);
      const most = Array.from(y, Math.abs).sort((a, b) => a - b)[Math.floor(0.99 * y.length)];
      fill(after, LARGE, i => shade(y[i], most));
      live.textContent = `Rate ${state.rate}: the taps span ${2 * state.rate + 1} pixels. ${(performance.now() - began).toFixed(0)} ms. The picture stays in this page.`;
      before.canvas.ariaLabel = 'Your picture.';
      after.canvas.ariaLabel = `Your picture after the kernel "${state.kernel}" at rate ${state.rate}.`;
    }

    // Until there is one of the reader's, the scene stands for it.
    page.on('drawn', () => {
      if (state.own) return;
      const still = document.createElement('canvas');
      still.width = still.height = DL.SIZE;
      still.getContext('2d').putImageData(new ImageData(page.drawn.pixels, DL.SIZE, DL.SIZE), 0, 0);
      take(still);
    });
    place.append(el('div', {className: 'dx-tools'}, file, camera), video, el('div', {className: 'dx-pictures'}, before.box, after.box), live,
      el('div', {className: 'dx-controls'},
        slider('Rate', {min: 1, max: 32, value: 2}, v => { state.rate = v; draw(); }),
        choice('Kernel', Object.keys(KERNELS).map(name => [name, name]), 'edges', v => { state.kernel = v; draw(); })));
  }

  Object.assign(DL, {slidingPart, ownPart, convolve, KERNELS});
})(typeof self === 'undefined' ? globalThis : self);

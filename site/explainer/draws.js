// The random numbers of the book's scenes, the same as in dlseg.data: raw words of NumPy's PCG64.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};
  const WORD = (1n << 64n) - 1n, LONG = (1n << 128n) - 1n;
  const MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645n;
  const POOL = 4;

  // NumPy's SeedSequence: four words of 64 bits from a key of whole numbers.
  function seeds(key) {
    let constant = 0x43b0d7e5;
    const hash = value => {
      value ^= constant;
      constant = Math.imul(constant, 0x931e8875);
      value = Math.imul(value, constant);
      return value ^ value >>> 16;
    };
    const mix = (x, y) => {
      const both = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y) | 0;
      return both ^ both >>> 16;
    };
    const pool = Array.from({length: POOL}, (_, i) => hash(i < key.length ? key[i] : 0));
    for (let from = 0; from < POOL; from++) {
      for (let to = 0; to < POOL; to++) {
        if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
      }
    }
    for (const more of key.slice(POOL)) {
      for (let to = 0; to < POOL; to++) pool[to] = mix(pool[to], hash(more));
    }
    constant = 0x8b51f9dd;
    const words = Array.from({length: 2 * POOL}, (_, i) => {
      let value = pool[i % POOL] ^ constant;
      constant = Math.imul(constant, 0x58f38ded);
      value = Math.imul(value, constant);
      return BigInt((value ^ value >>> 16) >>> 0);
    });
    return Array.from({length: POOL}, (_, i) => words[2 * i + 1] << 32n | words[2 * i]);
  }

  class Draws {
    constructor(...key) {
      const [a, b, c, d] = seeds(key);
      this.increment = ((c << 64n | d) << 1n | 1n) & LONG;
      this.state = this.increment;
      this.state = this.state + (a << 64n | b) & LONG;
      this.step();
    }

    step() {
      this.state = this.state * MULTIPLIER + this.increment & LONG;
    }

    raw() {
      this.step();
      const word = this.state >> 64n ^ this.state & WORD, turn = this.state >> 122n;
      return (word >> turn | word << (64n - turn)) & WORD;
    }

    uniform(low = 0, high = 1) {
      return low + (high - low) * (Number(this.raw() >> 11n) * 2 ** -53);
    }

    // A whole number in low .. high, both ends included.
    integer(low, high) {
      return low + Number(this.raw() % BigInt(high - low + 1));
    }

    // A size in [low, high), about as often in each octave.
    scale(low, high) {
      const rungs = [low];
      while (rungs[rungs.length - 1] * 1.25 < high) rungs.push(rungs[rungs.length - 1] * 1.25);
      const rung = this.integer(0, rungs.length - 1);
      return this.uniform(rungs[rung], Math.min(high, rungs[rung] * 1.25));
    }

    // [cosine, sine] of an angle between -90 and 90 degrees.
    rotation() {
      const t = this.uniform(-1, 1);
      return [(1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)];
    }

    bytes(count) {
      const found = new Uint8Array(count);
      for (let i = 0; i < count; i += 8) {
        for (let word = this.raw(), k = i; k < Math.min(count, i + 8); k++, word >>= 8n) {
          found[k] = Number(word & 255n);
        }
      }
      return found;
    }

    // Nearly normal, mean 0, deviation 1.
    noise(count) {
      const deviation = Math.sqrt(4 * (256 ** 2 - 1) / 12), quarter = this.bytes(4 * count);
      return Float32Array.from({length: count}, (_, i) =>
        (quarter[i] + quarter[count + i] + quarter[2 * count + i] + quarter[3 * count + i] -
          4 * 127.5) / deviation);
    }
  }

  Object.assign(DL, {Draws});
})(typeof self === 'undefined' ? globalThis : self);

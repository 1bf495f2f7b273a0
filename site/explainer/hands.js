// "A scene under your hands": what can be done with the things of a scene, and its way into a URL.
(function (root) {
  'use strict';
  const DL = root.DL = root.DL || {};
  const [STRIPES, DOTS, PLATE_A, PLATE_B, STAR, RING, WIRE, LAMP_A, LAMP_B] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const OTHER = {[PLATE_A]: PLATE_B, [PLATE_B]: PLATE_A, [LAMP_A]: LAMP_B, [LAMP_B]: LAMP_A,
    [STRIPES]: DOTS, [DOTS]: STRIPES};
  const FIELDS = ['x', 'y', 'radius', 'turn', 'colour', 'label', 'mark', 'second', 'points'];
  const TEST = 2 ** 31, SCENES = 2 ** 30; // the scenes of the split "test": the network has seen none
  const CHANNEL = {[PLATE_A]: DL.WARM, [PLATE_B]: DL.COOL, [LAMP_A]: DL.WARM, [LAMP_B]: DL.COOL};

  // A scene that can be changed and told by a few words of JSON.
  class Hands {
    constructor(index = 0) {
      this.take(index);
    }

    take(index) {
      this.index = index;
      this.scene = DL.makeScene(0, TEST + index);
      this.scene.things.forEach((thing, id) => { thing.id = id; });
      this.original = this.scene.things.map(thing => ({...thing}));
      this.chosen = -1;
    }

    get thing() {
      return this.scene.things[this.chosen];
    }

    move(dx, dy) {
      const {thing} = this;
      thing.x = Math.min(DL.SIZE, Math.max(0, thing.x + dx));
      thing.y = Math.min(DL.SIZE, Math.max(0, thing.y + dy));
    }

    resize(factor) {
      const {thing} = this;
      if (thing.points) thing.points = thing.points.map(point => point.map(v => v * factor));
      else thing.radius = Math.min(40, Math.max(3, thing.radius * factor));
    }

    turn(angle) {
      const {thing} = this, [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      if (thing.points) {
        thing.points = thing.points.map(([x, y]) => [cosine * x - sine * y, sine * x + cosine * y]);
      } else {
        const [c, s] = thing.turn;
        thing.turn = [c * cosine - s * sine, s * cosine + c * sine];
      }
    }

    // The next of some colours that stand out from the ground.
    recolour() {
      const {thing} = this, {ground} = this.scene;
      const hues = [[0.9, 0.1, 0.1], [0.1, 0.6, 0.2], [0.15, 0.25, 0.8], [0.9, 0.8, 0.1], [0.6, 0.1, 0.7]];
      thing.hue = ((thing.hue ?? -1) + 1) % hues.length;
      thing.colour = ground.contrast(hues[thing.hue], thing.hue % 3);
      if (thing.second) thing.second = ground.second(thing.colour);
      if (thing.label === WIRE) thing.colour = Array(3).fill(1 - Math.round(this.original[thing.id]?.colour[0] ?? 1) ^ thing.hue & 1);
    }

    // Stripes for dots, one mark for the other; the lit lamp takes all others with it.
    other() {
      const {thing} = this;
      if (!(thing.label in OTHER)) return false;
      if (thing.shape === 'cross') {
        for (const lamp of this.scene.things) if (lamp.shape === 'cross') lamp.label = OTHER[lamp.label];
        const lit = this.scene.things.find(one => one.lit);
        if (lit) lit.colour = this.scene.ground.contrast(CHANNEL[lit.label], 1);
        return true;
      }
      thing.label = OTHER[thing.label];
      if (thing.mark) thing.mark = this.scene.ground.contrast(CHANNEL[thing.label], 1);
      return true;
    }

    remove() {
      this.scene.things.splice(this.chosen, 1);
      this.chosen = -1;
    }

    add(label) {
      const {ground} = this.scene, colour = ground.contrast([0.85, 0.2, 0.2], 2);
      const base = {label, x: 48, y: 48, radius: 12, turn: [1, 0], colour};
      const made = {
        [STRIPES]: {shape: 'disc', period: 5, second: ground.second(colour)},
        [DOTS]: {shape: 'disc', period: 5, second: ground.second(colour)},
        [PLATE_A]: {shape: 'square', mark: ground.contrast(DL.WARM, 1)},
        [PLATE_B]: {shape: 'square', mark: ground.contrast(DL.COOL, 1)},
        [STAR]: {shape: 'star'}, [RING]: {shape: 'ring'},
        [WIRE]: {radius: 1.5, colour: [1, 1, 1], points: Array.from({length: 9}, (_, i) => [10 * i - 40, 30 - 15 * i + 1.8 * i * i])},
      }[label];
      this.scene.things.push({...base, ...made});
      this.chosen = this.scene.things.length - 1;
    }

    // What was changed: one entry for each thing, null where it is as it was drawn.
    told() {
      const round = value => Array.isArray(value) ? value.map(round)
        : typeof value === 'number' ? Math.round(value * 100) / 100 : value;
      const things = this.scene.things.map(thing => {
        const before = this.original[thing.id];
        if (!before) return {...Object.fromEntries(Object.entries(thing).map(([k, v]) => [k, round(v)]))};
        const changed = FIELDS.filter(f => JSON.stringify(thing[f]) !== JSON.stringify(before[f]));
        return changed.length
          ? {id: thing.id, ...Object.fromEntries(changed.map(f => [f, round(thing[f])]))} : thing.id;
      });
      const same = things.length === this.original.length && things.every((thing, i) => thing === i);
      return same ? {i: this.index} : {i: this.index, t: things};
    }

    static heard({i = 0, t}) {
      const hands = new Hands(Number.isInteger(i) && i >= 0 && i < SCENES ? i : 0);
      if (!Array.isArray(t)) return hands;
      hands.scene.things = t.slice(0, 60).flatMap(one => {
        if (typeof one === 'number') return hands.original[one] ? [{...hands.original[one]}] : [];
        const thing = {...hands.original[one?.id], ...one};
        return sound(thing) ? [thing] : [];
      });
      return hands;
    }
  }

  // Whether a thing that came in a URL can be drawn.
  function sound(thing) {
    const numbers = [thing.x, thing.y, thing.radius ?? 1, ...(thing.turn || []), ...(thing.colour || []),
      ...(thing.points || []).flat(), ...(thing.mark || []), ...(thing.second || [])];
    const shaped = thing.points || thing.bytes || ['disc', 'square', 'triangle', 'cross', 'ring', 'star'].includes(thing.shape);
    return shaped && Number.isInteger(thing.label) && (thing.bytes || DL.CLASSES[thing.label]) &&
      numbers.every(Number.isFinite);
  }

  Object.assign(DL, {Hands});
})(typeof self === 'undefined' ? globalThis : self);

// Ten small tasks, each with a check that looks at the page.
(function (root) {
  'use strict';
  const DL = root.DL, {el, button} = DL, {CLASSES} = DL;
  const [PLATE_A, PLATE_B, STAR, RING, WIRE] = [3, 4, 5, 6, 7];

  // The share of a thing's pixels that the network calls by each class.
  function calls(seen, number) {
    const counts = new Float64Array(CLASSES.length);
    let of = 0;
    seen.owner.forEach((owner, i) => {
      if (owner !== number) return;
      of += 1;
      counts[seen.labels[i]] += 1;
    });
    return {of, share: label => of ? counts[label] / of : 0};
  }

  const things = (page, wanted) => page.hands.scene.things
    .map((thing, number) => ({thing, number, was: page.hands.original[thing.id]}))
    .filter(({thing}) => wanted.includes(thing.label));
  const same = (a, b) => a && b && Math.abs(a.x - b.x) < 0.5 && Math.abs(a.y - b.y) < 0.5;
  const asTrained = page => JSON.stringify(page.seen.options) === JSON.stringify(DL.TRAINED);
  const recall = (seen, labels, found) => {
    let right = 0, of = 0;
    seen.truth.forEach((truth, i) => {
      if (!labels.includes(truth)) return;
      of += 1;
      right += found[i] === truth;
    });
    return of ? right / of : NaN;
  };

  const MISSIONS = [
    {
      words: 'Make the network call a whole plate by the other letter. Change nothing but its mark.',
      hint: 'Choose a plate, then "Other mark or pattern".',
      done: page => things(page, [PLATE_A, PLATE_B]).some(({thing, number, was}) => was &&
        same(thing, was) && thing.label !== was.label && calls(page.seen, number).share(thing.label) > 0.8),
    },
    {
      words: 'Hide a plate\u2019s letter: cover its mark with another thing until less than half of what is left of the plate has the right letter.',
      hint: 'A star with its spikes over the mark will do.',
      done: page => asTrained(page) && things(page, [PLATE_A, PLATE_B]).some(({thing, number}) => {
        const said = calls(page.seen, number);
        return said.of > 40 && said.share(thing.label) < 0.5;
      }),
    },
    {
      words: 'Change the letter of all grey lamps without touching one of them.',
      hint: 'One lamp is lit. What decides about the others?',
      done: page => {
        const grey = things(page, [8, 9]).filter(({thing}) => !thing.lit);
        return grey.length > 0 && grey.every(({thing, number, was}) => was && same(thing, was) && thing.label !== was.label &&
          calls(page.seen, number).share(thing.label) > 0.5);
      },
    },
    {
      words: 'Blind it: set all five rates to 1, until five points are lost. Then find rates whose sum is 9 or less with which it sees as well as before, to one point.',
      hint: 'Raise the rates of one stage only. Which of them reach farthest?',
      done: page => {
        const {first, seen} = page, rates = [...seen.options.rates, ...seen.options.deep];
        if (!first) return false;
        if (rates.every(rate => rate === 1) && seen.right < first.right - 0.05) first.blinded = true;
        return first.blinded && rates.reduce((a, b) => a + b) <= 9 && seen.right > first.right - 0.01;
      },
    },
    {
      words: 'Make rings and wires vanish for the network, and keep most plates right.',
      hint: 'Which part of the network knows where a thin line runs?',
      done: page => recall(page.seen, [RING, WIRE], page.seen.labels) < 0.2 &&
        recall(page.seen, [PLATE_A, PLATE_B], page.seen.labels) > 0.5,
    },
    {
      words: 'Let the CRF eat a wire that the network has found: half of it at least.',
      hint: 'Far reach, much weight, colours that hardly matter, ten steps. Scene 3 has such a wire.',
      done: page => page.refined && page.refined.side === DL.SIZE &&
        recall(page.seen, [WIRE], page.seen.labels) > 0.5 &&
        recall(page.seen, [WIRE], page.refined.labels) < recall(page.seen, [WIRE], page.seen.labels) / 2,
    },
    {
      words: 'Tune the CRF until it leaves a quarter fewer wrong pixels than it did at first.',
      hint: 'More weight, and farther.',
      done: page => page.first?.refined && page.refined?.side === DL.SIZE &&
        1 - page.refined.right < 0.75 * (1 - page.first.refined),
    },
    {
      words: 'Find a place whose answer comes most of all from the deep map: a branch of ASPP speaks louder than the shallow map.',
      hint: 'Click in the answer, and look who spoke. The shallow map speaks for rims and textures; where is neither?',
      done: page => page.why && page.pixel &&
        Math.max(...page.why.branches.map(Math.abs)) > Math.abs(page.why.shallow),
    },
    {
      words: 'Shrink a star until the network no longer sees it as a star.',
      hint: 'Smaller, and smaller.',
      done: page => asTrained(page) && things(page, [STAR]).some(({number}) => {
        const said = calls(page.seen, number);
        return said.of > 0 && said.share(STAR) < 0.2;
      }),
    },
    {
      words: 'Give the kernel that travels a rate at which a single tap is left on the picture, at some place.',
      hint: 'The piece is 25 pixels wide. Stand in its middle.',
      done: page => page.sliding && (() => {
        const {rate, at} = page.sliding, [row, column] = [Math.floor(at / 25), at % 25];
        return [row - rate, row + rate, column - rate, column + rate].every(v => v < 0 || v >= 25);
      })(),
    },
  ];

  function missionsPart(page, place) {
    const live = el('p', {className: 'dx-live', ariaLive: 'polite'}), done = new Set();
    const rows = MISSIONS.map((mission, i) => {
      const state = el('span', {className: 'dx-state', textContent: 'open'});
      const row = el('li', {}, state, ` ${mission.words} `,
        el('details', {}, el('summary', {textContent: 'A hint'}), mission.hint));
      row.done = () => {
        done.add(i);
        row.className = 'dx-done';
        state.textContent = 'done';
        live.textContent = `Task ${i + 1} is done: ${done.size} of ${MISSIONS.length}.`;
      };
      return row;
    });
    const look = () => {
      if (!page.seen || page.seen.owner !== page.drawn.owner) return; // an answer to what was before
      MISSIONS.forEach((mission, i) => { if (!done.has(i) && mission.done(page)) rows[i].done(); });
    };
    for (const event of ['seen', 'explained', 'refined', 'slid']) page.on(event, look);
    place.append(el('ol', {className: 'dx-missions'}, ...rows), live);
  }

  Object.assign(DL, {missionsPart, MISSIONS});
})(typeof self === 'undefined' ? globalThis : self);

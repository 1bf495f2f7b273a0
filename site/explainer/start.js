// Fills the parts of the page that are there. DL_DATA and DL_WORKER come from the same file.
(function (root) {
  'use strict';
  const DL = root.DL, PARTS = {front: (page, place) => DL.scenePart(page, place, true), scene: DL.scenePart, why: DL.whyPart, crf: DL.crfPart,
    sliding: DL.slidingPart, own: DL.ownPart, missions: DL.missionsPart};
  const places = [...document.querySelectorAll('[data-explainer]')];
  if (!places.length) return;
  const page = root.explainer = new DL.Page(root.DL_DATA, root.DL_WORKER);
  for (const place of places) {
    place.replaceChildren();
    PARTS[place.dataset.explainer](page, place);
  }
  page.redraw();
})(self);

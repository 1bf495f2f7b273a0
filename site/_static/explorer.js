// On a page without a kernel: unpacks the pictures of every explorer and adds its controls, a
// button that plays one of them, and, on paper, a strip of the views that its author chose.
async function enliven(box) {
  const {stops, first: at, strip, play} = Object.fromEntries(
    Object.entries(box.dataset).map(([name, words]) => [name, JSON.parse(words)]));
  const picture = box.querySelector('img'), form = box.querySelector('p');
  const packed = atob(box.querySelector('script[type="text/plain"]').textContent);
  const bytes = new Blob([Uint8Array.from(packed, c => c.charCodeAt(0))]).stream();
  const plain = new Response(bytes.pipeThrough(new DecompressionStream('gzip')));
  const frames = await plain.json();
  const show = (image, index) => {
    const [type, data, alt] = frames[index], svg = type == 'image/svg+xml';
    image.src = `data:${type}${svg ? ',' + encodeURIComponent(data) : ';base64,' + data}`;
    image.alt = alt;
  };
  const draw = () => show(picture, stops.reduce((sum, [, values], i) => sum * values.length + at[i], 0));
  const controls = stops.map(([name, values], i) => {
    const words = typeof values[0] == 'string', place = words ? 'selectedIndex' : 'value';
    const control = document.createElement(words ? 'select' : 'input');
    const label = document.createElement('label'), shown = document.createElement('output');
    if (words) control.append(...values.map(value => new Option(value)));
    else Object.assign(control, {type: 'range', min: 0, max: values.length - 1});
    const say = () => { if (!words) shown.value = control.ariaValueText = values[at[i]]; };
    control[place] = at[i];
    control.ariaLabel = name;
    control.oninput = () => { at[i] = +control[place]; say(); draw(); };
    say();
    label.append(name + ' ', control, ' ', shown, ' ');
    if (i === play) label.append(player(control, place, values.length));
    return label;
  });
  form.replaceChildren(...controls);
  addEventListener('beforeprint', () => {
    if (box.querySelector('.strip')) return;
    const row = document.createElement('div');
    row.className = 'strip';
    for (const index of strip) {
      const image = document.createElement('img');
      show(image, index);
      row.append(image);
    }
    box.append(row);
  });
}

// A button that moves a control from stop to stop, from the start again once it is at the end.
function player(control, place, count) {
  const button = document.createElement('button');
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = 'Play'; };
  button.type = 'button';
  button.onclick = () => {
    if (timer) return stop();
    button.textContent = 'Stop';
    timer = setInterval(() => {
      const next = +control[place] + 1;
      control[place] = next < count ? next : 0;
      control.oninput();
      if (+control[place] === count - 1) stop();
    }, 150);
  };
  stop();
  return button;
}
document.querySelectorAll('.explorer').forEach(enliven);

// Code that is wider than the page scrolls; by the keyboard, too.
for (const code of document.querySelectorAll('article pre')) {
  if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
}

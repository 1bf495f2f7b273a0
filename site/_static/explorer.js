// On a page without a kernel: unpacks the pictures of every explorer and adds its controls.
async function enliven(box) {
  const stops = JSON.parse(box.dataset.stops), at = JSON.parse(box.dataset.first);
  const picture = box.querySelector('img'), form = box.querySelector('p');
  const packed = atob(box.querySelector('script[type="text/plain"]').textContent);
  const bytes = new Blob([Uint8Array.from(packed, c => c.charCodeAt(0))]).stream();
  const plain = new Response(bytes.pipeThrough(new DecompressionStream('gzip')));
  const frames = await plain.json();
  const draw = () => {
    const index = stops.reduce((sum, [, values], i) => sum * values.length + at[i], 0);
    const [type, data, alt] = frames[index], svg = type == 'image/svg+xml';
    picture.src = `data:${type}${svg ? ',' + encodeURIComponent(data) : ';base64,' + data}`;
    picture.alt = alt;
  };
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
    return label;
  });
  form.replaceChildren(...controls);
}
document.querySelectorAll('.explorer').forEach(enliven);

// The pad: draw a digit, and see what each layer of the network passes on while you draw.
import { read, unpack } from "./network.js";
import { prepare } from "./prepare.js";

const SHEET = 280; // of the drawing, in its own units
const PEN = 22; // a stroke's width in them: two to three pixels once the digit is 20 pixels high
// Each layer that is shown: how many pixels of the image one of its numbers sees, and by how many
// its neighbour's square is moved on (lesson 02).
const LAYERS = {
  activation_1: [3, 1],
  activation_2: [5, 1],
  max_pooling2d_1: [6, 2],
  activation_3: [10, 2],
  activation_4: [14, 2],
  max_pooling2d_2: [16, 4],
  activation_5: [28, 0],
};
const CHANNELS = {
  activation_1: 32, activation_2: 32, max_pooling2d_1: 32,
  activation_3: 64, activation_4: 64, max_pooling2d_2: 64, activation_5: 512,
};
// matplotlib's cividis at nine places: from nothing (blue) to the layer's strongest (yellow).
const COLOURS = [
  [0, 34, 78], [26, 56, 111], [67, 78, 108], [97, 101, 111], [125, 124, 120],
  [155, 148, 118], [188, 174, 108], [222, 201, 88], [254, 232, 56],
];
const PALETTE = Uint32Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (COLOURS.length - 1), low = Math.min(Math.floor(at), COLOURS.length - 2);
  const [red, green, blue] = COLOURS[low].map((c, k) => c + (at - low) * (COLOURS[low + 1][k] - c));
  return 0xff000000 | (blue << 16) | (green << 8) | red;
});
const BLANK = { image: new Uint8Array(784) };
const WORDS = "Draw a digit here with mouse, pen or finger. The buttons below load one instead.";

// Build a pad in an element.
//   weights   DataView, as `unpack` takes them
//   digits    [{ label, image: Uint8Array of 784 numbers }], the images that buttons load
//   changed   called after each stroke and button with (ink, image): 280 × 280 and 28 × 28 numbers
// Returns a function that takes the pad's listeners off again.
export function build(element, { weights, digits, changed = () => {} }) {
  const pad = {
    network: unpack(weights),
    parts: layOut(element, digits),
    inked: makeCanvas(SHEET, SHEET).getContext("2d", { willReadFrequently: true }),
    items: digits.slice(0, 1), // of the drawing: strokes, each a list of points, and loaded digits
    chosen: ["activation_1", 0], // the map that is shown large
    changed,
  };
  listen(pad);
  const observer = new ResizeObserver(() => arrange(pad.parts, element.clientWidth) && show(pad));
  observer.observe(element);
  show(pad);
  return () => observer.disconnect();
}

function listen(pad) {
  const { parts } = pad;
  const showSoon = () => (pad.frame ||= requestAnimationFrame(() => show(pad)));
  takeStrokes(parts.surface, {
    begin: (point) => pad.items.push([point]) && showSoon(),
    go: (points) => pad.items.at(-1).push(...points) && showSoon(),
    end: () => settle(pad, pad.items),
  });
  parts.undo.onclick = () => settle(pad, pad.items.slice(0, -1));
  parts.clear.onclick = () => settle(pad, [...pad.items, BLANK]); // so that Undo brings it back
  parts.loaders.forEach(({ button, choices }) => {
    let next = 0;
    button.onclick = () => settle(pad, [...pad.items, choices[next++ % choices.length]]);
  });
  chooseMaps(parts, (name, map) => choose(pad, name, map));
}

// Read what is drawn, and show what each layer passes on; return [ink, image].
function show(pad) {
  const { parts, items, inked } = pad;
  pad.frame = 0;
  paint(parts.surface.getContext("2d"), items);
  paint(inked, items);
  const ink = inked.getImageData(0, 0, SHEET, SHEET).data.filter((_, i) => i % 4 === 3);
  const image = items.at(-1)?.image ?? prepare(ink, SHEET); // a loaded digit is prepared already
  const start = performance.now();
  pad.passed = read(pad.network, Float32Array.from(image, (value) => value / 255));
  showPassed(parts, image, pad.passed, performance.now() - start);
  showChosen(parts, pad.passed, ...pad.chosen);
  return [ink, image];
}

// A stroke or a button is done: tell who listens what is drawn now.
function settle(pad, items) {
  cancelAnimationFrame(pad.frame);
  pad.items = items;
  pad.changed(...show(pad));
  pad.parts.status.textContent = pad.parts.says.textContent;
}

function choose(pad, name, map) {
  if (pad.chosen[0] === name && pad.chosen[1] === map) return;
  pad.chosen = [name, map];
  showChosen(pad.parts, pad.passed, name, map);
  pad.parts.status.textContent = pad.parts.about.textContent;
}

// What anywidget calls.
function render({ model, el }) {
  const bytes = (name) => new Uint8Array(model.get(name).buffer, model.get(name).byteOffset);
  const images = bytes("_digits"), labels = model.get("_labels");
  const digits = labels.map((label, i) => ({ label, image: images.slice(i * 784, i * 784 + 784) }));
  return build(el, {
    weights: model.get("_weights"),
    digits,
    changed(ink, image) {
      model.set("_drawing", new DataView(Uint8Array.from(ink).buffer));
      model.set("_prepared", new DataView(image.slice().buffer));
      model.save_changes();
    },
  });
}
export default { render };

// Parts -----------------------------------------------------------------------------------------

function layOut(element, digits) {
  element.classList.add("pad");
  element.dataset.lmSuppressShortcuts = "true"; // keys are the pad's here, not JupyterLab's
  const parts = { maps: {}, bars: [] };
  parts.surface = makeCanvas(2 * SHEET, 2 * SHEET, { role: "img", "aria-label": WORDS });
  parts.hint = make("span", { class: "pad-hint", "aria-hidden": "true" }, "Draw a digit");
  parts.undo = make("button", { type: "button" }, "Undo");
  parts.clear = make("button", { type: "button" }, "Clear");
  parts.loaders = makeLoaders(digits);
  parts.prepared = makeCanvas(28, 28, { role: "img", "aria-label": "The prepared image" });
  parts.field = make("span", { class: "pad-mark" });
  parts.large = makeCanvas(1, 1, { role: "img" });
  parts.about = make("p", { class: "pad-quiet" });
  parts.says = make("p", { class: "pad-says" });
  parts.time = make("p", { class: "pad-quiet" });
  parts.status = make("p", { class: "pad-heard", role: "status" });
  const rows = Object.keys(LAYERS).map((name) => makeRow(parts, name));
  element.replaceChildren(
    make("div", { class: "pad-grid" }, placeParts(parts),
      make("div", { class: "pad-layers" }, ...rows)));
  return parts;
}

function placeParts(parts) {
  return make("div", { class: "pad-draw" },
    make("div", { class: "pad-paper" }, parts.surface, parts.hint),
    make("div", { class: "pad-row" }, parts.undo, parts.clear),
    make("div", { class: "pad-row", role: "group", "aria-label": "Load a test digit" },
      make("span", { class: "pad-quiet" }, "Load"),
      ...parts.loaders.map(({ button }) => button)),
    parts.says,
    make("div", { class: "pad-answer" },
      make("figure", {},
        make("div", { class: "pad-paper" }, parts.prepared, parts.field),
        make("figcaption", {}, "What the network gets: 28 × 28")),
      makeBars(parts)),
    make("div", { class: "pad-answer" },
      make("figure", {}, parts.large),
      make("div", {}, parts.about, parts.time)),
    parts.status);
}

function makeLoaders(digits) {
  const kinds = [...new Set(digits.map(({ label }) => label))].sort();
  return kinds.map((label) => ({
    button: make("button", { type: "button", "aria-label": `Load a test digit: ${label}` }, label),
    choices: digits.filter((digit) => digit.label === label),
  }));
}

function makeBars(parts) {
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const bar = make("span", { class: "pad-bar" }), share = make("span", { class: "pad-share" });
    const row = make("li", {}, make("span", {}, `${digit}`), make("span", {}, bar), share);
    parts.bars.push({ row, bar, share });
    return row;
  });
  return make("ul", { class: "pad-bars", "aria-label": "Probability of each digit" }, ...rows);
}

function makeRow(parts, name) {
  const caption = make("span", { class: "pad-quiet" });
  const canvas = makeCanvas(1, 1, { role: "img", tabindex: "0" });
  const mark = make("span", { class: "pad-mark" });
  parts.maps[name] = { canvas, caption, mark };
  return make("figure", {},
    make("figcaption", {}, make("b", {}, name), " ", caption),
    make("div", { class: "pad-maps" }, canvas, mark));
}

// Choose how many maps stand in a row; tell whether that is new.
function arrange(parts, width) {
  const wide = width >= 560;
  const changed = parts.wide !== wide;
  parts.wide = wide;
  return changed;
}

// Strokes ---------------------------------------------------------------------------------------

function takeStrokes(surface, { begin, go, end }) {
  let pointer = null; // the one that draws; a second finger changes nothing
  const place = ({ clientX, clientY }) => {
    const { left, top, width } = surface.getBoundingClientRect();
    return [((clientX - left) / width) * SHEET, ((clientY - top) / width) * SHEET];
  };
  surface.onpointerdown = (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    surface.setPointerCapture(pointer);
    begin(place(event));
    event.preventDefault();
  };
  surface.onpointermove = (event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    go((events.length ? events : [event]).map(place));
  };
  surface.onpointerup = surface.onpointercancel = (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    end();
  };
}

// Paint the drawing's ink, black on nothing: the style sheet chooses the paper.
function paint(context, items) {
  const { width } = context.canvas;
  context.setTransform(width / SHEET, 0, 0, width / SHEET, 0, 0);
  context.clearRect(0, 0, SHEET, SHEET);
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = PEN;
  const from = items.findLastIndex((item) => item.image); // a loaded digit is a new sheet
  for (const item of items.slice(Math.max(0, from))) {
    if (item.image) {
      context.imageSmoothingEnabled = false;
      context.drawImage(drawInk(makeCanvas(28, 28), item.image), 0, 0, SHEET, SHEET);
      continue;
    }
    context.beginPath();
    context.moveTo(...item[0]);
    for (const point of item.length > 1 ? item : [item[0], item[0]]) context.lineTo(...point);
    context.stroke();
  }
}

function drawInk(canvas, image) {
  const context = canvas.getContext("2d"), picture = context.createImageData(28, 28);
  image.forEach((value, i) => (picture.data[4 * i + 3] = value));
  context.putImageData(picture, 0, 0);
  return canvas;
}

// Answers ---------------------------------------------------------------------------------------

function showPassed(parts, image, passed, time) {
  const empty = !image.some(Boolean), probabilities = passed.activation_6.values;
  const best = probabilities.indexOf(Math.max(...probabilities));
  parts.hint.hidden = !empty;
  drawInk(parts.prepared, image);
  parts.says.textContent = empty
    ? "An empty page"
    : `Read as ${best}, ${percent(probabilities[best])}`;
  parts.time.textContent = empty ? "" : `Read here in ${Math.max(1, Math.round(time))} ms`;
  parts.bars.forEach(({ row, bar, share }, digit) => {
    const value = empty ? 0 : probabilities[digit];
    bar.style.width = `${100 * value}%`;
    share.textContent = empty ? "" : percent(value);
    row.classList.toggle("pad-best", !empty && digit === best);
  });
  for (const [name, row] of Object.entries(parts.maps)) {
    drawMaps(row.canvas, passed[name], countColumns(name, parts.wide), empty);
    describe(row, name, passed[name], empty);
  }
}

function countColumns(name, wide) {
  return CHANNELS[name] === 512 ? (wide ? 64 : 32) : CHANNELS[name] / (wide ? 2 : 4);
}

// Draw a layer's maps side by side, a pixel apart; a unit without a place is a square.
function drawMaps(canvas, { side, channels, values }, columns, empty) {
  const gap = side > 1 ? 1 : 0, step = side + gap;
  canvas.width = columns * step - gap;
  canvas.height = (channels / columns) * step - gap;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(picture.data.buffer);
  const largest = empty ? Infinity : Math.max(1e-6, values.reduce((a, b) => Math.max(a, b)));
  values.forEach((value, i) => {
    const map = i % channels, place = Math.floor(i / channels);
    const x = (map % columns) * step + (place % side);
    const y = Math.floor(map / columns) * step + Math.floor(place / side);
    pixels[y * canvas.width + x] = PALETTE[Math.round((255 * value) / largest)];
  });
  context.putImageData(picture, 0, 0);
}

function describe({ canvas, caption }, name, { side, channels, values }, empty) {
  const size = side > 1 ? `${channels} maps of ${side} × ${side}` : `${channels} units`;
  const idle = values.reduce((count, value) => count + (value === 0), 0) / values.length;
  const zero = empty ? "" : ` · ${Math.round(100 * idle)} % zero`;
  const seen = side > 1 ? `${LAYERS[name][0]} × ${LAYERS[name][0]} pixels` : "the whole image";
  caption.textContent = `${size} · each sees ${seen}${zero}`;
  canvas.setAttribute("aria-label", `${name}: ${caption.textContent}. Arrow keys choose one.`);
}

function percent(share) {
  const value = 100 * share;
  return `${value > 99.94 || value < 0.05 ? Math.round(value) : value.toFixed(1)} %`;
}

// One map -----------------------------------------------------------------------------------------

// Let a pointer or the arrow keys choose one map of a layer.
function chooseMaps(parts, choose) {
  for (const [name, { canvas }] of Object.entries(parts.maps)) {
    const channels = CHANNELS[name], columns = () => countColumns(name, parts.wide);
    let map = 0;
    const go = (next) => next >= 0 && next < channels && choose(name, (map = next));
    canvas.onpointermove = canvas.onpointerdown = ({ clientX, clientY }) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const column = Math.floor(((clientX - left) / width) * columns());
      const row = Math.floor(((clientY - top) / height) * (channels / columns()));
      go(row * columns() + column);
    };
    canvas.onfocus = () => go(map);
    canvas.onkeydown = (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() };
      if (!(event.key in steps)) return;
      event.preventDefault();
      go(map + steps[event.key]);
    };
  }
}

// Show one map large, and on the prepared image the square that its strongest place sees.
function showChosen(parts, passed, name, map) {
  const { side, channels, values } = passed[name], [size, step] = LAYERS[name];
  const own = values.filter((_, i) => i % channels === map);
  const largest = Math.max(...own), place = own.indexOf(largest);
  const [row, column] = [Math.floor(place / side), place % side];
  drawMaps(parts.large, { side, channels: 1, values: own }, 1, largest === 0);
  const active = largest > 0 && passed.image.values.some(Boolean);
  const [kind, where] = side > 1 ? ["map", `, in row ${row}, column ${column}: the square above`] : ["unit", ""];
  parts.about.textContent = `${name}, ${kind} ${map}: ` +
    (active ? `at most ${largest.toFixed(2)}${where}` : "all zero");
  parts.large.setAttribute("aria-label", parts.about.textContent);
  place28(parts.field, active ? [row * step, column * step, size, size] : null);
  for (const [other, { mark }] of Object.entries(parts.maps)) {
    const columns = countColumns(name, parts.wide), rows = channels / columns;
    const spot = [Math.floor(map / columns) / rows, (map % columns) / columns, 1 / rows, 1 / columns];
    place28(mark, other === name ? spot.map((part) => 28 * part) : null);
  }
}

// Put a mark at [top, left, height, width] of something that is 28 high and wide.
function place28(mark, spot) {
  mark.hidden = !spot;
  ["top", "left", "height", "width"].forEach((side, i) => {
    if (spot) mark.style[side] = `${(100 * spot[i]) / 28}%`;
  });
}

// Elements --------------------------------------------------------------------------------------

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function makeCanvas(width, height, attributes) {
  return Object.assign(make("canvas", attributes), { width, height });
}

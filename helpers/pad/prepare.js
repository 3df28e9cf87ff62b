// A drawing becomes an image as MNIST's did: its longest side to 20 pixels, the grey of its edges
// kept, then its centre of mass to the middle of 28 × 28 (LeCun and others, 1998).

const BOX = 20, SIDE = 28;
// Over MNIST's training images the centre of mass is in row 13.996 and column 14.007 in the mean,
// counted from 0, and never more than about half a pixel from 14.
const MIDDLE = 14;

// Take ink from 0 to 255 in rows of `side` numbers; return 784 such numbers, all 0 without ink.
export function prepare(ink, side) {
  const image = new Uint8Array(SIDE * SIDE), box = findInk(ink, side);
  if (!box) return image;
  const scale = BOX / Math.max(box.width, box.height);
  const width = Math.max(1, Math.round(box.width * scale));
  const height = Math.max(1, Math.round(box.height * scale));
  const small = shrink(ink, side, box, width, height);
  const [down, right] = findCentre(small, width).map((centre) => Math.round(MIDDLE - centre));
  small.forEach((value, i) => {
    const row = Math.floor(i / width) + down, column = (i % width) + right;
    if (row >= 0 && row < SIDE && column >= 0 && column < SIDE)
      image[row * SIDE + column] = Math.round(value);
  });
  return image;
}

function findInk(ink, side) {
  let left = side, right = -1, top = side, bottom = -1;
  for (let i = 0; i < ink.length; i++)
    if (ink[i]) {
      const row = Math.floor(i / side), column = i % side;
      left = Math.min(left, column);
      right = Math.max(right, column);
      top = Math.min(top, row);
      bottom = Math.max(bottom, row);
    }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

// Average over the area that each small pixel covers; parts of pixels count in part.
function shrink(ink, side, box, width, height) {
  const small = new Float64Array(width * height);
  const area = (box.width / width) * (box.height / height);
  const rows = cover(box.height, height), columns = cover(box.width, width);
  for (const [from, to, tall] of rows)
    for (const [start, end, wide] of columns)
      small[to * width + end] +=
        (ink[(box.top + from) * side + box.left + start] * tall * wide) / area;
  return small;
}

// Return [pixel, small pixel, length of the first in the second] where two grids of a line meet.
function cover(many, few) {
  const parts = [], length = many / few;
  for (let from = 0; from < many; from++)
    for (let to = Math.floor(from / length); to < few && to * length < from + 1; to++) {
      const part = Math.min(from + 1, (to + 1) * length) - Math.max(from, to * length);
      if (part > 1e-9) parts.push([from, to, part]);
    }
  return parts;
}

function findCentre(values, width) {
  let sum = 0, rows = 0, columns = 0;
  values.forEach((value, i) => {
    sum += value;
    rows += value * Math.floor(i / width);
    columns += value * (i % width);
  });
  return [rows / sum, columns / sum];
}

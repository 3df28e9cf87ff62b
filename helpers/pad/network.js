// The network's forward pass: the arithmetic of lesson 02, with normalisation folded into the
// kernels as in lesson 06. Maps lie in one row of numbers, channels last, as Keras keeps them:
// channel c of the place in row y and column x is values[(y * side + x) * channels + c].

const SHAPES = {
  conv2d_1: [3, 3, 1, 32],
  conv2d_2: [3, 3, 32, 32],
  conv2d_3: [3, 3, 32, 64],
  conv2d_4: [3, 3, 64, 64],
  dense_1: [1024, 512],
  dense_2: [512, 10],
};
const NUMBERS = 594_922;

// Read an image of 28 × 28 numbers from 0 to 1; return what each layer passes on, by its name.
export function read(network, image) {
  const passed = { image: { side: 28, channels: 1, values: image } };
  passed.activation_1 = relu(convolve(passed.image, network.conv2d_1));
  passed.activation_2 = relu(convolve(passed.activation_1, network.conv2d_2));
  passed.max_pooling2d_1 = pool(passed.activation_2);
  passed.activation_3 = relu(convolve(passed.max_pooling2d_1, network.conv2d_3));
  passed.activation_4 = relu(convolve(passed.activation_3, network.conv2d_4));
  passed.max_pooling2d_2 = pool(passed.activation_4);
  passed.activation_5 = relu(connect(passed.max_pooling2d_2, network.dense_1));
  passed.activation_6 = softmax(connect(passed.activation_5, network.dense_2));
  return passed;
}

function convolve({ side, channels, values }, { kernel, bias }) {
  const filters = bias.length, smaller = side - 2;
  const sums = new Float32Array(smaller * smaller * filters);
  for (let y = 0; y < smaller; y++)
    for (let x = 0; x < smaller; x++) {
      const to = (y * smaller + x) * filters;
      sums.set(bias, to);
      for (let row = 0; row < 3; row++)
        for (let column = 0; column < 3; column++)
          for (let c = 0; c < channels; c++) {
            const value = values[((y + row) * side + x + column) * channels + c];
            const weights = ((row * 3 + column) * channels + c) * filters;
            if (value !== 0) // half of them are zero, and add nothing
              for (let f = 0; f < filters; f++) sums[to + f] += value * kernel[weights + f];
          }
    }
  return { side: smaller, channels: filters, values: sums };
}

function pool({ side, channels, values }) {
  const half = side / 2, largest = new Float32Array(half * half * channels);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      for (let c = 0; c < channels; c++) {
        const to = ((y >> 1) * half + (x >> 1)) * channels + c;
        // What is pooled has passed ReLU: nothing is below the zeros that are there.
        largest[to] = Math.max(largest[to], values[(y * side + x) * channels + c]);
      }
  return { side: half, channels, values: largest };
}

function connect({ values }, { kernel, bias }) {
  const units = bias.length, sums = Float32Array.from(bias);
  for (let i = 0; i < values.length; i++)
    if (values[i] !== 0)
      for (let unit = 0; unit < units; unit++) sums[unit] += values[i] * kernel[i * units + unit];
  return { side: 1, channels: units, values: sums };
}

function relu({ values, ...shape }) {
  return { ...shape, values: values.map((value) => Math.max(0, value)) };
}

function softmax({ values, ...shape }) {
  const largest = Math.max(...values);
  const powers = Array.from(values, (value) => Math.exp(value - largest));
  const total = powers.reduce((sum, power) => sum + power);
  return { ...shape, values: Float32Array.from(powers, (power) => power / total) };
}

// Unpack the weights, float16 or float32: kernel and bias of each layer, one after the other.
export function unpack({ buffer, byteOffset, byteLength }) {
  const bytes = new DataView(buffer, byteOffset, byteLength), network = {};
  const size = byteLength / NUMBERS;
  if (size !== 2 && size !== 4) throw new Error(`${byteLength} bytes are not the network's weights`);
  let at = 0;
  const take = (count) =>
    Float32Array.from({ length: count }, () => {
      const number = size === 2 ? half(bytes.getUint16(at, true)) : bytes.getFloat32(at, true);
      at += size;
      return number;
    });
  for (const [name, shape] of Object.entries(SHAPES)) {
    const kernel = take(shape.reduce((product, length) => product * length));
    network[name] = { kernel, bias: take(shape.at(-1)) };
  }
  return network;
}

// A float16 has one bit of sign, five of exponent and ten of fraction.
function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
  return bits & 0x8000 ? -size : size;
}

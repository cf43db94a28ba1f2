// Makes a weights file that compresses well: the values of a tensor become multiples of a step, small whole numbers
// whose upper bytes, nearly all zero, stand apart from the lower ones. www/weights.js undoes it.

/** A step, in standard deviations of the tensor (rounded to a power of two); the restored photo then differs by more than 50 dB (a test). */
const STEP = 0.0235;
/** Tensors of fewer values stay as they are: biases, norms, temperatures. */
const FEWEST = 2000;

/**
 * Packs a safetensors file of 16-bit floats, its golden values recorded anew.
 * @param {Buffer} bytes
 * @param {(packed: ArrayBuffer) => Uint8Array} unpack as in www/weights.js
 * @param {(bytes: Uint8Array) => Promise<ArrayLike<number>>} digest computes golden values
 * @returns {Promise<Buffer>}
 */
export async function pack(bytes, unpack, digest) {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length));
  const ours = JSON.parse(header.__metadata__.dino_ir);
  const values = new Uint16Array(bytes.buffer.slice(bytes.byteOffset + 8 + length, bytes.byteOffset + bytes.length));
  const steps = {};
  for (const [name, { dtype, data_offsets: [start, end] = [] }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (dtype !== 'F16') throw new Error(`tensor ${name} is not of type F16`);
    if ((end - start) / 2 < FEWEST) continue;
    steps[name] = quantise(values.subarray(start / 2, end / 2), name);
  }
  header.__metadata__.steps = JSON.stringify(steps);
  if (ours.golden) {
    const whole = unpack(join(header, ours, values).buffer);
    ours.golden.values = Array.from(await digest(whole));
  }
  return join(header, ours, values);
}

/** Replaces 16-bit floats by their numbers of steps, the sign in the lowest bit; returns the step's power of two. */
function quantise(values, name) {
  const numbers = Array.from(values, float);
  const deviation = Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0) / numbers.length);
  const power = Math.max(Math.round(Math.log2(STEP * deviation)), -24);
  numbers.forEach((value, at) => {
    const count = Math.round(value / 2 ** power);
    if (Math.abs(count) >= 1 << 15) throw new Error(`tensor ${name} has a value far from all others`);
    values[at] = count < 0 ? -2 * count - 1 : 2 * count;
  });
  return power;
}

/** The number that 16 bits mean. */
function float(bits) {
  const [exponent, digits] = [(bits >> 10) & 31, bits & 1023];
  const magnitude = exponent ? (1024 + digits) * 2 ** (exponent - 25) : digits * 2 ** -24;
  return bits >> 15 ? -magnitude : magnitude;
}

/** The file: its header, the upper bytes of all values, the lower ones. */
function join(header, ours, values) {
  header.__metadata__.dino_ir = JSON.stringify(ours);
  const json = JSON.stringify(header);
  const text = Buffer.from(json + ' '.repeat(-Buffer.byteLength(json) & 7));
  const start = 8 + text.length;
  const file = new Uint8Array(start + 2 * values.length);
  file.set(text, 8);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  values.forEach((value, at) => {
    file[start + at] = value >> 8;
    file[start + values.length + at] = value & 255;
  });
  return Buffer.from(file.buffer);
}

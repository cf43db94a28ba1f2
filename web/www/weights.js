// The built-in weights travel as whole numbers of steps, upper and lower bytes apart: they compress better.

/**
 * The safetensors file.
 * @param {ArrayBuffer} packed its header, the upper bytes of all values, the lower ones; the metadata's `steps` say
 * which tensors are numbers of steps, and the power of two that is their step
 * @returns {Uint8Array}
 */
export function unpack(packed) {
  const bytes = new Uint8Array(packed);
  const start = 8 + Number(new DataView(packed).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const steps = JSON.parse(header.__metadata__.steps);
  const whole = bytes.slice();
  const count = (bytes.length - start) / 2;
  for (const [name, { data_offsets: range }] of Object.entries(header)) {
    if (!range) continue;
    const power = steps[name];
    for (let at = range[0] / 2; at < range[1] / 2; at += 1) {
      const number = (bytes[start + at] << 8) | bytes[start + count + at];
      const bits = power === undefined ? number : half(number, power);
      whole[start + 2 * at] = bits & 255;
      whole[start + 2 * at + 1] = bits >> 8;
    }
  }
  return whole;
}

/** The 16-bit float of so many steps, the sign in the lowest bit; digits beyond the eleven of a float are cut off. */
function half(number, power) {
  const sign = (number & 1) << 15;
  const count = (number >> 1) + (number & 1);
  if (count === 0) return 0;
  const highest = 31 - Math.clz32(count);
  const exponent = highest + power + 15;
  if (exponent < 1) return sign | (count << (power + 24));
  const digits = highest > 10 ? count >> (highest - 10) : count << (10 - highest);
  return sign | (exponent << 10) | (digits & 1023);
}

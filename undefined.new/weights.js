// The built-in weights travel with the upper and the lower bytes of their values apart: they compress better.

/**
 * The safetensors file.
 * @param {ArrayBuffer} packed its header, the upper bytes of all values, the lower ones
 * @returns {Uint8Array}
 */
export function unpack(packed) {
  const bytes = new Uint8Array(packed);
  const start = 8 + Number(new DataView(packed).getBigUint64(0, true));
  const count = (bytes.length - start) / 2;
  const whole = bytes.slice();
  for (let at = 0; at < count; at += 1) {
    whole[start + 2 * at] = bytes[start + count + at];
    whole[start + 2 * at + 1] = bytes[start + at];
  }
  return whole;
}

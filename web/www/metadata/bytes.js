// Bytes and text of four or more letters that mark the parts of files.

const letters = (text) => Array.from(text, (letter) => letter.charCodeAt(0));

/** Text of Latin letters as bytes. */
export function ascii(text) {
  return Uint8Array.from(letters(text));
}

/** Whether that text stands there. */
export function has(bytes, text, at = 0) {
  return letters(text).every((byte, index) => bytes[at + index] === byte);
}

/** The text of some bytes, a letter for each. */
export function text(bytes, start, end) {
  return String.fromCharCode(...bytes.subarray(start, end));
}

/** A view of the same bytes. */
export function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One array of several. */
export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A number in four bytes, the highest or the lowest first. */
export function word(number, lowestFirst = false) {
  const bytes = new Uint8Array(4);
  view(bytes).setUint32(0, number, lowestFirst);
  return bytes;
}

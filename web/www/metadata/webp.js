// Metadata in the chunks of a WebP file.

import { ascii, has, join, text, view, word } from './bytes.js';

const HEADER = 12;
const FRAME = 8;
/** Bits of VP8X that say what the file has. */
const FLAGS = { ICCP: 0x20, alpha: 0x10, EXIF: 0x08, 'XMP ': 0x04 };
const EXIF_MARK = 'Exif\0\0';

export function is(bytes) {
  return has(bytes, 'RIFF') && has(bytes, 'WEBP', 8);
}

/** @returns {import('../metadata.js').Metadata} */
export function read(bytes) {
  const found = {};
  for (const { type, data } of chunks(bytes)) {
    // Some writers put the mark of JPEG before it.
    if (type === 'EXIF') found.exif ??= data.slice(has(data, EXIF_MARK) ? EXIF_MARK.length : 0);
    if (type === 'XMP ') found.xmp ??= data.slice();
    if (type === 'ICCP') found.icc ??= data.slice();
  }
  return found;
}

export function fits() {
  return true;
}

export function write(bytes, { exif, xmp, icc }) {
  const old = [...chunks(bytes)];
  const of = (type) => old.find((chunk) => chunk.type === type);
  const profile = icc ?? of('ICCP')?.data;
  const picture = old.filter(({ type }) => !['VP8X', 'ICCP', 'EXIF', 'XMP '].includes(type));
  const extra = { ICCP: profile, EXIF: exif, 'XMP ': xmp };
  const head = of('VP8X')?.data.slice() ?? header(picture);
  for (const [type, data] of Object.entries(extra)) head[0] = data ? head[0] | FLAGS[type] : head[0] & ~FLAGS[type];
  const parts = [chunk('VP8X', head)];
  if (profile) parts.push(chunk('ICCP', profile));
  parts.push(...picture.map(({ start, end }) => bytes.subarray(start, end)));
  if (exif) parts.push(chunk('EXIF', exif));
  if (xmp) parts.push(chunk('XMP ', xmp));
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return [ascii('RIFF'), word(length, true), ascii('WEBP'), ...parts];
}

function* chunks(bytes) {
  const numbers = view(bytes);
  for (let start = HEADER; start + FRAME <= bytes.length; ) {
    const length = numbers.getUint32(start + 4, true);
    const end = start + FRAME + length + (length % 2);
    if (end > bytes.length) return;
    yield { type: text(bytes, start, start + 4), data: bytes.subarray(start + FRAME, start + FRAME + length), start, end };
    start = end;
  }
}

function chunk(type, data) {
  return join(ascii(type), word(data.length, true), data, new Uint8Array(data.length % 2));
}

/** VP8X of a file that had none: whether there is alpha, and the size less one, which the picture itself says. */
function header(picture) {
  const lossless = picture.find(({ type }) => type === 'VP8L');
  const { data } = lossless ?? picture.find(({ type }) => type === 'VP8 ');
  const numbers = view(data);
  let alpha = picture.some(({ type }) => type === 'ALPH');
  let [width, height] = [0, 0];
  if (lossless) {
    const bits = numbers.getUint32(1, true);
    [width, height] = [bits & 0x3fff, (bits >> 14) & 0x3fff];
    alpha = Boolean((bits >> 28) & 1);
  } else {
    [width, height] = [6, 8].map((at) => (numbers.getUint16(at, true) & 0x3fff) - 1);
  }
  const three = (number) => word(number, true).subarray(0, 3);
  return join(Uint8Array.of(alpha ? FLAGS.alpha : 0, 0, 0, 0), three(width), three(height));
}

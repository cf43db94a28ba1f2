// Metadata in the chunks of a PNG file.

import { ascii, has, join, text, view, word } from './bytes.js';
import { deflate, inflate } from './zlib.js';

const SIGNATURE = 8;
/** Length, type and checksum of a chunk. */
const FRAME = 12;
const XMP = 'XML:com.adobe.xmp\0';
/** Larger ones are damaged, or made to exhaust memory. */
const MOST = 16 << 20;
/** What a profile takes the place of. */
const COLOURS = ['iCCP', 'sRGB', 'gAMA', 'cHRM', 'cICP'];

export function is(bytes) {
  return has(bytes, '\x89PNG');
}

/** @returns {Promise<import('../metadata.js').Metadata>} */
export async function read(bytes) {
  const found = {};
  for (const { type, data } of chunks(bytes)) {
    if (type === 'eXIf') found.exif ??= data.slice();
    if (type === 'iCCP') found.icc ??= await profile(data);
    if (type === 'iTXt' && has(data, XMP)) found.xmp ??= await packet(data);
  }
  return found;
}

export function fits(kind, data) {
  return data.length <= MOST;
}

export async function write(bytes, { exif, xmp, icc }) {
  const fresh = [];
  if (icc) fresh.push(chunk('iCCP', ascii('ICC profile\0\0'), await deflate(icc)));
  if (exif) fresh.push(chunk('eXIf', exif));
  // Not compressed, no language, no translated keyword.
  if (xmp) fresh.push(chunk('iTXt', ascii(`${XMP}\0\0\0\0`), xmp));
  const [header, ...others] = [...chunks(bytes)].filter(({ type }) => !(icc && COLOURS.includes(type)));
  const whole = ({ start, end }) => bytes.subarray(start, end);
  return [bytes.subarray(0, SIGNATURE), whole(header), ...fresh, ...others.map(whole)];
}

function* chunks(bytes) {
  const numbers = view(bytes);
  for (let start = SIGNATURE; start + FRAME <= bytes.length; ) {
    const end = start + FRAME + numbers.getUint32(start);
    if (end > bytes.length) return;
    yield { type: text(bytes, start + 4, start + 8), data: bytes.subarray(start + 8, end - 4), start, end };
    start = end;
  }
}

function chunk(type, ...parts) {
  const body = join(ascii(type), ...parts);
  return join(word(body.length - 4), body, word(checksum(body)));
}

/** Behind its name and the method of compression. */
async function profile(data) {
  const name = data.indexOf(0);
  return name < 0 ? undefined : inflate(data.subarray(name + 2), MOST);
}

/** Behind the keyword: whether it is compressed and how, a language, the keyword translated. */
async function packet(data) {
  const compressed = data[XMP.length] === 1;
  const language = data.indexOf(0, XMP.length + 2);
  const translated = language < 0 ? -1 : data.indexOf(0, language + 1);
  if (translated < 0) return undefined;
  const packet = data.slice(translated + 1);
  return compressed ? inflate(packet, MOST) : packet;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function checksum(bytes) {
  return ~bytes.reduce((sum, byte) => (sum >>> 8) ^ TABLE[(sum ^ byte) & 255], -1) >>> 0;
}

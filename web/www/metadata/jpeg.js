// Metadata in the APP segments of a JPEG file.

import { ascii, has, join, view } from './bytes.js';

const EXIF = 'Exif\0\0';
const XMP = 'http://ns.adobe.com/xap/1.0/\0';
const ICC = 'ICC_PROFILE\0';
const [APP0, APP1, APP2, SCAN] = [0xe0, 0xe1, 0xe2, 0xda];
/** A segment's length is a 16-bit number that counts itself. */
const MOST = 0xffff - 2;
/** A profile has so many segments at most. */
const PROFILE_PARTS = 255;
/** Behind the mark of a profile: which of its parts this is, and how many there are. */
const COUNTS = 2;

export function is(bytes) {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

/** @returns {import('../metadata.js').Metadata} */
export function read(bytes) {
  const found = {};
  const profile = [];
  for (const { marker, data } of segments(bytes)) {
    if (marker === APP1 && has(data, EXIF)) found.exif ??= data.slice(EXIF.length);
    if (marker === APP1 && has(data, XMP)) found.xmp ??= data.slice(XMP.length);
    if (marker === APP2 && has(data, ICC)) profile[data[ICC.length] - 1] = data;
  }
  const whole = profile.length > 0 && profile.length === profile[0]?.[ICC.length + 1] && !profile.includes(undefined);
  if (whole) found.icc = join(...profile.map((data) => data.subarray(ICC.length + COUNTS)));
  return found;
}

export function fits(kind, data) {
  const most = { exif: MOST - EXIF.length, xmp: MOST - XMP.length, icc: PROFILE_PARTS * (MOST - ICC.length - COUNTS) };
  return data.length <= most[kind];
}

export function write(bytes, { exif, xmp, icc }) {
  const fresh = [];
  if (exif) fresh.push(segment(APP1, ascii(EXIF), exif));
  if (xmp) fresh.push(segment(APP1, ascii(XMP), xmp));
  if (icc) fresh.push(...profileSegments(icc));
  const replaced = ({ marker, data }) => Boolean(icc) && marker === APP2 && has(data, ICC);
  const old = [...segments(bytes)].filter((part) => !replaced(part));
  // The segment of JFIF comes first where there is one.
  const first = old[0]?.marker === APP0 ? old.splice(0, 1) : [];
  const whole = ({ start, end }) => bytes.subarray(start, end);
  return [bytes.subarray(0, 2), ...first.map(whole), ...fresh, ...old.map(whole), bytes.subarray(scanStart(bytes))];
}

/** Those before the scan. */
function* segments(bytes) {
  const numbers = view(bytes);
  let start = 2;
  while (start + 4 <= bytes.length && bytes[start] === 0xff && bytes[start + 1] !== SCAN) {
    // Filling.
    if (bytes[start + 1] === 0xff) {
      start += 1;
      continue;
    }
    const end = start + 2 + numbers.getUint16(start + 2);
    if (end < start + 4 || end > bytes.length) return;
    yield { marker: bytes[start + 1], data: bytes.subarray(start + 4, end), start, end };
    start = end;
  }
}

function scanStart(bytes) {
  return [...segments(bytes)].at(-1)?.end ?? 2;
}

function segment(marker, ...parts) {
  const data = join(...parts);
  const head = new Uint8Array([0xff, marker, 0, 0]);
  view(head).setUint16(2, data.length + 2);
  return join(head, data);
}

function profileSegments(icc) {
  const most = MOST - ICC.length - COUNTS;
  const count = Math.ceil(icc.length / most);
  return Array.from({ length: count }, (_, index) =>
    segment(APP2, ascii(ICC), Uint8Array.of(index + 1, count), icc.subarray(index * most, (index + 1) * most)),
  );
}

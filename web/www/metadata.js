// What a photo file says beside its pixels: EXIF, XMP and the ICC profile. Read from the photo, put right for the
// result, and written into the file that the browser made of it.

import * as exif from './metadata/exif.js';
import * as jpeg from './metadata/jpeg.js';
import * as png from './metadata/png.js';
import * as webp from './metadata/webp.js';
import * as xmp from './metadata/xmp.js';

/**
 * `exif` from its byte-order mark on, `xmp` the packet, `icc` the profile; what the photo does not have is undefined.
 * @typedef {{ exif?: Uint8Array, xmp?: Uint8Array, icc?: Uint8Array }} Metadata
 */

const FORMATS = { jpeg, png, webp };
/** In words for the visitor. */
const NAMES = { exif: 'EXIF', xmp: 'XMP', icc: 'the ICC profile' };

/** `jpeg`, `png`, `webp`, or undefined for any other file. */
export function formatOf(bytes) {
  return Object.keys(FORMATS).find((name) => FORMATS[name].is(bytes));
}

/**
 * Reads the metadata of a photo; damaged parts count as absent.
 * @param {Uint8Array} bytes the file
 * @returns {Promise<Metadata>}
 */
export async function read(bytes) {
  const format = formatOf(bytes);
  return format ? FORMATS[format].read(bytes) : {};
}

/**
 * The metadata as they hold for the result: upright, of that size, without a thumbnail of the photo before.
 * @param {Metadata} metadata
 * @param {{ width: number, height: number }} size of the result
 * @returns {Metadata}
 */
export function forResult(metadata, size) {
  return {
    exif: metadata.exif && exif.forResult(metadata.exif, size),
    xmp: metadata.xmp && xmp.forResult(metadata.xmp),
    icc: metadata.icc,
  };
}

/**
 * Puts metadata into a file that has none, or only a profile; that one stays unless there is another.
 * @param {Uint8Array} bytes a JPEG, PNG or WebP file
 * @param {Metadata} metadata
 * @returns {Promise<{ parts: Uint8Array[], lost: string[] }>} the parts of the new file, and what it cannot hold
 */
export async function write(bytes, metadata) {
  const format = FORMATS[formatOf(bytes)];
  const fits = Object.entries(metadata).filter(([kind, data]) => data && format.fits(kind, data));
  const lost = Object.keys(metadata).filter((kind) => metadata[kind] && !fits.some(([other]) => other === kind));
  return { parts: await format.write(bytes, Object.fromEntries(fits)), lost: lost.map((kind) => NAMES[kind]) };
}

// Opening a photo. Browsers show what there is of a file that ends too early; that is refused here.

import { formatOf, read } from './metadata.js';
import { colorSpaceFor } from './wide.js';

/** A photo that cannot be opened; its message is for the visitor. */
export class PhotoError extends Error {
  kind = 'photo';
}

/**
 * Decodes a photo, EXIF orientation applied. `colorSpace` is that of the canvases that it is to be drawn on: the
 * browser converts its colours to that. `format` is undefined for others than JPEG, PNG and WebP.
 * @param {Blob} file
 * @returns {Promise<{ bitmap: ImageBitmap, colorSpace: 'srgb' | 'display-p3', format?: string }>}
 */
export async function decode(file) {
  const buffer = await file.arrayBuffer().catch(() => {
    throw new PhotoError('the file cannot be read; choose it again if it has changed');
  });
  const bytes = new Uint8Array(buffer);
  if (!isWhole(bytes)) throw new PhotoError('the file ends too early; it is damaged');
  const { icc } = await read(bytes);
  const colorSpace = await colorSpaceFor(icc);
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new PhotoError('this is no photo that the browser can open; use PNG, JPEG or WebP');
  });
  return { bitmap, colorSpace, format: formatOf(bytes) };
}

/** Whether a PNG, JPEG or WebP file reaches its end; other formats are left to the browser. */
export function isWhole(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (starts(bytes, [0x89, 0x50, 0x4e, 0x47])) return hasPngEnd(bytes, view);
  if (starts(bytes, [0xff, 0xd8])) return hasJpegEnd(bytes, view);
  if (starts(bytes, [0x52, 0x49, 0x46, 0x46])) return bytes.length >= 12 && view.getUint32(4, true) + 8 <= bytes.length;
  return true;
}

function starts(bytes, magic) {
  return magic.every((byte, index) => bytes[index] === byte);
}

function hasPngEnd(bytes, view) {
  const END = 0x49454e44;
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === END) return true;
  }
  return false;
}

// Thumbnails have an end of their own: only one after the start of the scan counts.
function hasJpegEnd(bytes, view) {
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    at += bytes[at + 1] === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  for (let end = bytes.indexOf(0xff, at + 2); end >= 0; end = bytes.indexOf(0xff, end + 1)) {
    if (bytes[end + 1] === 0xd9) return true;
  }
  return false;
}

// The pixels of a canvas as a file: what the browser makes, and the photo's metadata in it.

import { forResult, read, write } from './metadata.js';
import { spaceOf } from './metadata/icc.js';
import { PhotoError } from './photo.js';
import { profileOf } from './wide.js';

/** The formats that browsers write. */
export const FORMATS = {
  jpeg: { name: 'JPEG', type: 'image/jpeg', endings: ['jpg', 'jpeg', 'jpe', 'jfif'], lossy: true },
  webp: { name: 'WebP', type: 'image/webp', endings: ['webp'], lossy: true },
  png: { name: 'PNG', type: 'image/png', endings: ['png'], lossy: false },
};

/** Whether this browser writes files of that format. */
export async function canWrite(format) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
  return Boolean(await encode(canvas, format).catch(() => false));
}

/**
 * The canvas as it is now; it may change as soon as this has been called.
 * @param {HTMLCanvasElement} canvas
 * @param {string} format a key of FORMATS
 * @param {number} [quality] 0 to 1
 * @returns {Promise<Blob>}
 */
export function encode(canvas, format, quality) {
  const { name, type } = FORMATS[format];
  const refused = new PhotoError(`this browser cannot make a ${name} file of ${canvas.width} x ${canvas.height} pixels`);
  return new Promise((resolve, reject) => {
    // A browser that does not know the type makes a PNG.
    canvas.toBlob((blob) => (blob?.type === type ? resolve(blob) : reject(refused)), type, quality);
  });
}

/**
 * The result as a file that says what the photo said: EXIF, XMP, and the profile if it means the canvas's colours.
 * @param {HTMLCanvasElement} canvas may change as soon as this has been called
 * @param {{ file: Blob, colorSpace: string, mayBeTransparent: boolean }} photo that it was made of
 * @param {{ format: string, quality?: number }} as
 * @returns {Promise<{ blob: Blob, lost: string[] }>} `lost`: what the format cannot hold, in words
 */
export async function encodeAs(canvas, { file, colorSpace, mayBeTransparent }, { format, quality }) {
  const { width, height } = canvas;
  const onWhite = format === 'jpeg' && mayBeTransparent;
  const [encoded, photo] = await Promise.all([
    encode(onWhite ? copyOnWhite(canvas, colorSpace) : canvas, format, quality).then(bytesOf),
    bytesOf(file).then(read),
  ]);
  const metadata = forResult(photo, { width, height });
  // Other colours have been converted to the canvas's, and its profile says which those are.
  if (!metadata.icc || spaceOf(metadata.icc) !== colorSpace) metadata.icc = await profileOf(colorSpace);
  const { parts, lost } = await write(encoded, metadata);
  if (photo.exif && !metadata.exif) lost.push('EXIF, which is damaged');
  if (photo.xmp && !metadata.xmp) lost.push('XMP, which is damaged');
  return { blob: new Blob(parts, { type: FORMATS[format].type }), lost };
}

async function bytesOf(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}

/** JPEG knows no transparency, and black would show through. */
function copyOnWhite(canvas, colorSpace) {
  const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
  const context = copy.getContext('2d', { colorSpace });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  return copy;
}

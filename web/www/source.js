// A photo as the network reads it: rectangles of RGBA, alpha not multiplied in.

import { decode } from './photo.js';

/**
 * @param {Blob | ImageData} photo a file, or pixels
 * @returns {Promise<{ width: number, height: number, colorSpace: 'srgb' | 'display-p3', close: () => void,
 *   read: (x: number, y: number, width: number, height: number) => Uint8ClampedArray }>}
 */
export function open(photo) {
  return photo instanceof Blob ? openFile(photo) : openPixels(photo);
}

/** Reads through one small canvas, so that there is no second copy of the photo. */
async function openFile(file) {
  const { bitmap, colorSpace } = await decode(file);
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext('2d', { colorSpace, willReadFrequently: true });
  const read = (x, y, width, height) => {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.globalCompositeOperation = 'copy';
    context.drawImage(bitmap, x, y, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  return { width: bitmap.width, height: bitmap.height, colorSpace, read, close: () => bitmap.close() };
}

async function openPixels({ width, height, colorSpace, data }) {
  const read = (left, top, columns, rows) => {
    const part = new Uint8ClampedArray(4 * columns * rows);
    for (let y = 0; y < rows; y += 1) {
      const start = 4 * ((top + y) * width + left);
      part.set(data.subarray(start, start + 4 * columns), 4 * columns * y);
    }
    return part;
  };
  return { width, height, colorSpace, read, close() {} };
}

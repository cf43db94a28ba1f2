// What a user of the package writes; the test calls it.

import { open, type Restorer } from '@dino-ir/web';

async function photo(url: string): Promise<ImageBitmap> {
  const response = await fetch(url);
  return createImageBitmap(await response.blob());
}

function pixelsOf(bitmap: ImageBitmap, colorSpace: PredefinedColorSpace = 'srgb'): ImageData {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { colorSpace })!;
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** The same colours in sRGB. */
function inSrgb(pixels: ImageData): Uint8ClampedArray {
  const { width, height, colorSpace } = pixels;
  const context = new OffscreenCanvas(width, height).getContext('2d', { colorSpace })!;
  context.putImageData(pixels, 0, 0);
  return context.getImageData(0, 0, width, height, { colorSpace: 'srgb' }).data;
}

function meanDifference(one: Uint8ClampedArray, other: Uint8ClampedArray): number {
  return one.reduce((sum, value, at) => sum + Math.abs(value - other[at]!), 0) / one.length;
}

const base64 = (data: Uint8ClampedArray): string => {
  let text = '';
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return btoa(text);
};

/** Why it fails. */
const failure = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'it did not', String);

async function restoreOne(url: string) {
  const notes: string[] = [];
  let tiles = 0;
  const restorer: Restorer = await open({ backend: 'cpu', onNote: (text) => notes.push(text) });
  const bitmap = await photo(url);
  const restored = await restorer.restore(bitmap, { onProgress: ({ total }) => (tiles = total) });
  restorer.close();
  return { backend: restorer.backend, notes, tiles, width: restored.width, height: restored.height, rgba: base64(restored.data) };
}

async function restoreMany(url: string) {
  const restorer = await open({ backend: 'cpu' });
  const bitmap = await photo(url);
  const pixels = pixelsOf(bitmap);
  const stop = new AbortController();
  const [ofBitmap, ofPixels, aborted, none, half] = await Promise.all([
    restorer.restore(bitmap),
    restorer.restore(pixels),
    failure(restorer.restore(pixels, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) })),
    restorer.restore(pixels, { strength: 0 }),
    restorer.restore(pixels, { strength: 0.5 }),
  ]);
  const grain = await restorer.restore(pixels, { removal: { noise: 0 } });
  const kept = await restorer.restore(pixels, { removal: { noise: 0, blur: 0, rain: 0, haze: 0, jpeg: 0 } });
  const p3 = await restorer.restore(pixelsOf(bitmap, 'display-p3'));
  // @ts-expect-error: no such fault.
  const fault = await failure(restorer.restore(pixels, { removal: { snow: 1 } }));
  const share = await failure(restorer.restore(pixels, { removal: { haze: 2 } }));
  const off = half.data.map((value, at) => Math.abs(value - (pixels.data[at]! + ofPixels.data[at]!) / 2));
  // @ts-expect-error: a file is no photo yet.
  const wrong = await failure(restorer.restore(new Blob()));
  const range = await failure(restorer.restore(pixels, { strength: 2 }));
  const unfinished = await failure(restorer.restore(pixels, { onProgress: () => restorer.close() }));
  return {
    same: base64(ofBitmap.data) === base64(ofPixels.data),
    changed: base64(ofPixels.data) !== base64(pixels.data),
    untouched: base64(none.data) === base64(pixels.data),
    off: Math.max(...off),
    grain: meanDifference(grain.data, ofPixels.data),
    kept: base64(kept.data) === base64(pixels.data),
    wide: [p3.colorSpace, meanDifference(inSrgb(p3), ofPixels.data)],
    refused: [fault, share],
    failures: [aborted, wrong, range, unfinished, await failure(restorer.restore(pixels))],
    weights: await failure(open({ backend: 'cpu', weights: new Blob(['not weights']) })),
  };
}

Object.assign(window, { restoreOne, restoreMany });

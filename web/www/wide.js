// Canvases for colours beyond sRGB, where the browser has them.

import { read } from './metadata.js';
import { spaceOf } from './metadata/icc.js';

const WIDE = 'display-p3';
let profile;

/**
 * The profile that says which colours the pixels of a canvas are; none for sRGB, which files mean anyway.
 * @returns {Promise<Uint8Array | undefined>}
 */
export async function profileOf(colorSpace) {
  return colorSpace === WIDE ? wideProfile() : undefined;
}

/**
 * The colour space that a photo with this profile needs, if the browser has it and says so in its files.
 * @param {Uint8Array} [icc]
 * @returns {Promise<'srgb' | 'display-p3'>}
 */
export async function colorSpaceFor(icc) {
  const beyondSrgb = icc && [WIDE, 'wide'].includes(spaceOf(icc));
  return beyondSrgb && (await wideProfile()) ? WIDE : 'srgb';
}

function wideProfile() {
  profile ??= find().catch(() => undefined);
  return profile;
}

async function find() {
  const canvas = new OffscreenCanvas(1, 1);
  canvas.getContext('2d', { colorSpace: WIDE }).fillRect(0, 0, 1, 1);
  const file = await canvas.convertToBlob({ type: 'image/png' });
  const { icc } = await read(new Uint8Array(await file.arrayBuffer()));
  return icc && spaceOf(icc) === WIDE ? icc : undefined;
}

// Which colours an ICC profile means: those of a canvas, sRGB or display-p3, or others.

import { text, view } from './bytes.js';

/** Columns of the matrix to XYZ under D50, rows of the three colours. */
const PRIMARIES = {
  srgb: [0.4361, 0.2225, 0.0139, 0.3851, 0.7169, 0.0971, 0.1431, 0.0606, 0.7141],
  'display-p3': [0.5151, 0.2412, -0.0011, 0.292, 0.6922, 0.0419, 0.1571, 0.0666, 0.7844],
};
/** Profiles are rounded, and some are rounded coarsely: no eye sees it. */
const NEAR = 0.002;
/** As above, of values between 0 and 1. */
const NEAR_CURVE = 0.005;

/**
 * `srgb` or `display-p3` if the profile says what a canvas of that name says; `wide` for other colours of red, green
 * and blue, which may lie beyond sRGB; `other` where sRGB's primaries have another curve, and for grey and inks.
 * @param {Uint8Array} icc
 * @returns {'srgb' | 'display-p3' | 'wide' | 'other'}
 */
export function spaceOf(icc) {
  try {
    if (text(icc, 16, 20) !== 'RGB ') return 'other';
    const tags = tagsOf(icc);
    const primaries = ['rXYZ', 'gXYZ', 'bXYZ'].flatMap((name) => (tags[name] ? xyz(tags[name]) : [NaN]));
    const near = (name) => PRIMARIES[name].every((value, index) => Math.abs(value - primaries[index]) < NEAR);
    // A table says more than the matrix beside it.
    const name = tags.A2B0 ? undefined : Object.keys(PRIMARIES).find(near);
    if (!name) return 'wide';
    if (['rTRC', 'gTRC', 'bTRC'].every((curve) => tags[curve] && isCurveOfSrgb(tags[curve]))) return name;
    return name === 'srgb' ? 'other' : 'wide';
  } catch (error) {
    // It points out of itself.
    if (error instanceof RangeError) return 'other';
    throw error;
  }
}

/** Each tag's bytes. */
function tagsOf(icc) {
  const numbers = view(icc);
  const tags = {};
  const count = Math.min(numbers.getUint32(128), 100);
  for (let at = 132; at < 132 + count * 12; at += 12) {
    const [start, length] = [numbers.getUint32(at + 4), numbers.getUint32(at + 8)];
    tags[text(icc, at, at + 4)] = icc.subarray(start, start + length);
  }
  return tags;
}

const fixed = (numbers, at) => numbers.getInt32(at) / 65536;

function xyz(tag) {
  const numbers = view(tag);
  return [8, 12, 16].map((at) => fixed(numbers, at));
}

function isCurveOfSrgb(tag) {
  const curve = { curv: sampled, para: parametric }[text(tag, 0, 4)]?.(view(tag));
  const srgb = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return Boolean(curve) && [0.02, 0.1, 0.25, 0.5, 0.75, 0.9].every((value) => Math.abs(curve(value) - srgb(value)) < NEAR_CURVE);
}

/** One number is a power, none is a straight line. */
function sampled(numbers) {
  const count = numbers.getUint32(8);
  if (count === 0) return (value) => value;
  if (count === 1) return (value) => value ** (numbers.getUint16(12) / 256);
  const sample = (index) => numbers.getUint16(12 + 2 * Math.min(index, count - 1)) / 65535;
  return (value) => {
    const place = value * (count - 1);
    const below = Math.floor(place);
    return sample(below) + (sample(below + 1) - sample(below)) * (place - below);
  };
}

/** A power above a place, a straight line below it. */
function parametric(numbers) {
  const kind = numbers.getUint16(8);
  const count = [1, 3, 4, 5, 7][kind];
  if (!count) return undefined;
  const [power, scale = 1, shift = 0, slope = 0, place = kind < 3 ? -shift / scale : 0, above = 0, below = 0] =
    Array.from({ length: count }, (_, index) => fixed(numbers, 12 + 4 * index));
  const lift = kind === 2 ? slope : above;
  const line = kind === 2 ? () => slope : (value) => slope * value + below;
  return (value) => (value >= place ? (scale * value + shift) ** power + lift : line(value));
}

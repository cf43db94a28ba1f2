// Which of the program's modules a browser gets.

import { modules } from './assets.js';

/** A module that is one `f32x4.relaxed_madd`. */
const RELAXED = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0], // the mark and version of WebAssembly
  ...[1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0], // one function, which gives a vector
  ...[10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11],
);

/**
 * The names of the modules for a backend, the best first; a later one does where an earlier one cannot be had. On the CPU
 * they have relaxed SIMD, which multiplies and adds in one instruction, where the browser has that; and threads, where
 * the page may have memory that they share.
 * @param {'webgpu' | 'cpu'} backend
 * @param {boolean} threads whether they are wanted
 * @returns {('webgpu' | 'threads' | 'relaxed' | 'cpu')[]}
 */
export function namesFor(backend, threads = true) {
  if (backend !== 'cpu' || !WebAssembly.validate(RELAXED)) return [backend];
  const shared = threads && modules.threads && self.crossOriginIsolated && navigator.hardwareConcurrency > 1;
  return shared ? ['threads', 'relaxed'] : ['relaxed'];
}

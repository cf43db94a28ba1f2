// Which of the program's modules a browser gets.

/** A module that is one `f32x4.relaxed_madd`. */
const RELAXED = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0], // the mark and version of WebAssembly
  ...[1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0], // one function, which gives a vector
  ...[10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11],
);

/**
 * The name of the module for a backend. On the CPU the one with relaxed SIMD, which multiplies and adds in one instruction,
 * where the browser has that.
 * @param {'webgpu' | 'cpu'} backend
 * @returns {'webgpu' | 'relaxed' | 'cpu'}
 */
export function nameFor(backend) {
  return backend === 'cpu' && WebAssembly.validate(RELAXED) ? 'relaxed' : backend;
}

// What the visitor is told about an error.

/** @returns {string} */
export function reason(error) {
  // A module that aborts says no more than `unreachable`.
  if (error instanceof WebAssembly.RuntimeError) return 'no memory left, or a fault in the program';
  return String(error?.message ?? error);
}

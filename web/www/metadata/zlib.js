// Compressed parts of files, by what the browser has.

import { join } from './bytes.js';

/** @returns {Promise<Uint8Array>} */
export async function deflate(bytes) {
  return new Uint8Array(await new Response(through(bytes, new CompressionStream('deflate'))).arrayBuffer());
}

/** @returns {Promise<Uint8Array | undefined>} nothing if it is damaged or becomes larger than `most` bytes */
export async function inflate(bytes, most) {
  const parts = [];
  let length = 0;
  try {
    const reader = through(bytes, new DecompressionStream('deflate')).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      length += part.value.length;
      if (length > most) return undefined;
      parts.push(part.value);
    }
  } catch {
    return undefined;
  }
  return join(...parts);
}

function through(bytes, transform) {
  return new Blob([bytes]).stream().pipeThrough(transform);
}

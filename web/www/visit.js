// What the first visit costs, and from when on there need be no network.

import { download, modules, weights } from './assets.js';
import { nameFor } from './modules.js';
import { areKept } from './store.js';

const element = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** Says how much is about to be fetched, if it is not here already. */
export async function announce(backend) {
  if (await areKept(filesOf(backend))) return;
  const { bytes, compressed } = download[nameFor(backend)];
  element('visit').textContent =
    `The first visit fetches the program and the network: ${megabytes(compressed)} MB, ` +
    `or ${megabytes(bytes)} MB from a server that does not compress.`;
}

/** Says that the page works offline as soon as it does. */
export async function confirm(backend) {
  if (!('serviceWorker' in navigator)) return;
  await navigator.serviceWorker.ready;
  if (await areKept(filesOf(backend))) element('visit').textContent = 'Works offline now.';
}

function filesOf(backend) {
  return [modules[nameFor(backend)].wasm, weights];
}

// What the first visit costs, and from when on there need be no network.

import { download, modules, weights } from './assets.js';
import { namesFor } from './modules.js';
import { areKept } from './store.js';

const element = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** Says how much is about to be fetched, if it is not here already. */
export async function announce(backend) {
  if (await isKept(backend)) return;
  const { bytes, compressed } = download[namesFor(backend)[0]];
  element('visit').textContent =
    `The first visit fetches the program and the network: ${megabytes(compressed)} MB, ` +
    `or ${megabytes(bytes)} MB from a server that does not compress.`;
}

/** Says that the page works offline as soon as it does. */
export async function confirm(backend) {
  if (!('serviceWorker' in navigator)) return;
  await navigator.serviceWorker.ready;
  if (await isKept(backend)) element('visit').textContent = 'Works offline now.';
}

/** Whether a program that does, and the network, are kept. */
async function isKept(backend) {
  const kept = namesFor(backend).map((name) => areKept([modules[name].wasm, weights]));
  return (await Promise.all(kept)).includes(true);
}

// Files whose names hold a hash of their content never change: they are kept until the page has other ones.

/** As in service-worker.js. */
const STORE = `dino-ir ${new URL('.', import.meta.url).href} files`;

/** A file of the page does not come, or not as it is meant to be. */
export class LoadError extends Error {
  kind = 'connection';

  /** @param {string} what */
  constructor(what) {
    super(`${what} cannot be loaded; check the connection, or close every tab of this page and open it again`);
  }
}

/**
 * A file of the page that `assets.js` names; `hash` is the start of its SHA-256.
 * @typedef {{ url: string, hash: string, bytes: number }} Asset
 */

/**
 * The file, from the store or the server.
 * @param {Asset} asset
 * @param {{ keeps: boolean, loaded: (bytes: number) => void }} how whether it is put into the store; told how much has arrived
 * @returns {Promise<ArrayBuffer>}
 */
export async function load({ url, hash }, { keeps, loaded }) {
  // Without a secure context there is no store, and the file comes from the server each time.
  const store = keeps && (await self.caches?.open(STORE).catch(() => undefined));
  const kept = store && (await (await store.match(url))?.arrayBuffer());
  if (kept && (await isWhole(hash, kept))) return kept;
  const response = await fetch(url).catch(() => undefined);
  const fresh = response?.ok && (await read(response, loaded).catch(() => undefined));
  // Some servers answer with a page where a file is missing.
  if (!fresh || !(await isWhole(hash, fresh))) throw new LoadError(url.split('/').at(-1));
  if (store) await store.put(url, new Response(fresh)).catch(() => {});
  return fresh;
}

/**
 * Whether files of the page are kept for visits without a network.
 * @param {Asset[]} assets
 */
export async function areKept(assets) {
  const store = await self.caches?.open(STORE).catch(() => undefined);
  const found = await Promise.all(assets.map(({ url }) => store?.match(url)));
  return found.every(Boolean);
}

async function isWhole(hash, bytes) {
  // There too only in a secure context.
  if (!crypto.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const found = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return found.startsWith(hash);
}

async function read(response, loaded) {
  const parts = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    bytes += part.value.length;
    loaded(bytes);
  }
  return new Blob(parts).arrayBuffer();
}

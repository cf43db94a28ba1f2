// Files whose names hold a hash of their content never change: they are kept until the page has other ones.

const STORE = 'dino-ir-files';

/**
 * The file, from the store or the server.
 * @param {string} url
 * @param {(bytes: number) => void} loaded told how much has arrived
 * @returns {Promise<Response>}
 */
export async function load(url, loaded = () => {}) {
  // Without a secure context there is no store, and the file comes from the server each time.
  const store = await self.caches?.open(STORE).catch(() => undefined);
  const kept = await store?.match(url);
  if (kept) return kept;
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok) throw new Error(`${url} cannot be loaded; check the connection`);
  const body = await read(response, loaded);
  const whole = () => new Response(body, { headers: { 'Content-Type': response.headers.get('Content-Type') ?? '' } });
  await store?.put(url, whole()).catch(() => {});
  return whole();
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
  return new Blob(parts);
}

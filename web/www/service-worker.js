// Keeps the page for visits without a network. `web/build` puts the version and the files in.

const VERSION = 'BUILD_VERSION';
const PAGE = BUILD_PAGE;
const LARGE = BUILD_LARGE;

// An origin has one list of caches and maybe several of these pages.
const OURS = `dino-ir ${registration.scope} `;
const KEPT = OURS + VERSION;
/** As in store.js. */
const FILES = `${OURS}files`;
/** The paths of the page itself. */
const HOME = ['./', 'index.html'].map((file) => new URL(file, registration.scope).pathname);

// A newer version then waits until every tab of the older one is closed: those need the files they came with.
addEventListener('install', (event) => {
  event.waitUntil(Promise.all([keepPage(), renewFiles()]));
});

addEventListener('activate', (event) => {
  event.waitUntil(forgetOld().then(() => clients.claim()));
});

addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== 'GET' || origin !== location.origin) return;
  // Large files are kept by the worker that loads them.
  if (LARGE.some((file) => pathname.endsWith(`/${file}`))) return;
  // One answer for both: where a server redirects index.html, what is kept of that is no answer to a visit.
  const key = HOME.includes(pathname) ? './' : event.request;
  event.respondWith(caches.open(KEPT).then((cache) => cache.match(key, { ignoreSearch: true })).then((kept) => kept ?? fetch(event.request)).then(isolated));
});

/** With the headers that let the page's threads share memory, for servers that do not send them. */
function isolated(response) {
  const { status, statusText, body } = response;
  if (status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(body, { status, statusText, headers });
}

async function keepPage() {
  const cache = await caches.open(KEPT);
  // Not from the browser's own cache: an older page may be there.
  await cache.addAll(PAGE.map((file) => new Request(file, { cache: 'no-cache' })));
}

/** A visitor who had the network before must not be without it after the next visit. */
async function renewFiles() {
  const files = await caches.open(FILES);
  const kind = (url) => url.split('/').at(-1).split('.')[0];
  const kept = new Set((await files.keys()).map(({ url }) => kind(url)));
  for (const file of LARGE) {
    if (kept.has(kind(file)) && !(await files.match(file))) await files.add(file);
  }
}

async function forgetOld() {
  for (const name of await caches.keys()) {
    if (name !== KEPT && name !== FILES && name.startsWith(OURS)) await caches.delete(name);
  }
  const files = await caches.open(FILES);
  for (const request of await files.keys()) {
    if (!LARGE.some((file) => request.url.endsWith(`/${file}`))) await files.delete(request);
  }
}

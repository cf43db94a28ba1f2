// Keeps the page for visits without a network. `web/build` puts the version and the files in.

const VERSION = 'BUILD_VERSION';
const PAGE = BUILD_PAGE;
const LARGE = BUILD_LARGE;
const FILES = 'dino-ir-files';

addEventListener('install', (event) => {
  event.waitUntil(Promise.all([keepPage(), renewFiles()]).then(() => skipWaiting()));
});

addEventListener('activate', (event) => {
  event.waitUntil(forgetOld().then(() => clients.claim()));
});

addEventListener('fetch', (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== 'GET' || origin !== location.origin) return;
  // Large files are kept by the worker that loads them.
  if (LARGE.some((file) => pathname.endsWith(`/${file}`))) return;
  const key = mode === 'navigate' ? './' : event.request;
  event.respondWith(caches.open(VERSION).then((cache) => cache.match(key, { ignoreSearch: true })).then((kept) => kept ?? fetch(event.request)));
});

async function keepPage() {
  const cache = await caches.open(VERSION);
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
    if (name !== VERSION && name !== FILES && name.startsWith('dino-ir')) await caches.delete(name);
  }
  const files = await caches.open(FILES);
  for (const request of await files.keys()) {
    if (!LARGE.some((file) => request.url.endsWith(`/${file}`))) await files.delete(request);
  }
}

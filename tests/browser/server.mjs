// Serves a folder as any static server does.

import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.jpg': 'image/jpeg',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/**
 * Listens on a free port of this machine; `before(path)` may delay an answer until its promise is settled, and give
 * a page of its own instead. `headers` come with every file.
 */
export async function serve(folder, before = async () => {}, headers = {}) {
  const server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    const path = join(folder, normalize(pathname.endsWith('/') ? `${pathname}index.html` : pathname));
    const instead = await before(pathname);
    if (instead) return response.writeHead(200, { 'Content-Type': TYPES['.html'] }).end(instead);
    if (!existsSync(path) || !statSync(path).isFile()) return response.writeHead(404).end();
    response.writeHead(200, { ...headers, 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' });
    createReadStream(path).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  // One that a failed test has left behind does not keep the tests from ending.
  server.unref();
  return { origin: `http://localhost:${server.address().port}`, close: () => server.close() };
}

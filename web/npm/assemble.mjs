// node assemble.mjs PAGE FOLDER: makes the package @dino-ir/web of the page that web/build made. `npm pack FOLDER` makes one
// file of it. The package's own code is here; all the rest are files of the page, those that its engine needs.

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [page, folder] = process.argv.slice(2);
if (!folder) throw new Error('usage: node assemble.mjs PAGE FOLDER');
if (!existsSync(join(page, 'engine.js'))) throw new Error(`${page} holds no page: make one with web/build`);
if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`);
const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');

for (const file of needed('engine.js')) {
  const target = join(folder, 'lib', file);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(page, file), target);
}
for (const file of ['index.js', 'index.d.ts', 'README.md']) cpSync(join(here, file), join(folder, file));
for (const file of ['LICENSE-MIT', 'LICENSE-APACHE']) cpSync(join(root, file), join(folder, file));
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(description(), null, 2)}\n`);

/** A file of the page and all that it names, directly or not: scripts, workers, modules, weights. */
function needed(first) {
  const found = new Set([first]);
  for (const file of found) {
    if (!file.endsWith('.js')) continue;
    const code = readFileSync(join(page, file), 'utf8');
    const named = code.matchAll(/(?:\bfrom |\bimport\(|\bnew URL\()'(\.[^']+)'/g);
    for (const [, name] of named) {
      const path = resolve('/', dirname(file), name).slice(1);
      if (existsSync(join(page, path))) found.add(path);
    }
  }
  return found;
}

function description() {
  const workspace = readFileSync(join(root, 'Cargo.toml'), 'utf8');
  const value = (name) => new RegExp(`^${name} = "(.*)"$`, 'm').exec(workspace)[1];
  return {
    name: '@dino-ir/web',
    version: value('version'),
    description: 'Removes noise, rain, haze and blur from photos in the browser, on WebGPU or the CPU',
    keywords: ['image', 'restoration', 'denoising', 'dehazing', 'photo', 'webgpu', 'wasm'],
    license: value('license'),
    repository: { type: 'git', url: `git+${value('repository')}.git` },
    type: 'module',
    exports: { types: './index.d.ts', default: './index.js' },
    types: './index.d.ts',
    publishConfig: { access: 'public' },
    files: ['index.js', 'index.d.ts', 'lib', 'LICENSE-*'],
  };
}

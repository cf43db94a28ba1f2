// The package @dino-ir/web, made of the page, installed into a fresh project, type-checked and bundled there. tests/tests/web.rs
// compares the pixels with the program's.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { input, launch, open, result } from './browser.mjs';
import { serve } from './server.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const tool = (path) => join(process.env.VITE, path);
const folder = mkdtempSync(join(tmpdir(), 'dino-ir-npm-'));
const project = join(folder, 'project');

const run = (program, args, cwd) => {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`${[program, ...args].join(' ')}:\n${error.stdout}${error.stderr}`);
  }
};
const node = (...args) => run(process.execPath, args, project);

let server;
let browser;
before(async () => {
  const contents = join(folder, 'package');
  run(process.execPath, [here('../../web/npm/assemble.mjs'), process.env.PAGE, contents]);
  const file = run('npm', ['pack', '--silent', contents], folder).trim();
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  run('npm', ['install', '--silent', '--offline', '--no-audit', '--no-fund', join(folder, file)], project);
  cpSync(here('npm'), project, { recursive: true });
  mkdirSync(join(project, 'public'));
  for (const name of ['noisy.png', 'small.png']) cpSync(input(name), join(project, 'public', name));
  node(tool('typescript/bin/tsc'), '--project', '.');
  node(tool('vite/bin/vite.js'), 'build', '--logLevel', 'warn');
  [server, browser] = await Promise.all([serve(join(project, 'dist')), launch({ webgpu: false })]);
});
after(async () => {
  await Promise.all([browser?.close(), server?.close()]);
  rmSync(folder, { recursive: true });
});

test('the package restores pixels in a bundled project', async () => {
  const { page, outside, errors, context } = await open(browser, server.origin);
  const { rgba, width, height, ...said } = await page.evaluate(() => restoreOne('noisy.png'));
  assert.deepEqual(said, { backend: 'cpu', notes: [], tiles: said.tiles });
  assert.ok(said.tiles > 1);
  writeFileSync(result('npm.rgba'), Buffer.from(rgba, 'base64'));
  assert.deepEqual([width, height], [392, 300]);
  assert.deepEqual([outside, errors], [[], []]);
  // Nothing is left behind in the storage of somebody else's page.
  assert.deepEqual(await page.evaluate(() => caches.keys()), []);
  await context.close();
});

test('it takes bitmaps and pixels, at any strength, can be stopped, and says what is wrong', async () => {
  const { page, errors, context } = await open(browser, server.origin);
  const { off, grain, wide, refused, failures, weights, ...found } = await page.evaluate(() => restoreMany('small.png'));
  assert.deepEqual(found, { same: true, changed: true, untouched: true, kept: true });
  assert.ok(grain > 0.1, `noise that stays is another result: ${grain}`);
  assert.equal(wide[0], 'display-p3');
  assert.ok(wide[1] < 1, `the same colours in display-p3: ${wide[1]}`);
  assert.match(refused[0], /RangeError: removal has no snow/);
  assert.match(refused[1], /RangeError: removal.haze/);
  assert.ok(off <= 1, `half the strength is half way between the two: ${off}`);
  const reasons = [/enough/, /TypeError: the photo is to be/, /RangeError: strength/, /the restorer was closed/, /the restorer is closed/];
  reasons.forEach((reason, at) => assert.match(failures[at], reason));
  assert.match(weights, /safetensors/);
  assert.deepEqual(errors, []);
  await context.close();
});

test('a bundle has each large file once', () => {
  const files = readdirSync(join(project, 'dist/assets')).map((file) => basename(file));
  for (const ending of ['cpu.*wasm', 'relaxed.*wasm', 'webgpu.*wasm', 'weights']) {
    assert.equal(files.filter((file) => new RegExp(`${ending}$`).test(file)).length, 1, `${ending}: ${files.join(', ')}`);
  }
});

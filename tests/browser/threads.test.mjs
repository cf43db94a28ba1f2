// Threads that share the network's memory: where the server's headers, or the page's own service worker, allow it.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { drop, input, launch, open, pixels, result, status } from './browser.mjs';
import { serve } from './server.mjs';

const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const device = (page) => page.locator('#device').textContent();
/** Not every compiler can make that module. */
const skip = !/^  threads: /m.test(readFileSync(join(process.env.PAGE, 'assets.js'), 'utf8')) && 'web/build left the module with threads out';
const note = (page) => page.locator('#note').textContent();

describe('threads', { skip }, () => {
  let server;
  let plain;
  let browser;
  before(async () => {
    [server, plain] = await Promise.all([serve(process.env.PAGE, undefined, ISOLATED), serve(process.env.PAGE)]);
    browser = await launch({ webgpu: false });
  });
  after(async () => {
    await browser.close();
    server.close();
    plain.close();
  });
  const cpu = ({ origin }) => `${origin}/?backend=cpu`;

  test('restore a photo in one piece', async () => {
    const { page, outside, errors, context } = await open(browser, cpu(server));
    await drop(page, input('noisy.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    assert.match(await device(page), /relaxed SIMD and \d+ threads/);
    assert.equal(await page.evaluate(() => document.querySelector('#progress').max), 1, 'one tile');
    const { width, height, rgba } = await pixels(page, '#after');
    writeFileSync(result('threads.rgba'), rgba);
    writeFileSync(result('threads.json'), JSON.stringify({ width, height }));
    assert.deepEqual([outside, errors, await note(page)], [[], [], '']);
    await context.close();
  });

  test('can be cancelled in the middle of a tile', async () => {
    const { page, context } = await open(browser, cpu(server));
    await drop(page, input('large.jpg'));
    await status(page, 'Restoring large');
    await page.locator('#cancel').click();
    await status(page, 'Cancelled');
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done: small/);
    assert.match(await device(page), /threads/);
    await context.close();
  });

  test('are there from the second visit on where the server sends no headers', async () => {
    const { page, context } = await open(browser, cpu(plain));
    await page.evaluate(() => navigator.serviceWorker.ready);
    await drop(page, input('small.png'));
    await status(page, 'Done', 'Error');
    assert.doesNotMatch(await device(page), /threads/);
    await page.reload();
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    assert.match(await device(page), /threads/);
    await context.close();
  });

  for (const [when, fault] of [
    ['cannot be started', "throw new Error('no thread today');"],
    [
      'fails at work',
      `import { modules } from './assets.js';
       addEventListener('message', async ({ data: { module, memory, faults } }) => {
         const bindings = await modules.threads.script();
         await bindings.default({ module_or_path: module, memory });
         postMessage('ready');
         new BroadcastChannel(faults).postMessage('out of luck');
       });`,
    ],
  ]) {
    test(`are done without when one ${when}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'dino-ir-page-'));
      cpSync(process.env.PAGE, folder, { recursive: true });
      writeFileSync(join(folder, 'thread.js'), fault);
      const broken = await serve(folder, undefined, ISOLATED);
      const { page, context } = await open(browser, cpu(broken));
      await drop(page, input('small.png'));
      assert.match(await status(page, 'Done', 'Error'), /^Done/);
      assert.doesNotMatch(await device(page), /threads/);
      if (when === 'fails at work') assert.match(await note(page), /out of luck. Trying again without shared memory/);
      await context.close();
      broken.close();
      rmSync(folder, { recursive: true });
    });
  }
});

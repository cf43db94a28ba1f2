// The page in Firefox: it loads, restores a small photo on the CPU and saves it. Chromium's tests go into everything else.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { difference, input, result, tags } from './browser.mjs';
import { serve } from './server.mjs';

const skip = process.env.FIREFOX ? false : 'there is no Firefox (Debian: firefox-esr)';

/** Where Firefox puts what is saved, without asking. */
function preferences(folder) {
  return {
    'browser.download.folderList': 2,
    'browser.download.dir': folder,
    'browser.download.useDownloadDir': true,
    'browser.download.always_ask_before_handling_new_types': false,
    // Nobody has to see it.
    'browser.download.alwaysOpenPanel': false,
    // Whatever this machine's Firefox is able to do, the CPU is what is tested.
    'dom.webgpu.enabled': false,
  };
}

/** The file that appears in a folder, when it is complete. */
async function arrived(folder) {
  for (let tries = 0; tries < 600; tries += 1) {
    const names = readdirSync(folder);
    if (names.length > 0 && !names.some((name) => name.endsWith('.part')) && readFileSync(join(folder, names[0])).length > 0) return join(folder, names[0]);
    await new Promise((resume) => setTimeout(resume, 100));
  }
  throw new Error('nothing was saved');
}

/** RGBA of a canvas, or of a picture given as text. */
function pixels(page, base64) {
  return page.evaluate(async (base64) => {
    let canvas = document.querySelector('#after');
    if (base64) {
      const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]));
      canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      canvas.getContext('2d').drawImage(bitmap, 0, 0);
    }
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return btoa(String.fromCharCode(...data));
  }, base64).then((text) => Buffer.from(text, 'base64'));
}

test('Firefox restores a photo on the CPU and saves it', { skip }, async () => {
  const puppeteer = createRequire(join(process.env.BIDI, 'any'))('puppeteer-core');
  const folder = mkdtempSync(join(tmpdir(), 'dino-ir-firefox-'));
  const server = await serve(process.env.PAGE);
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX,
    extraPrefsFirefox: preferences(folder),
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(300_000);
    const outside = [];
    const errors = [];
    page.on('request', (request) => request.url().startsWith('http') && !request.url().startsWith(server.origin) && outside.push(request.url()));
    page.on('pageerror', ({ message }) => errors.push(message));
    await page.goto(server.origin);
    await (await page.$('#file')).uploadFile(input('small.png'));
    const said = await page.waitForFunction(() => /^(Done|Error)/.test(document.querySelector('#status').textContent) && document.querySelector('#status').textContent);
    assert.match(await said.jsonValue(), /^Done: small\.png, 96 x 96/);
    assert.equal(await page.evaluate(() => document.querySelector('#backend').textContent), 'cpu');
    assert.match(await page.evaluate(() => document.querySelector('#note').textContent), /WebGPU cannot be used/);
    const after = await pixels(page);
    await page.click('#download');
    const path = await arrived(folder);
    assert.match(path, /small\.restored\.png$/);
    assert.equal(tags(path)['File:FileType'], 'PNG');
    assert.ok(difference(await pixels(page, readFileSync(path).toString('base64')), after) < 0.001, 'the file holds what is seen');
    writeFileSync(result('firefox.rgba'), after);
    assert.deepEqual([outside, errors], [[], []]);
  } finally {
    await browser.close();
    server.close();
    rmSync(folder, { recursive: true });
  }
});

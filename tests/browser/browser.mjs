// Chromium, and what the tests do with the page again and again.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';

const { chromium } = createRequire(join(process.env.PACKAGES, 'any'))('playwright-core');

const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** WebGPU on the processor: slow, but the same code as on a GPU. */
const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

export const input = (name) => join(process.env.INPUTS, name);
export const result = (name) => join(process.env.RESULTS, name);

export function launch({ webgpu = true } = {}) {
  const args = webgpu ? [...QUIET, ...WEBGPU] : [...QUIET, '--disable-features=WebGPU,WebGPUService'];
  return chromium.launch({ executablePath: process.env.CHROMIUM, args });
}

/**
 * Opens the page in a profile of its own; `outside` collects what it asks of other origins. `faults` are functions that
 * run in the page's worker before its own code: the first in the first worker, and so on.
 */
export async function open(browser, url, { faults = [], ...options } = {}) {
  // What a service worker serves cannot be changed on the way.
  const context = await browser.newContext({ ...options, ...(faults.length > 0 && { serviceWorkers: 'block' }) });
  await context.route('**/worker.js', async (route) => {
    const fault = faults.shift();
    const response = await route.fetch();
    await route.fulfill({ response, body: (fault ? `(${fault})();\n` : '') + (await response.text()) });
  });
  context.setDefaultTimeout(600_000);
  const outside = [];
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== new URL(url).origin) outside.push(request.url());
  });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(url);
  return { context, page, outside, errors };
}

/** Drops files on the page, as a visitor does. */
export async function drop(page, ...paths) {
  const files = paths.map((path) => ({ name: basename(path), bytes: readFileSync(path).toString('base64') }));
  await page.evaluate((files) => {
    const transfer = new DataTransfer();
    for (const { name, bytes } of files) {
      transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
    }
    document.querySelector('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, files);
}

/** Waits until the status begins with one of the words, and returns it. */
export async function status(page, ...words) {
  const handle = await page.waitForFunction((words) => {
    const { textContent } = document.querySelector('#status');
    return words.some((word) => textContent.startsWith(word)) && textContent;
  }, words);
  return handle.jsonValue();
}

/** Size and RGBA of a canvas. */
export async function pixels(page, selector) {
  const { width, height, text } = await page.evaluate((selector) => {
    const canvas = document.querySelector(selector);
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    let text = '';
    for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
    return { width, height, text: btoa(text) };
  }, selector);
  return { width, height, rgba: Buffer.from(text, 'base64') };
}

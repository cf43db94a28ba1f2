// Chromium, and what the tests do with the page again and again.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
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

/** Size and RGBA of a canvas, in the colours of the page's result. */
export async function pixels(page, selector) {
  const { width, height, text } = await page.evaluate((selector) => {
    const canvas = document.querySelector(selector);
    const { width, height } = canvas;
    const { colorSpace } = document.querySelector('#after').getContext('2d').getContextAttributes();
    const context = new OffscreenCanvas(width, height).getContext('2d', { colorSpace });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let text = '';
    for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
    return { width, height, text: btoa(text) };
  }, selector);
  return { width, height, rgba: Buffer.from(text, 'base64') };
}

/** The file that the browser downloads when something is done, where it can be read under the name that it is given. */
export async function saved(page, action) {
  const waiting = page.waitForEvent('download');
  await action();
  const download = await waiting;
  const path = join(mkdtempSync(join(tmpdir(), 'dino-ir-saved-')), download.suggestedFilename());
  await download.saveAs(path);
  return path;
}

/** What exiftool says about a file: numbers as they are stored, groups by their family. */
export function tags(path) {
  return JSON.parse(execFileSync('exiftool', ['-json', '-n', '-G1', path], { encoding: 'utf8' }))[0];
}

/** RGBA of a file, drawn on a canvas of these colours. */
export async function pixelsOf(page, path, colorSpace = 'srgb') {
  const text = await page.evaluate(async ({ base64, colorSpace }) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d', { colorSpace });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    let text = '';
    for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
    return btoa(text);
  }, { base64: readFileSync(path).toString('base64'), colorSpace });
  return Buffer.from(text, 'base64');
}

/** The mean difference of two pictures, in levels. */
export function difference(one, other) {
  return one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / one.length;
}

// The page in a real browser. The photos come from tests/tests/web.rs, which also compares the pixels that are
// written here with what the program makes of them.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { drop, input, launch, open, pixels, pixelsOf, result, status } from './browser.mjs';
import { serve } from './server.mjs';

let server;
before(async () => (server = await serve(process.env.PAGE)));
after(() => server.close());

const cpu = () => `${server.origin}/?backend=cpu`;
const backend = (page) => page.locator('#backend').textContent();

/** The most memory that any of the browser's page processes has had, in bytes. */
async function peakMemory(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const peaks = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => {
    const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, 'utf8'));
    return kibibytes * 1024;
  });
  return Math.max(...peaks);
}

async function keep(name, photo) {
  writeFileSync(result(`${name}.rgba`), photo.rgba);
  writeFileSync(result(`${name}.json`), JSON.stringify({ width: photo.width, height: photo.height }));
}

describe('with WebGPU', () => {
  let browser;
  before(async () => (browser = await launch()));
  after(() => browser.close());

  test('restores a photo on WebGPU', async () => {
    const { page, outside, errors, context } = await open(browser, server.origin);
    const adapter = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
    assert.ok(adapter, 'this browser has a WebGPU adapter');
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    assert.equal(await backend(page), 'webgpu', await page.locator('#note').textContent());
    await keep('webgpu', await pixels(page, '#after'));
    assert.deepEqual([outside, errors], [[], []]);
    await context.close();
  });

  // Runs in the worker. The device goes away when the first tile is about to be restored.
  function losesDevice() {
    const { requestDevice } = GPUAdapter.prototype;
    const devices = [];
    GPUAdapter.prototype.requestDevice = async function (...args) {
      const device = await requestDevice.apply(this, args);
      devices.push(device);
      return device;
    };
    const { postMessage } = self;
    self.postMessage = (message, ...rest) => {
      if (message.type === 'progress') devices.forEach((device) => device.destroy());
      postMessage(message, ...rest);
    };
  }

  // Runs in the worker. From the first tile on there is no memory: a buffer far beyond the limit stands for any.
  function runsOutOfMemory() {
    const { createBuffer } = GPUDevice.prototype;
    const { postMessage } = self;
    self.postMessage = (message, ...rest) => {
      if (message.type === 'progress') {
        GPUDevice.prototype.createBuffer = function (descriptor) {
          return createBuffer.call(this, { ...descriptor, size: 2 ** 50 });
        };
      }
      postMessage(message, ...rest);
    };
  }

  test('goes on with the CPU when the GPU is lost', async () => {
    // A browser that has lost devices may refuse the next test another: this one is for it alone.
    const browser = await launch();
    const { page, context } = await open(browser, server.origin, { faults: [losesDevice, losesDevice] });
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    assert.equal(await backend(page), 'cpu');
    assert.match(await page.locator('#note').textContent(), /WebGPU cannot be used/);
    await context.close();
    await browser.close();
  });

  test('tries smaller tiles when the GPU has no memory left', async () => {
    // As above: it has lost a device.
    const browser = await launch();
    const { page, context } = await open(browser, server.origin, { faults: [runsOutOfMemory] });
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    const note = await page.locator('#note').textContent();
    assert.equal(await backend(page), 'webgpu', note);
    assert.match(note, /smaller tiles/);
    await context.close();
    await browser.close();
  });

  test('restores photos on the CPU, one after another', async () => {
    const { page, outside, errors, context } = await open(browser, cpu());
    await drop(page, input('noisy.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    assert.equal(await backend(page), 'cpu');
    await keep('cpu', await pixels(page, '#after'));

    await page.locator('#file').setInputFiles([input('small.png'), input('oriented.jpg')]);
    assert.match(await status(page, 'Done: oriented', 'Error'), /2 of 2/);
    assert.equal(await page.locator('#queue button').count(), 2);
    assert.deepEqual([outside, errors], [[], []]);
    await context.close();
  });

  test('turns a photo as its EXIF data say', async () => {
    const { page, context } = await open(browser, cpu());
    await drop(page, input('oriented.jpg'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    const { width, height, rgba } = await pixels(page, '#after');
    // Stored as 96 x 64, the left half dark; turned clockwise the upper half is dark.
    assert.deepEqual([width, height], [64, 96]);
    const brightness = (y) => rgba[(y * width + 32) * 4];
    assert.ok(brightness(10) < 100 && brightness(86) > 150, `${brightness(10)} above ${brightness(86)}`);
    await context.close();
  });

  test('mixes by strength without the network, and saves what is seen', async () => {
    const { page, context } = await open(browser, cpu());
    await drop(page, input('small.png'));
    await status(page, 'Done');
    const said = await page.locator('#status').textContent();
    const full = await pixels(page, '#after');
    const original = await pixels(page, '#before');
    assert.notDeepEqual(full.rgba, original.rgba);

    const at = async (strength) => {
      await page.locator('#strength').fill(String(strength));
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
      return (await pixels(page, '#after')).rgba;
    };
    assert.deepEqual(await at(0), original.rgba);
    const half = await at(0.5);
    const off = half.map((value, index) => Math.abs(value - (full.rgba[index] + original.rgba[index]) / 2));
    assert.ok(Math.max(...off) <= 1.5, 'half way between the two');
    const download = page.waitForEvent('download');
    await page.locator('#download').click();
    assert.equal((await download).suggestedFilename(), 'small.restored.png');
    const { rgba } = await pixels(page, '#after');
    assert.deepEqual(await pixelsOf(page, await (await download).path()), rgba, 'the file holds the pixels on the page');
    assert.deepEqual(await at(1), full.rgba);
    assert.equal(await page.locator('#status').textContent(), said);
    await context.close();
  });

  test('says what is wrong with a file and goes on', async () => {
    const { page, context } = await open(browser, cpu());
    await drop(page, input('notes.txt'));
    assert.match(await status(page, 'Done', 'Error'), /^Error: notes.txt: this is no photo/);
    await drop(page, input('truncated.png'));
    assert.match(await status(page, 'Error: truncated'), /ends too early/);
    await page.locator('#weights').setInputFiles({ name: 'bad.safetensors', mimeType: '', buffer: Buffer.from('not weights') });
    assert.match(await status(page, 'Error: weights'), /safetensors/);
    assert.equal(await page.locator('#weights').inputValue(), '', 'the same file can be chosen again');
    // Two in quick succession: the second must not take the first for the weights in use before.
    const said = await page.evaluate(async () => {
      const input = document.querySelector('#weights');
      for (const name of ['one.safetensors', 'two.safetensors']) {
        const transfer = new DataTransfer();
        transfer.items.add(new File(['not weights'], name));
        input.files = transfer.files;
        input.dispatchEvent(new Event('change'));
      }
      await undefined;
      return document.querySelector('#status').textContent;
    });
    assert.match(said, /^Loading the weights of one/);
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error: small'), /Done/);
    assert.equal(await backend(page), 'cpu');
    await context.close();
  });

  test('refuses weights whose golden values it does not reach', async () => {
    const { page, context } = await open(browser, cpu());
    const bytes = readFileSync(input('tampered.safetensors'));
    await page.locator('#weights').setInputFiles({ name: 'tampered.safetensors', mimeType: '', buffer: bytes });
    assert.match(await status(page, 'Error', 'Weights'), /^Error: golden check failed/);
    await context.close();
  });

  test('takes 24 megapixels, and can be cancelled', async () => {
    const { page, context } = await open(browser, cpu());
    // Chosen, not dropped by `drop`, which takes memory of the page's for the file.
    await page.locator('#file').setInputFiles(input('large.jpg'));
    await page.waitForFunction(() => document.querySelector('#progress').value >= 1 && document.querySelector('#progress').max > 100);
    const size = await page.evaluate(() => [document.querySelector('#after').width, document.querySelector('#after').height]);
    assert.deepEqual(size, [6000, 4000]);
    const peak = await peakMemory(browser);
    console.log(`the page's process needed ${Math.round(peak / 2 ** 20)} MiB`);
    assert.ok(peak < 1.5 * 2 ** 30, `${peak} bytes`);
    await page.locator('#cancel').click();
    await status(page, 'Cancelled');
    assert.ok(await page.locator('#download').isDisabled());
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done: small/);
    await context.close();
  });

  test('can be used before the network is there', async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const slow = await serve(process.env.PAGE, (path) => (path.endsWith('.wasm') ? held : undefined));
    const began = performance.now();
    const { page, context } = await open(browser, `${slow.origin}/?backend=cpu`);
    await drop(page, input('small.png'));
    await page.waitForFunction(() => document.querySelector('#before').width === 96 && !document.querySelector('#view').hidden);
    // Printed, not asserted: this machine may be busy with anything.
    console.log(`usable after ${Math.round(performance.now() - began)} ms`);
    assert.match(await page.locator('#status').textContent(), /^Loading|^Starting/);
    release();
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    await context.close();
    slow.close();
  });

  test('refuses a page where a file is missing, and goes on when it is there', async () => {
    let broken = true;
    const half = await serve(process.env.PAGE, (path) => (broken && path.endsWith('.weights') ? '<!doctype html>' : undefined));
    const { page, context } = await open(browser, `${half.origin}/?backend=cpu`);
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error: small'), /^Error: small.png: nano.*cannot be loaded/);
    broken = false;
    await page.locator('#restore').click();
    assert.match(await status(page, 'Done'), /^Done: small/);
    await context.close();
    half.close();
  });

  test('keeps what is done until another photo can be opened', async () => {
    const { page, context } = await open(browser, cpu());
    await page.waitForFunction(() => document.querySelector('#device').textContent.includes('ready in'));
    await drop(page, input('small.png'));
    await status(page, 'Done');
    assert.match(await page.locator('#device').textContent(), /ready in/);
    const { rgba } = await pixels(page, '#after');
    for (const [name, reason] of [['notes.txt', /is no photo/], ['wide.png', /70000 x 8 pixels are more/]]) {
      await drop(page, input(name));
      assert.match(await status(page, `Error: ${name}`), reason);
      assert.ok(await page.locator('#download').isEnabled());
      assert.deepEqual((await pixels(page, '#after')).rgba, rgba);
      assert.ok(await page.locator('#queue').isHidden());
    }
    await page.locator('#restore').click();
    assert.match(await status(page, 'Done'), /^Done: small/);
    const said = await page.evaluate(() => {
      document.querySelector('#sample button').click();
      return document.querySelector('#status').textContent;
    });
    assert.match(said, /^Loading the noisy sample/);
    await context.close();
  });

  test('opens, saves and restores one photo after the other, however fast the clicks', async () => {
    const { page, context } = await open(browser, cpu());
    await page.locator('#file').setInputFiles([input('small.png'), input('oriented.jpg')]);
    await status(page, 'Done: oriented');
    const names = [];
    page.on('download', (download) => names.push(download.suggestedFilename()));
    // All in one go: save both, look at the first, add another photo, which says at once what is done about it.
    const said = await page.evaluate(async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 32 });
      const context = canvas.getContext('2d');
      for (let at = 0; at < 40 * 32; at += 1) {
        context.fillStyle = `rgb(${(at * 37) % 256} ${(at * 91) % 256} ${(at * 53) % 256})`;
        context.fillRect(at % 40, Math.floor(at / 40), 1, 1);
      }
      const blob = await new Promise((resolve) => canvas.toBlob(resolve));
      const transfer = new DataTransfer();
      transfer.items.add(new File([blob], 'third.png', { type: 'image/png' }));
      document.querySelector('#download-all').click();
      document.querySelector('#queue button').click();
      dispatchEvent(new DragEvent('drop', { dataTransfer: transfer }));
      return document.querySelector('#status').textContent;
    });
    assert.match(said, /^Opening third/);
    assert.match(await status(page, 'Done: third', 'Error'), /3 of 3/);
    const third = await pixels(page, '#after');
    assert.deepEqual([third.width, third.height], [40, 32]);
    assert.ok(!third.rgba.equals((await pixels(page, '#before')).rgba), 'it is restored');
    assert.deepEqual(names, ['restored.zip']);

    const first = page.locator('#queue button').first();
    await first.focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#after').width === 96);
    assert.ok(await first.evaluate((button) => button === document.activeElement), 'the focus stays');
    await context.close();
  });

  test('can be cancelled while it opens the photo', async () => {
    const { page, context } = await open(browser, cpu());
    await page.locator('#file').setInputFiles([input('large.jpg'), input('small.png')]);
    await page.keyboard.press('Escape');
    await status(page, 'Cancelled');
    assert.ok(await page.locator('#cancel').isDisabled());
    assert.deepEqual(await page.locator('#queue .state').allTextContents(), ['cancelled', 'cancelled']);
    await context.close();
  });

  test('works without a network after the first visit', async () => {
    const { page, context } = await open(browser, cpu());
    await page.evaluate(() => navigator.serviceWorker.ready);
    await drop(page, input('small.png'));
    await status(page, 'Done');
    await context.setOffline(true);
    await page.goto(cpu());
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    await page.locator('#sample button').first().click();
    assert.match(await status(page, 'Done: noisy', 'Error'), /^Done/);
    await page.goto(`${server.origin}/samples/noisy.jpg`);
    assert.equal(await page.evaluate(() => document.contentType), 'image/jpeg');
    await context.close();
  });

  test('goes on with its own files when there is a newer version', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dino-ir-page-'));
    cpSync(process.env.PAGE, folder, { recursive: true });
    const site = await serve(folder);
    const { page, context } = await open(browser, `${site.origin}/?backend=cpu`);
    await page.evaluate(() => navigator.serviceWorker.ready);
    await drop(page, input('small.png'));
    await status(page, 'Done');
    publish(folder);
    await page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      await registration.update();
      while (registration.installing) await new Promise((resume) => setTimeout(resume, 50));
    });
    // Of several tiles: more workers are started, and load their script.
    await drop(page, input('noisy.png'));
    assert.match(await status(page, 'Done: noisy', 'Error'), /^Done/);
    assert.equal(await page.locator('#note').textContent(), '');
    // The next visit has the newer one; one that comes at once may be a little early for it.
    await page.close();
    const isNewer = async () => {
      const next = await context.newPage();
      await next.goto(site.origin);
      const newer = await next.evaluate(async () => String((await import('/assets.js')).modules.relaxed.script).includes('./relaxed.newer.js'));
      await next.close();
      return newer;
    };
    let visits = 1;
    while (!(await isNewer())) assert.ok((visits += 1) <= 20, 'the newer version never comes');
    await context.close();
    site.close();
    rmSync(folder, { recursive: true });
  });

  /** Puts a version in place whose script for the CPU has another name. */
  function publish(folder) {
    const before = readdirSync(folder).find((file) => /^relaxed\..*\.js$/.test(file));
    renameSync(join(folder, before), join(folder, 'relaxed.newer.js'));
    for (const file of ['assets.js', 'service-worker.js']) {
      const path = join(folder, file);
      const code = readFileSync(path, 'utf8').replace(before, 'relaxed.newer.js');
      writeFileSync(path, code.replace(/VERSION = '.*'/, "VERSION = 'newer'"));
    }
  }
});

test('without WebGPU the CPU does the work, and the page says so', async () => {
  const browser = await launch({ webgpu: false });
  const { page } = await open(browser, server.origin);
  await drop(page, input('small.png'));
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  assert.equal(await backend(page), 'cpu');
  assert.match(await page.locator('#note').textContent(), /WebGPU cannot be used/);
  await browser.close();
});

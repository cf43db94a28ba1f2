// How much of each fault is removed, by a slider for each.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { difference, drop, input, launch, open, pixels, status } from './browser.mjs';
import { serve } from './server.mjs';
import { without } from './weights.mjs';

const FAULTS = ['noise', 'blur', 'rain', 'haze', 'jpeg'];

let server;
let browser;
before(async () => ([server, browser] = await Promise.all([serve(process.env.PAGE), launch({ webgpu: false })])));
after(() => Promise.all([browser.close(), server.close()]));

const cpu = () => `${server.origin}/?backend=cpu`;
const restored = async (page) => (await pixels(page, '#after')).rgba;
const shares = (page) => Promise.all(FAULTS.map((fault) => page.locator(`#remove-${fault}`).inputValue()));

/** The page with one photo done, and its sliders in view. */
async function done(photo, url = cpu()) {
  const opened = await open(browser, url);
  await drop(opened.page, input(photo));
  assert.match(await status(opened.page, 'Done', 'Error'), /^Done/);
  await opened.page.locator('#remove summary').click();
  return opened;
}

/** Lets a slider go there, and waits for the photo. */
async function remove(page, fault, percent) {
  await page.locator(`#remove-${fault}`).fill(String(percent));
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
}

/**
 * The deviation of the noise in red (Immerkaer, "Fast Noise Variance Estimation", 1996): what depends on the column or the row
 * alone does not count.
 */
function noise({ width, height, rgba }) {
  const red = (x, y) => rgba[4 * (y * width + x)];
  const bend = (x, y) => red(x - 1, y) - 2 * red(x, y) + red(x + 1, y);
  let sum = 0;
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) sum += Math.abs(bend(x, y - 1) - 2 * bend(x, y) + bend(x, y + 1));
  }
  return (Math.sqrt(Math.PI / 2) * sum) / (6 * (width - 2) * (height - 2));
}

test('noise stays when it shall, and all of everything is the plain restoration', async () => {
  // Of several tiles, so that the workers of the pool are told too.
  const { page, errors, context } = await done('noisy.png');
  const [original, plain] = [await pixels(page, '#before'), await pixels(page, '#after')];
  const deviation = noise(original);
  assert.ok(Math.abs(deviation - 25) < 3, `made with 25: ${deviation}`);
  assert.ok(noise(plain) < 0.3 * deviation, `${noise(plain)} of ${deviation} left`);
  await remove(page, 'noise', 0);
  const kept = noise(await pixels(page, '#after'));
  assert.ok(Math.abs(kept / deviation - 1) < 0.15, `${kept} of ${deviation} kept`);
  await remove(page, 'noise', 50);
  const half = noise(await pixels(page, '#after'));
  assert.ok(half > 0.3 * deviation && half < 0.8 * deviation, `${half} of ${deviation} left of the half`);
  assert.equal(await page.locator('#remove-noise + output').textContent(), '50 %');
  await remove(page, 'noise', 100);
  assert.deepEqual(await restored(page), plain.rgba);

  for (const fault of FAULTS) await remove(page, fault, 0);
  assert.deepEqual(await restored(page), original.rgba, 'nothing is removed');
  assert.equal(await page.locator('#progress').evaluate(({ value, max }) => value / max), 1);
  await page.locator('#remove-all').click();
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  assert.deepEqual(await shares(page), ['100', '100', '100', '100', '100']);
  assert.deepEqual(await restored(page), plain.rgba);
  assert.deepEqual(errors, []);
  await context.close();
});

test('WebGPU removes as much as the CPU', async () => {
  const browser = await launch();
  const found = [];
  for (const [backend, url] of [['webgpu', server.origin], ['cpu', cpu()]]) {
    const { page, context } = await open(browser, url);
    await drop(page, input('small.png'));
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    const plain = await restored(page);
    await page.locator('#remove summary').click();
    await remove(page, 'noise', 0);
    assert.equal(await page.locator('#backend').textContent(), backend, await page.locator('#note').textContent());
    found.push(await restored(page));
    assert.ok(difference(found.at(-1), plain) > 5, 'the noise is back');
    await context.close();
  }
  assert.ok(difference(...found) < 0.1, `${difference(...found)} levels apart`);
  await browser.close();
});

test('a slider that moves on while the photo is restored counts at the end, and a cancel brings the sliders back', async () => {
  const { page, context } = await done('noisy.png');
  await remove(page, 'noise', 20);
  const wanted = await restored(page);
  await remove(page, 'noise', 100);
  await page.evaluate(async () => {
    const slider = document.querySelector('#remove-noise');
    for (const percent of [70, 40, 20]) {
      slider.value = percent;
      slider.dispatchEvent(new Event('input'));
      slider.dispatchEvent(new Event('change'));
      await new Promise((resume) => setTimeout(resume, 60));
    }
  });
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  assert.deepEqual(await restored(page), wanted);
  await page.locator('#remove-noise').fill('90');
  await page.locator('#cancel').click();
  await status(page, 'Cancelled');
  assert.equal(await page.locator('#remove-noise').inputValue(), '20');
  assert.deepEqual(await restored(page), wanted);
  await context.close();
});

test('each photo of a list has its own, and a new visit has none', async () => {
  const { page, context } = await done('small.png');
  await page.locator('#file').setInputFiles([input('small.png'), input('oriented.jpg')]);
  await status(page, 'Done: oriented');
  await remove(page, 'haze', 40);
  await page.locator('#queue button').first().click();
  await status(page, 'small.png: done');
  assert.deepEqual(await shares(page), ['100', '100', '100', '100', '100']);
  await page.locator('#queue button').last().click();
  await status(page, 'oriented.jpg: done');
  assert.deepEqual(await shares(page), ['100', '100', '100', '40', '100']);
  await page.reload();
  assert.deepEqual(await shares(page), ['100', '100', '100', '100', '100']);
  await context.close();
});

test('by keyboard, and not at all with weights that cannot', async () => {
  const { page, context } = await done('small.png');
  await page.locator('#remove summary').focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowLeft');
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  assert.equal((await shares(page))[0], '99');
  assert.ok(await page.locator('#remove-noise').evaluate((slider) => slider === document.activeElement), 'the focus stays');
  assert.ok(await page.locator('#cannot-remove').isHidden());
  await page.locator('#weights').setInputFiles({ name: 'plain.safetensors', mimeType: '', buffer: without('steering') });
  await status(page, 'Weights of plain');
  assert.ok(await page.locator('#remove-noise').isDisabled());
  assert.match(await page.locator('#cannot-remove').innerText(), /cannot remove one fault/);
  await drop(page, input('small.png'));
  assert.match(await status(page, 'Done: small', 'Error'), /^Done/);
  assert.deepEqual(await shares(page), ['100', '100', '100', '100', '100']);
  await page.locator('#settings summary').click();
  await page.locator('#builtin').click();
  await status(page, 'The built-in');
  assert.ok(await page.locator('#remove-noise').isEnabled());
  await context.close();
});

// How the result is looked at, by hand and by keyboard, and what the page says for itself.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { drop, input, launch, open, pixels, result, saved, status } from './browser.mjs';
import { serve } from './server.mjs';
import { without } from './weights.mjs';

const AXE = readFileSync(createRequire(join(process.env.PACKAGES, 'any')).resolve('axe-core/axe.min.js'), 'utf8');
/** A photo without faults. */
const CLEAN = fileURLToPath(new URL('../photos/path.jpg', import.meta.url));
const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, hasTouch: true };

let server;
let browser;
before(async () => ([server, browser] = await Promise.all([serve(process.env.PAGE), launch({ webgpu: false })])));
after(() => Promise.all([browser.close(), server.close()]));

const cpu = () => `${server.origin}/?backend=cpu`;
const compare = async (page) => Number(await page.locator('#compare').inputValue());
const box = (page, selector) => page.locator(selector).boundingBox();

/** The page with one photo done. */
async function done(photo, options = DESKTOP) {
  const opened = await open(browser, cpu(), options);
  await drop(opened.page, input(photo));
  assert.match(await status(opened.page, 'Done', 'Error'), /^Done/);
  return opened;
}

async function near(page, value, message) {
  const found = await compare(page);
  assert.ok(Math.abs(found - value) < 1, `${message}: ${found} for ${value}`);
}

test('the divider is dragged on the photo itself', async () => {
  const { page, context } = await done('noisy.png');
  await page.locator('#scroll').scrollIntoViewIfNeeded();
  const { x, y, width, height } = await box(page, '#sheet');
  const at = (share) => [x + width * share, y + height / 2];
  await page.mouse.move(...at(0.8));
  await page.mouse.down();
  await near(page, 80, 'pressed');
  await page.mouse.move(...at(0.25), { steps: 3 });
  await page.mouse.up();
  await near(page, 25, 'dragged');
  await page.mouse.move(...at(0.6));
  await near(page, 25, 'released');
  await context.close();
});

test('the wheel zooms about the pointer, and a drag moves what is larger than its frame', async () => {
  const { page, context } = await done('noisy.png');
  await page.locator('#scroll').scrollIntoViewIfNeeded();
  // From where it is larger than its frame both ways: one that is smaller stays in the middle.
  await page.locator('[data-zoom="4"]').click();
  const [frame, before] = [await box(page, '#scroll'), await box(page, '#sheet')];
  const point = { x: frame.x + frame.width * 0.3, y: frame.y + frame.height * 0.4 };
  const share = ({ x, y, width, height }) => [(point.x - x) / width, (point.y - y) / height];
  await page.mouse.move(point.x, point.y);
  for (let turn = 0; turn < 3; turn += 1) await page.mouse.wheel(0, -120);
  await page.waitForFunction((width) => document.querySelector('#sheet').getBoundingClientRect().width > width, before.width * 2.5);
  const after = await box(page, '#sheet');
  const off = share(after).map((value, axis) => Math.abs(value - share(before)[axis]));
  assert.ok(Math.max(...off) < 0.01, off.join());
  const divider = await compare(page);
  await page.mouse.down();
  await page.mouse.move(point.x - 50, point.y - 30, { steps: 2 });
  await page.mouse.up();
  const moved = await box(page, '#sheet');
  assert.ok(Math.abs(moved.x - after.x + 50) < 3 && Math.abs(moved.y - after.y + 30) < 3, 'the photo follows');
  assert.equal(await compare(page), divider);
  for (let turn = 0; turn < 14; turn += 1) await page.mouse.wheel(0, 120);
  await page.waitForFunction(() => document.querySelector('[data-zoom="fit"]').getAttribute('aria-pressed') === 'true');
  await context.close();
});

test('two fingers zoom about the place between them', async () => {
  const { page, context } = await done('noisy.png', PHONE);
  await page.locator('#scroll').scrollIntoViewIfNeeded();
  const before = await box(page, '#sheet');
  const middle = { x: before.x + before.width / 2, y: before.y + before.height / 2 };
  const session = await context.newCDPSession(page);
  const touch = (type, apart) => session.send('Input.dispatchTouchEvent', {
    type,
    touchPoints: apart ? [-apart, apart].map((by, id) => ({ x: middle.x + by, y: middle.y, id })) : [],
  });
  await touch('touchStart', 20);
  for (const apart of [30, 45, 60]) await touch('touchMove', apart);
  await touch('touchEnd');
  const after = await box(page, '#sheet');
  assert.ok(Math.abs(after.width / before.width - 3) < 0.1, `${after.width / before.width} times as large`);
  assert.ok(Math.abs((middle.x - after.x) / after.width - 0.5) < 0.02);
  assert.equal(await page.evaluate(() => visualViewport.scale), 1, 'the page itself stays');
  await context.close();
});

test('keys do the same, and are listed', async () => {
  const { page, context } = await done('small.png');
  await page.locator('#scroll').focus();
  const start = await compare(page);
  await page.keyboard.press('ArrowRight');
  assert.ok((await compare(page)) > start);
  await page.keyboard.press('ArrowLeft');
  assert.equal(await compare(page), start);
  await page.keyboard.press('Space');
  assert.deepEqual([await compare(page), await page.locator('#said').textContent()], [100, 'Before']);
  await page.keyboard.press('Space');
  assert.deepEqual([await compare(page), await page.locator('#said').textContent()], [0, 'After']);
  await page.keyboard.press('4');
  assert.equal(await page.locator('[data-zoom="4"]').getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('0');
  assert.equal(await page.locator('[data-zoom="fit"]').getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('?');
  assert.ok(await page.locator('#help').isVisible());
  await page.keyboard.press('Escape');
  assert.ok(await page.locator('#help').isHidden());
  assert.ok(await page.locator('#scroll').evaluate((photo) => photo === document.activeElement), 'the focus comes back');
  await context.close();
});

test('the heat map shows what changed', async () => {
  const { page, context } = await done('small.png');
  const [one, other] = [(await pixels(page, '#before')).rgba, (await pixels(page, '#after')).rgba];
  // Without alpha.
  const mean = one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / (one.length * 0.75);
  assert.ok(await page.locator('#heat').isHidden());
  await page.locator('#heat-map').click();
  const said = async () => Number(/changed by ([\d.]+) of 255/.exec(await page.locator('#change').textContent())[1]);
  assert.ok(Math.abs((await said()) - mean) < 0.11, `${await said()} for ${mean}`);
  const map = await pixels(page, '#heat');
  assert.deepEqual([map.width, map.height], [12, 12]);
  assert.ok(new Set(map.rgba).size > 20, 'parts differ');
  await page.locator('#strength').fill('0');
  await page.waitForFunction(() => document.querySelector('#change').textContent.startsWith('changed by 0.0'));
  await page.keyboard.press('Tab');
  await page.locator('#scroll').focus();
  await page.keyboard.press('h');
  assert.ok(await page.locator('#heat').isHidden());
  await context.close();
});

test('the expected error of each part lies over the photo, and costs nothing until it is asked for', async () => {
  const { page, context } = await done('noisy.png');
  const before = await pixels(page, '#after');
  const said = () => page.locator('#change').textContent();
  await page.locator('#error-map').click();
  await page.waitForFunction(() => document.querySelector('#change').textContent.startsWith('expected to be off'));
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  const [, mean, most] = /off by ([\d.]+) of 255 levels on average, by ([\d.]+) where most/.exec(await said());
  assert.ok(Number(most) > Number(mean), `${most} and ${mean}`);
  // For the comparison with what the program expects.
  writeFileSync(join(process.env.RESULTS, 'expected-error.txt'), mean);
  const map = await pixels(page, '#heat');
  assert.ok(new Set(map.rgba).size > 20, 'parts differ');
  assert.ok((await pixels(page, '#after')).rgba.equals(before.rgba), 'the result is the same');
  await page.locator('#strength').fill('0.5');
  assert.match(await said(), new RegExp(`off by ${mean} of`), 'it is of the full result');
  await page.locator('#heat-map').click();
  assert.match(await said(), /^changed by/);
  assert.equal(await page.locator('#error-map').getAttribute('aria-pressed'), 'false');
  // It is known now.
  const restored = await page.locator('#status').textContent();
  await page.locator('#scroll').focus();
  await page.keyboard.press('e');
  assert.match(await said(), new RegExp(`off by ${mean} of`));
  assert.equal(await page.locator('#status').textContent(), restored, 'nothing is restored again');
  await page.keyboard.press('e');
  assert.ok(await page.locator('#heat').isHidden());
  await context.close();
});

test('the page tells in words and numbers what is wrong with a photo, and never that something is not', async () => {
  const { page, context } = await done('noisy.png');
  const said = await page.locator('#found').textContent();
  assert.match(said, /^Found: .*noise/);
  assert.ok((await page.locator('#status').textContent()).endsWith(said), 'in the status too');
  const noise = page.locator('[data-fault="noise"]');
  const [, sigma] = /(\d+) of 255 levels/.exec(await noise.textContent());
  assert.ok(Math.abs(sigma - 25) < 8, `made with 25, found ${sigma}`);
  assert.ok(Math.abs((await noise.locator('meter').evaluate(({ value }) => value)) - sigma) <= 0.5);
  assert.match(await noise.textContent(), /within 5 levels: \d+ % sure/);
  const faults = { Noisy: 'noise', Rainy: 'rain', Hazy: 'haze', Blurred: 'blur' };
  for (const [name, fault] of Object.entries(faults)) {
    await page.getByRole('button', { name }).click();
    assert.match(await status(page, `Done: ${name.toLowerCase()}`, 'Error'), new RegExp(`Found: .*${fault}`));
    const rows = await page.locator('#faults tr').evaluateAll((rows) => rows.map(({ dataset }) => dataset.fault));
    assert.ok(rows.includes(fault), `${name}: ${rows}`);
  }
  await context.close();
});

test('where nothing is found the page claims no more than that, and without a diagnosis it says nothing', async () => {
  const { page, context } = await open(browser, cpu(), DESKTOP);
  await drop(page, CLEAN);
  assert.match(await status(page, 'Done', 'Error'), /^Done.*No fault that this network knows was found\.$/);
  assert.equal(await page.locator('#faults tr').count(), 0);
  assert.match(await page.locator('#explain').innerText(), /It may miss/);
  await page.locator('#weights').setInputFiles({ name: 'blind.safetensors', mimeType: '', buffer: without('diagnosis') });
  await status(page, 'Weights of blind');
  await drop(page, input('small.png'));
  assert.match(await status(page, 'Done: small', 'Error'), /in [\d.]+ s\.$/);
  assert.ok(await page.locator('#explain').isHidden());
  await context.close();
});

test('everything can be done by keyboard alone', async () => {
  const { page, outside, context } = await open(browser, cpu(), DESKTOP);
  const tabTo = async (selector) => {
    for (let presses = 0; presses < 60; presses += 1) {
      if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`${selector} is not reached`);
  };
  await tabTo('#sample button');
  await page.keyboard.press('Enter');
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  await tabTo('#compare');
  await page.keyboard.press('Home');
  assert.equal(await compare(page), 0);
  await tabTo('#strength');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.locator('#strength').inputValue(), '0.99');
  await tabTo('[data-zoom="2"]');
  await page.keyboard.press('Enter');
  await tabTo('#heat-map');
  await page.keyboard.press('Space');
  assert.ok(await page.locator('#heat').isVisible());
  await tabTo('#scroll');
  await page.keyboard.press('Shift+ArrowRight');
  await tabTo('#format');
  await page.keyboard.press('p');
  assert.equal(await page.locator('#format').inputValue(), 'png');
  await page.keyboard.press('Shift+Tab');
  assert.match(await saved(page, () => page.keyboard.press('Enter')), /noisy\.restored\.png$/);
  await tabTo('#explain summary');
  assert.ok(await page.locator('#found').isVisible());
  await page.keyboard.press('Enter');
  assert.ok(await page.locator('#found').isHidden());
  assert.deepEqual(outside, []);
  await context.close();
});

test('it is named for screen readers and fits light, dark, phones and scripts from right to left', async () => {
  const kinds = {
    desktop: { ...DESKTOP, colorScheme: 'light' },
    dark: { ...DESKTOP, colorScheme: 'dark', reducedMotion: 'reduce' },
    phone: { ...PHONE, colorScheme: 'light' },
  };
  for (const [name, options] of Object.entries(kinds)) {
    const { page, context } = await open(browser, cpu(), { ...options, bypassCSP: true });
    await page.locator('#sample button').first().click();
    assert.match(await status(page, 'Done', 'Error'), /^Done/);
    await page.locator('#remove summary').click();
    await page.screenshot({ path: result(`${name}.png`), fullPage: true });
    await page.addScriptTag({ content: AXE });
    const check = async (what) => {
      const { violations } = await page.evaluate(() => axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${name}, ${what}`);
      assert.ok(!(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)), `${name}, ${what}: nothing sticks out sideways`);
    };
    await check('done');
    await page.locator('#heat-map').click();
    await check('heat map');
    await page.locator('#keys').click();
    await check('keys');
    await page.keyboard.press('Escape');
    await drop(page, input('notes.txt'));
    await status(page, 'Error');
    await page.locator('#trouble summary').click();
    await check('error');
    if (options.reducedMotion) {
      assert.equal(await page.locator('#restore').evaluate((button) => getComputedStyle(button).transitionDuration), '0s');
    }
    await page.evaluate(() => (document.documentElement.dir = 'rtl'));
    await page.locator('#compare').fill('20');
    const [sheet, divider] = [await box(page, '#sheet'), await box(page, '#divider')];
    const share = (divider.x + divider.width / 2 - sheet.x) / sheet.width;
    assert.ok(Math.abs(share - 0.2) < 0.02, `the photo is not mirrored: ${share}`);
    await check('right to left');
    await context.close();
  }
});

test('the first visit says what it fetches, and when there need be no network', async () => {
  const { page, context } = await open(browser, cpu());
  const said = await page.waitForFunction(() => document.querySelector('#visit').textContent);
  assert.match(await said.jsonValue(), /^The first visit fetches .* \d\.\d MB, or \d+\.\d MB|^Works offline now/);
  const { download } = await page.evaluate(() => import('./assets.js'));
  const { cpu: sizes } = download;
  assert.ok(sizes.compressed > 3e6 && sizes.compressed < 5e6 && sizes.bytes > sizes.compressed, JSON.stringify(sizes));
  await page.waitForFunction(() => document.querySelector('#visit').textContent === 'Works offline now.');
  await context.setOffline(true);
  await page.reload();
  await drop(page, input('small.png'));
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
  assert.equal(await page.locator('#visit').textContent(), 'Works offline now.');
  await context.close();
});

test('an error has a kind, and details that can be copied', async () => {
  const { page, context } = await open(browser, cpu(), { permissions: ['clipboard-read', 'clipboard-write'] });
  assert.ok(await page.locator('#trouble').isHidden());
  await drop(page, input('notes.txt'));
  await status(page, 'Error');
  await page.locator('#trouble summary').click();
  await page.locator('#copy-trouble').click();
  await page.waitForFunction(() => document.querySelector('#copy-trouble').textContent === 'Copied');
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^kind: photo \(the photo\)\nmessage: notes\.txt: this is no photo/);
  assert.match(copied, /browser: Mozilla.*\npage: http/);
  await page.locator('#weights').setInputFiles({ name: 'bad.safetensors', mimeType: '', buffer: Buffer.from('not weights') });
  await status(page, 'Error: weights');
  assert.match(await page.locator('#trouble-text').textContent(), /^kind: weights/);
  await drop(page, input('small.png'));
  await status(page, 'Done');
  assert.ok(await page.locator('#trouble').isHidden());
  await context.close();
});

// What a visitor takes away from the page: files with the photo's own format, metadata and colours.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { difference, drop, input, launch, open, pixels, pixelsOf, saved, status, tags } from './browser.mjs';
import { serve } from './server.mjs';

const folder = mkdtempSync(join(tmpdir(), 'dino-ir-photos-'));
let server;
let browser;
before(async () => ([server, browser] = await Promise.all([serve(process.env.PAGE), launch({ webgpu: false })])));
after(() => Promise.all([browser.close(), server.close()]));

const cpu = () => `${server.origin}/?backend=cpu`;

/** A copy of a photo of which exiftool has changed something. */
function photo(source, name, ...changes) {
  const path = join(folder, name);
  copyFileSync(source, path);
  execFileSync('exiftool', ['-q', '-overwrite_original', ...changes, path]);
  return path;
}

/** Turned, by a camera, somewhere, with a thumbnail. */
function described(source, name) {
  const thumbnail = join(folder, 'thumbnail.jpg');
  writeFileSync(thumbnail, readFileSync(input('oriented.jpg')));
  const changes = ['-Orientation#=6', '-Make=Test camera', '-DateTimeOriginal=2020:02:03 04:05:06', '-GPSLatitude=12.5', '-GPSLatitudeRef=N',
    '-ExifImageWidth=96', '-ExifImageHeight=64', '-XMP-tiff:Orientation#=6', '-XMP-dc:Title=Übung'];
  return photo(source, name, ...changes, ...(name.endsWith('.jpg') ? [`-ThumbnailImage<=${thumbnail}`] : []));
}

async function restored(page, path) {
  await drop(page, path);
  assert.match(await status(page, 'Done', 'Error'), /^Done/);
}

const download = (page) => saved(page, () => page.locator('#download').click());

/** A picture in every colour, made by the browser with a profile of its own: a file of that type. */
async function colourful(page, colorSpace, type, name) {
  const base64 = await page.evaluate(async ({ colorSpace, type }) => {
    const side = 64;
    const image = new ImageData(side, side, { colorSpace });
    for (let y = 0; y < side; y += 1) {
      for (let x = 0; x < side; x += 1) image.data.set([255 - x * 4, y * 4, (x ^ y) * 4, 255], (y * side + x) * 4);
    }
    const canvas = new OffscreenCanvas(side, side);
    canvas.getContext('2d', { colorSpace }).putImageData(image, 0, 0);
    const blob = await canvas.convertToBlob({ type, quality: 1 });
    return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
  }, { colorSpace, type });
  const path = join(folder, name);
  writeFileSync(path, Buffer.from(base64, 'base64'));
  return path;
}

const profileOf = (path) => execFileSync('exiftool', ['-b', '-ICC_Profile', path]);

/** A profile with other contents in one of its tags. */
function changed(profile, tag, change) {
  const copy = Buffer.from(profile);
  for (let at = 132; at < 132 + 12 * copy.readUInt32BE(128); at += 12) {
    if (copy.toString('latin1', at, at + 4) === tag) change(copy.subarray(copy.readUInt32BE(at + 4)));
  }
  return copy;
}

describe('a result', () => {
  test('has the format and the metadata of its photo, upright', async () => {
    const { page, outside, errors, context } = await open(browser, cpu());
    const webp = await colourful(page, 'srgb', 'image/webp', 'plain.webp');
    for (const [source, name] of [[input('oriented.jpg'), 'holiday.jpg'], [input('small.png'), 'drawing.png'], [webp, 'web.webp']]) {
      const before = described(source, name);
      await restored(page, before);
      const path = await download(page);
      assert.ok(path.endsWith(name.replace('.', '.restored.')), path);
      const [was, is] = [tags(before), tags(path)];
      assert.equal(is['File:FileType'].replace('Extended ', ''), was['File:FileType'].replace('Extended ', ''));
      for (const tag of ['IFD0:Make', 'ExifIFD:DateTimeOriginal', 'GPS:GPSLatitude', 'XMP-dc:Title']) {
        assert.ok(was[tag], `${name} has ${tag}`);
        assert.equal(is[tag], was[tag], `${name}: ${tag}`);
      }
      assert.deepEqual([is['IFD0:Orientation'], is['XMP-tiff:Orientation']], [1, 1], name);
      assert.equal(is['IFD1:ThumbnailLength'], undefined, name);
      assert.equal(is['ExifTool:Warning'], undefined, name);
      const { width, height, rgba } = await pixels(page, '#after');
      assert.deepEqual([is['ExifIFD:ExifImageWidth'], is['ExifIFD:ExifImageHeight']], [width, height], name);
      assert.ok(difference(await pixelsOf(page, path), rgba) < (name.endsWith('.png') ? 0.001 : 3), name);
    }
    assert.ok(tags(join(folder, 'holiday.jpg'))['IFD1:ThumbnailLength'] > 0, 'there was a thumbnail to lose');
    assert.deepEqual([outside, errors], [[], []]);
    await context.close();
  });

  test('is saved in the format and the quality that are chosen', async () => {
    const { page, context } = await open(browser, cpu());
    await restored(page, described(input('small.png'), 'choice.png'));
    const sizes = [];
    for (const [format, name, quality] of [['jpeg', 'JPEG', 60], ['jpeg', 'JPEG', 95], ['webp', 'WebP', 60], ['webp', 'WebP', 95]]) {
      await page.locator('#format').selectOption(format);
      await page.locator('#quality').fill(String(quality));
      assert.equal(await page.locator('#download').textContent(), `Download ${name}`);
      const path = await download(page);
      const found = tags(path);
      assert.match(found['File:FileType'], new RegExp(name, 'i'));
      assert.equal(found['IFD0:Make'], 'Test camera', 'the metadata go along');
      sizes.push(statSync(path).size);
    }
    assert.ok(sizes[0] < sizes[1] && sizes[2] < sizes[3], sizes.join());
    await page.locator('#format').selectOption('png');
    assert.ok(await page.locator('#quality-row').isHidden());
    assert.match(await download(page), /choice\.restored\.png$/);
    await context.close();
  });

  test('says what a JPEG file cannot hold', async () => {
    const { page, context } = await open(browser, cpu());
    await restored(page, photo(input('small.png'), 'long.png', `-XMP-dc:Description=${'x'.repeat(70_000)}`));
    await page.locator('#format').selectOption('jpeg');
    const path = await download(page);
    assert.match(await status(page, 'Saved'), /without XMP/);
    assert.equal(tags(path)['XMP-dc:Description'], undefined);
    await context.close();
  });

  test('keeps wide colours, and a profile that means what its pixels mean', async () => {
    const { page, context } = await open(browser, cpu());
    const p3 = await colourful(page, 'display-p3', 'image/png', 'p3.png');
    const plain = profileOf(await colourful(page, 'srgb', 'image/jpeg', 'srgb.jpg'));
    const wide = profileOf(p3);
    const named = (profile) => changed(profile, 'cprt', (data) => data.write('Mine', data.length > 40 ? 28 : 12));
    const adobe = ['rXYZ', 'gXYZ', 'bXYZ'].reduce((profile, tag, index) => changed(profile, tag, (data) => {
      const numbers = [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]][index];
      numbers.forEach((value, at) => data.writeInt32BE(Math.round(value * 65536), 8 + 4 * at));
    }), plain);
    const cases = { 'own P3': [named(wide), 'display-p3', true], 'own sRGB': [named(plain), 'srgb', true], 'Adobe RGB': [adobe, 'display-p3', false] };
    for (const [name, [profile, colorSpace, kept]] of Object.entries(cases)) {
      const file = join(folder, 'profile.icc');
      writeFileSync(file, profile);
      const source = photo(p3, `${name}.png`, `-ICC_Profile<=${file}`);
      assert.deepEqual(profileOf(source), profile, 'the photo has it');
      await restored(page, source);
      assert.equal(await page.evaluate(() => document.querySelector('#after').getContext('2d').getContextAttributes().colorSpace), colorSpace, name);
      assert.deepEqual((await pixels(page, '#before')).rgba, await pixelsOf(page, source, colorSpace), `${name}: the photo's colours`);
      const after = await pixels(page, '#after');
      assert.ok(difference(after.rgba, (await pixels(page, '#before')).rgba) > 0.1, 'it is restored');
      for (const [format, most] of [['png', 0.01], ['jpeg', 4], ['webp', 4]]) {
        await page.locator('#format').selectOption(format);
        if (format !== 'png') await page.locator('#quality').fill('100');
        const path = await download(page);
        assert.equal(profileOf(path).equals(profile), kept, `${name} as ${format}`);
        assert.ok(difference(await pixelsOf(page, path, colorSpace), after.rgba) < most, `${name} as ${format}: the result's colours`);
        if (colorSpace !== 'srgb') assert.ok(profileOf(path).length > 0, 'pixels beyond sRGB are never without a profile');
      }
    }
    await context.close();
  });

  test('goes to the clipboard', async () => {
    const { page, context } = await open(browser, cpu(), { permissions: ['clipboard-read', 'clipboard-write'] });
    await restored(page, input('small.png'));
    await page.locator('#copy').click();
    await status(page, 'Copied');
    const base64 = await page.evaluate(async () => {
      const [item] = await navigator.clipboard.read();
      const blob = await item.getType('image/png');
      return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
    });
    const path = join(folder, 'clipboard.png');
    writeFileSync(path, Buffer.from(base64, 'base64'));
    assert.deepEqual(await pixelsOf(page, path), (await pixels(page, '#after')).rgba);
    await context.close();
  });

  test('can be shared where the device shares files', async () => {
    const plain = await open(browser, cpu());
    await restored(plain.page, input('small.png'));
    const shares = await plain.page.evaluate(() => Boolean(navigator.canShare));
    assert.equal(await plain.page.locator('#share').isVisible(), shares);
    await plain.context.close();

    // A phone, as far as this is concerned.
    const { page, context } = await open(browser, 'about:blank');
    await page.addInitScript(() => {
      self.shared = [];
      Object.assign(navigator, { canShare: ({ files }) => files.length === 1, share: async ({ files }) => shared.push(files[0].name) });
    });
    await page.goto(cpu());
    await restored(page, input('oriented.jpg'));
    await page.locator('#share').click();
    await page.waitForFunction(() => shared.length > 0);
    assert.deepEqual(await page.evaluate(() => shared), ['oriented.restored.jpg']);
    await context.close();
  });
});

test('all results go into one ZIP file', async () => {
  const { page, context } = await open(browser, cpu());
  const files = [described(input('oriented.jpg'), 'one.jpg'), input('small.png'), input('small.png'), input('notes.txt')];
  await page.locator('#file').setInputFiles(files);
  await status(page, 'Error: notes.txt');
  const path = await saved(page, () => page.locator('#download-all').click());
  assert.ok(path.endsWith('restored.zip'));
  const unpacked = mkdtempSync(join(folder, 'zip-'));
  execFileSync('python3', ['-m', 'zipfile', '-t', path]);
  execFileSync('python3', ['-m', 'zipfile', '-e', path, unpacked]);
  assert.deepEqual(readdirSync(unpacked).sort(), ['one.restored.jpg', 'small (2).restored.png', 'small.restored.png']);
  assert.equal(tags(join(unpacked, 'one.restored.jpg'))['IFD0:Make'], 'Test camera');
  assert.deepEqual(readFileSync(join(unpacked, 'small.restored.png')), readFileSync(join(unpacked, 'small (2).restored.png')));
  await context.close();
});

// What the page does with the metadata of photo files, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { ascii, join, view, word } from '../../web/www/metadata/bytes.js';
import { spaceOf } from '../../web/www/metadata/icc.js';
import { formatOf, forResult, read, write } from '../../web/www/metadata.js';

const text = (bytes) => Buffer.from(bytes).toString('latin1');
const some = (length, seed = 1) => Uint8Array.from({ length }, (_, at) => (at * 31 + seed) % 251);

/** One 8 x 8 picture would do; what stands there is never decoded. */
const JPEG = join(
  Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 7), ascii('JFIF\0'),
  Uint8Array.of(0xff, 0xdb, 0, 4, 1, 2, 0xff, 0xda, 0, 2, 9, 8, 7, 0xff, 0xd9),
);
const pngChunk = (type, data) => join(word(data.length), ascii(type), data, word(0));
const PNG = join(
  ascii('\x89PNG\r\n\x1a\n'), pngChunk('IHDR', some(13)), pngChunk('gAMA', some(4)), pngChunk('IDAT', some(20)), pngChunk('IEND', some(0)),
);
const riffChunk = (type, data) => join(ascii(type), word(data.length, true), data, new Uint8Array(data.length % 2));
const riff = (...chunks) => join(ascii('RIFF'), word(4 + join(...chunks).length, true), ascii('WEBP'), ...chunks);
/** Lossless: a mark, then width and height less one in 14 bits each, then a bit for alpha. */
const lossless = (width, height, alpha) =>
  riffChunk('VP8L', join(Uint8Array.of(0x2f), word(((width - 1) | ((height - 1) << 14) | (alpha << 28)) >>> 0, true), some(4)));
const lossy = (width, height) => {
  const data = some(12);
  view(data).setUint16(6, width, true);
  view(data).setUint16(8, height, true);
  return riffChunk('VP8 ', data);
};

const entry = (tag, type, count, value, low) => {
  const bytes = new Uint8Array(12);
  const numbers = view(bytes);
  numbers.setUint16(0, tag, low);
  numbers.setUint16(2, type, low);
  numbers.setUint32(4, count, low);
  if (type === 3) numbers.setUint16(8, value, low);
  else numbers.setUint32(8, value, low);
  return bytes;
};
const short = (number, low) => {
  const bytes = new Uint8Array(2);
  view(bytes).setUint16(0, number, low);
  return bytes;
};
/** Three directories: the main one, the camera's, and one with a thumbnail. */
function exif(low, thumbnail = ascii('\xff\xd8THUMB\xff\xd9')) {
  const main = 8;
  const camera = main + 2 + 3 * 12 + 4;
  const second = camera + 2 + 2 * 12 + 4;
  const picture = second + 2 + 2 * 12 + 4;
  return join(
    ascii(low ? 'II' : 'MM'), short(42, low), word(main, low),
    short(3, low), entry(0x0112, 3, 1, 6, low), entry(0x8769, 4, 1, camera, low), entry(0x0100, 4, 1, 64, low), word(second, low),
    short(2, low), entry(0xa002, 3, 1, 64, low), entry(0xa003, 4, 1, 96, low), word(0, low),
    short(2, low), entry(0x0201, 4, 1, picture, low), entry(0x0202, 4, 1, thumbnail.length, low), word(0, low),
    thumbnail,
  );
}

const PACKET = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" xmpNote:HasExtendedXMP="AB12"><dc:title>Fünf</dc:title>' +
  '<xmp:Thumbnails><rdf:Alt>old picture</rdf:Alt></xmp:Thumbnails><tiff:Orientation>8</tiff:Orientation></rdf:Description></x:xmpmeta>';

for (const [name, file] of Object.entries({ jpeg: JPEG, png: PNG, 'webp, lossless': riff(lossless(400, 300, 1)), 'webp, lossy': riff(lossy(400, 300)) })) {
  test(`metadata survive the way through ${name}`, async () => {
    assert.equal(formatOf(file), name.slice(0, 4).replace(',', ''));
    assert.deepEqual(await read(file), {});
    // Longer than one segment of JPEG.
    const metadata = { exif: exif(true), xmp: new TextEncoder().encode(PACKET), icc: some(150_001) };
    const { parts, lost } = await write(file, metadata);
    assert.deepEqual(lost, []);
    assert.deepEqual(await read(join(...parts)), metadata);
    const again = await write(join(...parts), { icc: some(77, 3) });
    assert.deepEqual((await read(join(...again.parts))).icc, some(77, 3), 'another profile takes its place');
  });
}

test('the rest of a file stays as it was', async () => {
  const jpeg = join(...(await write(JPEG, { exif: some(40) })).parts);
  assert.equal(text(jpeg.subarray(0, 11)), text(JPEG.subarray(0, 11)), 'JFIF comes first');
  assert.equal(text(jpeg.subarray(-15)), text(JPEG.subarray(-15)));
  const png = text(join(...(await write(PNG, { icc: some(40) })).parts));
  assert.ok(png.indexOf('IHDR') < png.indexOf('iCCP') && png.indexOf('iCCP') < png.indexOf('IDAT'));
  assert.ok(!png.includes('gAMA'), 'the profile says it');
});

test('a WebP file without a header gets one with its size', async () => {
  for (const [picture, alpha] of [[lossless(400, 300, 1), 0x10], [lossless(400, 300, 0), 0], [lossy(400, 300), 0]]) {
    const bytes = join(...(await write(riff(picture), { exif: some(9) })).parts);
    assert.equal(view(bytes).getUint32(4, true), bytes.length - 8);
    assert.equal(text(bytes.subarray(12, 16)), 'VP8X');
    assert.equal(bytes[20], alpha | 0x08);
    assert.deepEqual([...bytes.subarray(24, 30)], [399 & 255, 399 >> 8, 0, 299 & 255, 299 >> 8, 0]);
  }
});

test('what a JPEG segment cannot hold is named', async () => {
  const { parts, lost } = await write(JPEG, { exif: some(70_000), xmp: some(10) });
  assert.deepEqual(lost, ['EXIF']);
  assert.deepEqual(await read(join(...parts)), { xmp: some(10) });
});

test('EXIF become upright, of the result\'s size, and lose the thumbnail', () => {
  for (const low of [true, false]) {
    const old = exif(low);
    const { exif: found } = forResult({ exif: old }, { width: 96, height: 64 });
    const at = (offset, long) => (long ? view(found).getUint32(offset, low) : view(found).getUint16(offset, low));
    assert.equal(at(8 + 2 + 8), 1, 'orientation');
    assert.equal(at(8 + 2 + 24 + 8, true), 96, 'width');
    const camera = 8 + 2 + 36 + 4;
    assert.deepEqual([at(camera + 2 + 8), at(camera + 2 + 12 + 8, true)], [96, 64]);
    assert.equal(at(8 + 2 + 36, true), 0, 'the list ends');
    assert.ok(!text(found).includes('THUMB'));
    assert.ok(found.length < old.length);
    assert.ok(text(old).includes('THUMB'), 'the photo keeps its own');
  }
});

test('a thumbnail in the middle leaves its place empty', () => {
  const { exif: found } = forResult({ exif: join(exif(true), ascii('maker notes')) }, { width: 1, height: 1 });
  assert.ok(text(found).endsWith('\0maker notes') && !text(found).includes('THUMB'));
});

test('XMP become upright and lose what the new file does not have', () => {
  const { xmp } = forResult({ xmp: new TextEncoder().encode(PACKET) }, { width: 1, height: 1 });
  const found = new TextDecoder().decode(xmp);
  assert.match(found, /tiff:Orientation="1"/);
  assert.match(found, /<tiff:Orientation>1</);
  assert.match(found, /Fünf/);
  assert.doesNotMatch(found, /Thumbnails|old picture|HasExtendedXMP/);
});

test('damaged metadata are left out, and never an exception', async () => {
  for (const bad of [some(0), some(7), ascii('MM\0*\xff\xff\xff\xff'), ascii('hello, world'), exif(true).subarray(0, 40)]) {
    assert.equal(forResult({ exif: bad }, { width: 1, height: 1 }).exif, undefined);
  }
  assert.equal(forResult({ xmp: Uint8Array.of(0xff, 0xfe, 0) }, { width: 1, height: 1 }).xmp, undefined);
  const profile = (data) => join(PNG.subarray(0, 33), pngChunk('iCCP', data), PNG.subarray(33));
  assert.deepEqual(await read(profile(ascii('name\0\0no zlib'))), { icc: undefined });
  // A megabyte of zeros compresses to a kilobyte: this one would become 64.
  assert.deepEqual(await read(profile(join(ascii('name\0\0'), deflateSync(new Uint8Array(64 << 20))))), { icc: undefined });
  const files = [join(...(await write(JPEG, { exif: exif(true), icc: some(90) })).parts), profile(ascii('x\0\0')), riff(lossy(9, 9))];
  for (const file of files) {
    for (let length = 0; length < file.length; length += 1) await read(file.subarray(0, length));
    for (let at = 0; at < file.length; at += 1) await read(file.map((byte, index) => (index === at ? 255 : byte)));
  }
});

/** A profile of three primaries and one curve. */
function icc(primaries, curve, space = 'RGB ') {
  const fixed = (value) => word(Math.round(value * 65536) >>> 0);
  const colours = [0, 3, 6].map((at) => join(ascii('XYZ \0\0\0\0'), ...primaries.slice(at, at + 3).map(fixed)));
  const header = new Uint8Array(128);
  header.set(ascii(space), 16);
  let place = 128 + 4 + 6 * 12;
  const tags = [...colours, curve, curve, curve].map((data, index) => {
    const tag = join(ascii(['rXYZ', 'gXYZ', 'bXYZ', 'rTRC', 'gTRC', 'bTRC'][index]), word(place), word(data.length));
    place += data.length;
    return tag;
  });
  return join(header, word(6), ...tags, ...colours, curve, curve, curve);
}

test('profiles are known by what they mean, not by their names', () => {
  const SRGB = [0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.7141];
  const P3 = [0.51512, 0.2412, -0.00105, 0.29198, 0.69225, 0.04189, 0.1571, 0.06657, 0.78407];
  const ADOBE = [0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457];
  const numbers = (...values) => join(...values.map((value) => word(Math.round(value * 65536))));
  const para = (kind, ...values) => join(ascii('para\0\0\0\0'), short(kind), short(0), numbers(...values));
  const curv = (...values) => join(ascii('curv\0\0\0\0'), word(values.length), ...values.map((value) => short(value)));
  const formula = para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045);
  const table = curv(...Array.from({ length: 1024 }, (_, at) => {
    const value = at / 1023;
    return Math.round(65535 * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  }));
  for (const curve of [formula, table]) {
    assert.equal(spaceOf(icc(SRGB, curve)), 'srgb');
    assert.equal(spaceOf(icc(P3, curve)), 'display-p3');
  }
  for (const curve of [curv(563), curv(), para(0, 1.8)]) {
    assert.equal(spaceOf(icc(SRGB, curve)), 'other');
    assert.equal(spaceOf(icc(ADOBE, curve)), 'wide');
  }
  assert.equal(spaceOf(icc(SRGB, formula, 'GRAY')), 'other');
  assert.equal(spaceOf(some(50)), 'other');
});

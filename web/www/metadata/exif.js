// EXIF, changed where it stands: notes of camera makers point into it, and must not move.

import { view } from './bytes.js';

const ORIENTATION = 0x0112;
const UPRIGHT = 1;
const CAMERA = 0x8769;
/** Width and height, in the main directory and in the camera's. */
const WIDTHS = [0x0100, 0xa002];
const HEIGHTS = [0x0101, 0xa003];
const THUMBNAIL = 0x0201;
const THUMBNAIL_LENGTH = 0x0202;
const [SHORT, LONG] = [3, 4];
const ENTRY = 12;

/**
 * The EXIF data of a photo whose pixels are upright now, of the given size, without its thumbnail.
 * @param {Uint8Array} exif from its byte-order mark on
 * @param {{ width: number, height: number }} size
 * @returns {Uint8Array | undefined} nothing if it is damaged
 */
export function forResult(exif, { width, height }) {
  const bytes = exif.slice();
  try {
    const file = new Tiff(bytes);
    const main = file.directory(file.number(LONG, 4));
    const camera = main.value(CAMERA);
    for (const directory of [main, camera && file.directory(camera)]) {
      directory?.set(ORIENTATION, UPRIGHT);
      for (const tag of WIDTHS) directory?.set(tag, width);
      for (const tag of HEIGHTS) directory?.set(tag, height);
    }
    return withoutThumbnail(file, main);
  } catch (error) {
    // It points out of itself.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function withoutThumbnail(file, main) {
  const { bytes } = file;
  if (!main.next) return bytes;
  const directory = file.directory(main.next);
  const start = directory.value(THUMBNAIL);
  const length = directory.value(THUMBNAIL_LENGTH);
  main.endList();
  if (!start || start < main.end || !length) return bytes;
  // It shows the photo as it was: its bytes go too, and at the end, where it nearly always is, the place for them.
  bytes.fill(0, start, start + length);
  return start + length >= bytes.length - 1 ? bytes.subarray(0, start) : bytes;
}

/** The numbers of a TIFF structure, in its byte order. */
class Tiff {
  #view;
  #lowestFirst;

  constructor(bytes) {
    this.bytes = bytes;
    this.#view = view(bytes);
    const mark = this.#view.getUint16(0);
    if (mark !== 0x4949 && mark !== 0x4d4d) throw new RangeError('no byte order');
    this.#lowestFirst = mark === 0x4949;
  }

  number(type, at) {
    return type === SHORT ? this.#view.getUint16(at, this.#lowestFirst) : this.#view.getUint32(at, this.#lowestFirst);
  }

  put(type, at, number) {
    if (type === SHORT) this.#view.setUint16(at, number, this.#lowestFirst);
    else this.#view.setUint32(at, number, this.#lowestFirst);
  }

  directory(at) {
    return new Directory(this, at);
  }
}

/** A list of entries: tag, type, count, and a value or where it is. */
class Directory {
  #file;
  #entries = new Map();
  #end;

  constructor(file, at) {
    this.#file = file;
    const count = file.number(SHORT, at);
    this.#end = at + 2 + count * ENTRY;
    for (let entry = at + 2; entry < this.#end; entry += ENTRY) {
      const type = file.number(SHORT, entry + 2);
      const single = file.number(LONG, entry + 4) === 1;
      if (single && (type === SHORT || type === LONG)) this.#entries.set(file.number(SHORT, entry), { type, at: entry + 8 });
    }
  }

  /** Where its entries end. */
  get end() {
    return this.#end;
  }

  /** Where the next list is; 0 if there is none. */
  get next() {
    return this.#end + 4 <= this.#file.bytes.length ? this.#file.number(LONG, this.#end) : 0;
  }

  endList() {
    this.#file.put(LONG, this.#end, 0);
  }

  /** A whole number, if the list has it. */
  value(tag) {
    const entry = this.#entries.get(tag);
    return entry && this.#file.number(entry.type, entry.at);
  }

  /** Changes a whole number that the list has. */
  set(tag, number) {
    const entry = this.#entries.get(tag);
    if (entry) this.#file.put(entry.type, entry.at, number);
  }
}

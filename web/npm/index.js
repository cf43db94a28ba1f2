// The page's network for any web page: pixels go in, restored pixels come out, workers do the work.

import { Cancelled, Engine } from './lib/engine.js';

/** In the order in which the modules take the shares. */
const FAULTS = ['noise', 'blur', 'rain', 'haze', 'jpeg'];

/** As in index.d.ts. */
export async function open({ backend, weights, onStatus = () => {}, onNote = () => {} } = {}) {
  let steers;
  const changed = (opened) => ({ steers } = opened);
  const engine = new Engine({ backend, changed, said: onStatus, noted: onNote });
  try {
    await (weights ? engine.use(new File([weights], 'the weights file')) : engine.open());
  } catch (error) {
    engine.close();
    throw error;
  }
  return new Restorer(engine, steers);
}

class Restorer {
  #engine;
  #steers;
  #closed = false;
  /** One photo after the other. */
  #turns = Promise.resolve();

  constructor(engine, steers) {
    this.#engine = engine;
    this.#steers = steers;
  }

  get backend() {
    return this.#engine.backend;
  }

  async restore(photo, { strength = 1, removal = {}, signal = new AbortController().signal, onProgress = () => {} } = {}) {
    if (!(strength >= 0 && strength <= 1)) throw new RangeError(`strength is 0 to 1, not ${strength}`);
    const shares = sharesOf(removal);
    if (!this.#steers && shares.some((share) => share < 1)) {
      throw new Error('these weights cannot remove one fault and keep another');
    }
    // Now: the caller may change them later.
    const before = copyOf(photo);
    if (strength === 0 || shares.every((share) => share === 0)) return before;
    const turn = this.#turns.then(() => this.#restore(before, strength, shares, signal, onProgress));
    this.#turns = turn.catch(() => {});
    return turn;
  }

  close() {
    this.#closed = true;
    this.#engine.close();
  }

  async #restore(before, strength, removal, signal, progress) {
    if (this.#closed) throw new Error('the restorer is closed');
    const { width, height, colorSpace } = before;
    const after = new ImageData(width, height, { colorSpace });
    const rows = ({ y, rgba }) => after.data.set(rgba, 4 * width * y);
    try {
      await this.#engine.restore(before, signal, { restart() {}, rows, progress, removal });
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
      throw signal.aborted ? signal.reason : new Error('the restorer was closed');
    }
    if (strength < 1) after.data.forEach((value, at) => (after.data[at] = before.data[at] + strength * (value - before.data[at])));
    return after;
  }
}

/** How much of each fault is removed. */
function sharesOf(removal) {
  const unknown = Object.keys(removal).find((name) => !FAULTS.includes(name));
  if (unknown !== undefined) throw new RangeError(`removal has no ${unknown}: use ${FAULTS.join(', ')}`);
  return FAULTS.map((name) => {
    const share = removal[name] ?? 1;
    if (!(share >= 0 && share <= 1)) throw new RangeError(`removal.${name} is 0 to 1, not ${share}`);
    return share;
  });
}

/** The pixels of a photo, in a copy. */
function copyOf(photo) {
  if (photo instanceof ImageBitmap) {
    const context = new OffscreenCanvas(photo.width, photo.height).getContext('2d');
    context.drawImage(photo, 0, 0);
    return context.getImageData(0, 0, photo.width, photo.height);
  }
  if (!(photo instanceof ImageData && photo.data instanceof Uint8ClampedArray)) {
    throw new TypeError('the photo is to be an ImageBitmap, or an ImageData of 8 bits a channel');
  }
  return new ImageData(photo.data.slice(), photo.width, photo.height, { colorSpace: photo.colorSpace });
}

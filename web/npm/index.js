// The page's network for any web page: pixels go in, restored pixels come out, workers do the work.

import { Cancelled, Engine } from './lib/engine.js';

/** As in index.d.ts. */
export async function open({ backend, weights, onStatus = () => {}, onNote = () => {} } = {}) {
  const engine = new Engine({ backend, changed() {}, said: onStatus, noted: onNote });
  try {
    await (weights ? engine.use(new File([weights], 'the weights file')) : engine.open());
  } catch (error) {
    engine.close();
    throw error;
  }
  return new Restorer(engine);
}

class Restorer {
  #engine;
  #closed = false;
  /** One photo after the other. */
  #turns = Promise.resolve();

  constructor(engine) {
    this.#engine = engine;
  }

  get backend() {
    return this.#engine.backend;
  }

  async restore(photo, { strength = 1, signal = new AbortController().signal, onProgress = () => {} } = {}) {
    if (!(strength >= 0 && strength <= 1)) throw new RangeError(`strength is 0 to 1, not ${strength}`);
    // Now: the caller may change them later.
    const before = copyOf(photo);
    if (strength === 0) return before;
    const turn = this.#turns.then(() => this.#restore(before, strength, signal, onProgress));
    this.#turns = turn.catch(() => {});
    return turn;
  }

  close() {
    this.#closed = true;
    this.#engine.close();
  }

  async #restore(before, strength, signal, progress) {
    if (this.#closed) throw new Error('the restorer is closed');
    const { width, height, colorSpace } = before;
    const after = new ImageData(width, height, { colorSpace });
    const rows = ({ y, rgba }) => after.data.set(rgba, 4 * width * y);
    try {
      await this.#engine.restore(before, signal, { restart() {}, rows, progress });
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
      throw signal.aborted ? signal.reason : new Error('the restorer was closed');
    }
    if (strength < 1) after.data.forEach((value, at) => (after.data[at] = before.data[at] + strength * (value - before.data[at])));
    return after;
  }
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

// The photo before and after: two canvases of its own size on top of each other, and the strength, which mixes pixels
// that are there already. A canvas of a large photo takes much memory, so there is a third one only while it is needed.

import { Divider } from './divider.js';
import { encode } from './encode.js';
import { Heat } from './heat.js';
import { PhotoError } from './photo.js';
import { Zoom } from './zoom.js';

const element = (id) => document.getElementById(id);

/** Shows one photo at a time. */
export class Viewer {
  #before = element('before');
  #after = element('after');
  /** The result at full strength, once another strength has been looked at; until then it is what is in view. */
  #restored;
  #strength = element('strength');
  #colorSpace = 'srgb';
  #frame = 0;

  /** @param {() => void} lacking as [Heat]'s: the photo is to be restored again, with its expected errors */
  constructor(lacking) {
    this.zoom = new Zoom(() => this.divider?.place());
    this.divider = new Divider(() => this.zoom.fits);
    this.heat = new Heat(() => ({
      before: this.#before,
      restored: this.#full,
      colorSpace: this.#colorSpace,
      strength: this.#strength.value,
    }), lacking);
    this.#strength.addEventListener('input', () => {
      element('strength-value').value = `${Math.round(this.#strength.value * 100)} %`;
      // At most once for each picture on the screen.
      cancelAnimationFrame(this.#frame);
      this.#frame = requestAnimationFrame(() => {
        this.mix();
        this.heat.mix();
      });
    });
  }

  /** The canvas with the result at the chosen strength. */
  get result() {
    return this.#after;
  }

  /** The colours of the canvases. */
  get colorSpace() {
    return this.#colorSpace;
  }

  /**
   * Whether a photo of this size can be shown, as an error if not; what is in view stays.
   * @param {ImageBitmap} bitmap
   */
  check(bitmap) {
    // One no larger than what is in view fits.
    if (bitmap.width <= this.#before.width && bitmap.height <= this.#before.height) return;
    const spare = document.createElement('canvas');
    try {
      size(spare, bitmap);
    } finally {
      // Safari bounds the memory of all canvases together.
      spare.width = spare.height = 0;
    }
  }

  /**
   * Shows a photo, and its restored version if there is one.
   * @param {{ bitmap: ImageBitmap, colorSpace: string }} photo its bitmap is of no use afterwards
   * @param {ImageBitmap} [restored] of the same size
   * @param {import('./cells.js').Cells} [errors] that are expected of it
   */
  open({ bitmap, colorSpace }, restored = bitmap, errors = undefined) {
    this.#use(colorSpace);
    this.#join();
    size(this.#after, bitmap);
    draw(this.#after, restored);
    this.zoom.show(bitmap);
    present(this.#before, bitmap);
    element('view').hidden = false;
    this.mix();
    this.heat.update(errors);
  }

  /**
   * Forgets what has been restored.
   * @param {ImageBitmap} [restored] comes in its place, of the same size
   * @param {import('./cells.js').Cells} [errors] that are expected of it
   */
  restart(restored = this.#before, errors = undefined) {
    draw(this.#full, restored);
    this.mix();
    this.heat.update(errors);
  }

  /** Everything has been restored. */
  finish() {
    this.heat.renew();
  }

  /** Puts finished rows in their place. */
  rows({ y, width, rgba, errors }) {
    const rows = new ImageData(rgba, width, rgba.length / 4 / width, { colorSpace: this.#colorSpace });
    this.#full.getContext('2d').putImageData(rows, 0, y);
    this.mix(y, rows.height);
    if (errors) this.heat.expect({ y, width, errors }, this.#after.height);
  }

  /** `before + strength * (restored - before)` for some rows, exact at both ends. */
  mix(y = 0, height = this.#after.height) {
    const strength = Number(this.#strength.value);
    if (!this.#restored && strength === 1) return;
    this.#separate();
    const context = this.#after.getContext('2d');
    const add = (canvas, share, operation) => {
      context.globalCompositeOperation = operation;
      context.globalAlpha = share;
      context.drawImage(canvas, 0, y, canvas.width, height, 0, y, canvas.width, height);
    };
    context.clearRect(0, y, this.#after.width, height);
    if (strength < 1) add(this.#before, 1 - strength, 'lighter');
    if (strength > 0) add(this.#restored, strength, 'lighter');
  }

  /** The restored photo at full strength, as a PNG file. */
  keep() {
    return encode(this.#full, 'png');
  }

  /** The canvas with the result at full strength. */
  get #full() {
    return this.#restored ?? this.#after;
  }

  /** Copies the result at full strength before another one takes its place. */
  #separate() {
    if (this.#restored) return;
    const canvas = document.createElement('canvas');
    canvas.getContext('2d', { colorSpace: this.#colorSpace });
    size(canvas, this.#after);
    draw(canvas, this.#after);
    this.#restored = canvas;
  }

  /** Another photo comes: the copy is of no use. */
  #join() {
    if (this.#restored) this.#restored.width = this.#restored.height = 0;
    this.#restored = undefined;
  }

  /** A canvas has the colour space that it began with: another one takes a new canvas. */
  #use(colorSpace) {
    if (colorSpace === this.#colorSpace) return;
    this.#colorSpace = colorSpace;
    const canvas = this.#after.cloneNode();
    canvas.getContext('2d', { colorSpace });
    this.#after.replaceWith(canvas);
    this.#after.width = this.#after.height = 0;
    this.#after = canvas;
  }
}

/** Makes a canvas that large; one beyond the browser's limits would swallow what is drawn. */
function size(canvas, { width, height }) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  context?.fillRect(0, 0, 1, 1);
  const taken = context?.getImageData(0, 0, 1, 1).data[3] === 255;
  context?.clearRect(0, 0, 1, 1);
  if (!taken) throw new PhotoError(`${width} x ${height} pixels are more than this browser can show`);
}

/** Hands a bitmap to a canvas that only shows it: to draw it there would take its memory twice. */
function present(canvas, bitmap) {
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext('bitmaprenderer').transferFromImageBitmap(bitmap);
}

function draw(canvas, image) {
  const context = canvas.getContext('2d');
  context.globalCompositeOperation = 'copy';
  context.globalAlpha = 1;
  context.drawImage(image, 0, 0);
}

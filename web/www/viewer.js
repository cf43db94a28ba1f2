// The photo before and after: two canvases of its own size on top of each other, a divider between what is
// seen of them, and the strength, which mixes pixels that are there already.

import { PhotoError } from './photo.js';

const element = (id) => document.getElementById(id);

/** Shows one photo at a time. */
export class Viewer {
  #before = element('before');
  #after = element('after');
  #restored = document.createElement('canvas');
  #sheet = element('sheet');
  #scroll = element('scroll');
  #divider = element('divider');
  #compare = element('compare');
  #strength = element('strength');
  #zoom = 'fit';
  #frame = 0;

  constructor() {
    const place = () => this.#place();
    this.#compare.addEventListener('input', place);
    this.#scroll.addEventListener('scroll', place);
    new ResizeObserver(() => this.#layOut()).observe(this.#scroll.parentElement);
    this.#strength.addEventListener('input', () => {
      element('strength-value').value = `${Math.round(this.#strength.value * 100)} %`;
      // At most once for each picture on the screen.
      cancelAnimationFrame(this.#frame);
      this.#frame = requestAnimationFrame(() => this.mix());
    });
    element('zoom').addEventListener('click', ({ target }) => {
      if (target.dataset.zoom) this.zoom(target.dataset.zoom);
    });
    this.#scroll.addEventListener('keydown', ({ key }) => {
      const zoom = { 0: 'fit', 1: '1', 2: '2', 4: '4' }[key];
      if (zoom) this.zoom(zoom);
    });
    this.#dragDivider();
    this.#dragPhoto();
  }

  /** The canvas with the result at the chosen strength. */
  get result() {
    return this.#after;
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
   * @param {ImageBitmap} bitmap
   * @param {ImageBitmap} [restored] of the same size
   */
  open(bitmap, restored = bitmap) {
    for (const canvas of [this.#before, this.#after, this.#restored]) size(canvas, bitmap);
    draw(this.#before, bitmap);
    draw(this.#restored, restored);
    element('view').hidden = false;
    this.mix();
    this.#layOut();
  }

  /**
   * Forgets what has been restored.
   * @param {ImageBitmap} [restored] comes in its place, of the same size
   */
  restart(restored = this.#before) {
    draw(this.#restored, restored);
    this.mix();
  }

  /** Puts finished rows in their place. */
  rows({ y, width, rgba }) {
    const rows = new ImageData(rgba, width);
    this.#restored.getContext('2d').putImageData(rows, 0, y);
    this.mix(y, rows.height);
  }

  /** `before + strength * (restored - before)` for some rows, exact at both ends. */
  mix(y = 0, height = this.#after.height) {
    const strength = Number(this.#strength.value);
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
    return encode(this.#restored);
  }

  /** The photo as it is seen, as a PNG file. */
  save() {
    return encode(this.#after);
  }

  /** `fit`, or screen pixels for each pixel of the photo. */
  zoom(zoom) {
    this.#zoom = zoom;
    for (const button of element('zoom').children) button.setAttribute('aria-pressed', button.dataset.zoom === zoom);
    this.#layOut();
  }

  #layOut() {
    const { width, height } = this.#before;
    const room = this.#scroll.clientWidth;
    const fit = Math.min(room / width, (window.innerHeight * 0.75) / height, 1);
    const scale = this.#zoom === 'fit' ? fit : this.#zoom / window.devicePixelRatio;
    const middle = (this.#scroll.scrollLeft + room / 2) / (this.#sheet.clientWidth || 1);
    this.#sheet.style.width = `${width * scale}px`;
    this.#sheet.style.height = `${height * scale}px`;
    this.#sheet.classList.toggle('large', scale * window.devicePixelRatio >= 1);
    this.#scroll.scrollLeft = middle * width * scale - room / 2;
    this.#place();
  }

  /** The divider stands at a share of the visible width; what lies right of it shows the result. */
  #place() {
    const { frame, sheet, left, right } = this.#visible();
    const at = left + ((right - left) * this.#compare.value) / 100;
    this.#divider.style.left = `${at - frame.left}px`;
    this.#before.style.clipPath = `inset(0 ${sheet.right - at}px 0 0)`;
    this.#after.style.clipPath = `inset(0 0 0 ${at - sheet.left}px)`;
    this.#compare.setAttribute('aria-valuetext', `${Math.round(this.#compare.value)} % before`);
  }

  /** The frame, the whole photo, and the left and right end of what is seen of it, in the window. */
  #visible() {
    const frame = this.#scroll.getBoundingClientRect();
    const sheet = this.#sheet.getBoundingClientRect();
    const left = Math.max(frame.left, sheet.left);
    const right = Math.min(frame.left + this.#scroll.clientWidth, sheet.right);
    return { frame, sheet, left, right };
  }

  #dragDivider() {
    this.#divider.addEventListener('pointerdown', ({ pointerId }) => this.#divider.setPointerCapture(pointerId));
    this.#divider.addEventListener('pointermove', ({ pointerId, clientX }) => {
      if (!this.#divider.hasPointerCapture(pointerId)) return;
      const { left, right } = this.#visible();
      this.#compare.value = ((clientX - left) / (right - left)) * 100;
      this.#place();
    });
  }

  #dragPhoto() {
    this.#scroll.addEventListener('pointermove', ({ buttons, pointerType, movementX, movementY }) => {
      if (buttons === 1 && pointerType === 'mouse') this.#scroll.scrollBy(-movementX, -movementY);
    });
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

function encode(canvas) {
  return new Promise((resolve, reject) => {
    const refused = new PhotoError(`this browser cannot make a PNG file of ${canvas.width} x ${canvas.height} pixels`);
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(refused)), 'image/png');
  });
}

function draw(canvas, image) {
  const context = canvas.getContext('2d');
  context.globalCompositeOperation = 'copy';
  context.globalAlpha = 1;
  context.drawImage(image, 0, 0);
}

// Where the photo changed, and how much: a picture that lies over it.

const element = (id) => document.getElementById(id);

/** Side of a part in pixels, at least; and how many parts there are in a row, at most. */
const CELL = 8;
const CELLS = 256;
/** How many pixels are compared at a time. */
const STRIP = 1 << 20;
/** The change that has the last colour, in levels of 255. */
const FULL = 32;
/** From no change to all of it: dark to bright, so that it can be read without telling colours apart. */
const RAMP = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];

/** Shows it on demand. */
export class Heat {
  #canvas = element('heat');
  #button = element('heat-map');
  #cells;
  #photo;

  /** @param {() => { before: HTMLCanvasElement, restored: HTMLCanvasElement, colorSpace: string, strength: number }} photo in view */
  constructor(photo) {
    this.#button.addEventListener('click', () => this.toggle());
    this.#drawLegend();
    this.#photo = photo;
  }

  get shown() {
    return this.#button.getAttribute('aria-pressed') === 'true';
  }

  toggle() {
    this.#button.setAttribute('aria-pressed', !this.shown);
    this.update();
  }

  /** Another photo, or more of its result: compared anew if it is looked at. */
  update() {
    this.#cells = undefined;
    this.#canvas.hidden = element('legend').hidden = !this.shown;
    if (this.shown) this.#draw();
  }

  /** The change is as strong as the result is mixed in. */
  mix() {
    if (this.shown) this.#draw();
  }

  #draw() {
    this.#cells ??= compare(this.#photo());
    const { strength } = this.#photo();
    const { columns, rows, changes, mean, most } = this.#cells;
    const image = new ImageData(columns, rows);
    changes.forEach((change, at) => image.data.set(colour(change * strength), at * 4));
    Object.assign(this.#canvas, { width: columns, height: rows });
    this.#canvas.getContext('2d').putImageData(image, 0, 0);
    const levels = (change) => (change * strength).toFixed(1);
    element('change').textContent = `changed by ${levels(mean)} of 255 levels on average, by ${levels(most)} where most`;
  }

  #drawLegend() {
    const { width } = element('ramp');
    const image = new ImageData(width, 1);
    for (let x = 0; x < width; x += 1) image.data.set(colour((x / (width - 1)) * FULL), x * 4);
    element('ramp').getContext('2d').putImageData(image, 0, 0);
    element('full').textContent = `${FULL} levels and more`;
  }
}

/** The mean difference of the channels in each part of the photo. */
function compare({ before, restored, colorSpace }) {
  const { width, height } = before;
  const cell = Math.max(CELL, Math.ceil(Math.max(width, height) / CELLS));
  const [columns, rows] = [Math.ceil(width / cell), Math.ceil(height / cell)];
  const changes = new Float32Array(columns * rows);
  const strip = Math.max(1, Math.floor(STRIP / width / cell)) * cell;
  const scratch = new OffscreenCanvas(width, Math.min(strip, rows * cell));
  const context = scratch.getContext('2d', { colorSpace, willReadFrequently: true });
  for (let top = 0; top < height; top += strip) {
    const lines = Math.min(strip, height - top);
    for (const [canvas, operation] of [[before, 'copy'], [restored, 'difference']]) {
      context.globalCompositeOperation = operation;
      context.drawImage(canvas, 0, top, width, lines, 0, 0, width, lines);
    }
    const { data } = context.getImageData(0, 0, width, lines);
    for (let y = 0; y < lines; y += 1) {
      const row = Math.floor((top + y) / cell) * columns;
      for (let x = 0, at = y * width * 4; x < width; x += 1, at += 4) {
        changes[row + Math.floor(x / cell)] += data[at] + data[at + 1] + data[at + 2];
      }
    }
  }
  const mean = changes.reduce((sum, change) => sum + change, 0) / (3 * width * height);
  const sides = (index, length) => Math.min(cell, length - index * cell);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      changes[row * columns + column] /= 3 * sides(column, width) * sides(row, height);
    }
  }
  const most = changes.reduce((most, change) => Math.max(most, change), 0);
  return { columns, rows, changes, mean, most };
}

/** Red, green, blue and opacity. */
function colour(change) {
  const place = Math.min(change / FULL, 1) * (RAMP.length - 1);
  const below = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[below].map((value, channel) => value + (RAMP[below + 1][channel] - value) * (place - below));
  return [...mixed, 255];
}

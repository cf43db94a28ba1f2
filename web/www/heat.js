// Pictures that lie over the photo: where it changed, and how far off the result may be.

import { Cells } from './cells.js';

const element = (id) => document.getElementById(id);

/** How many pixels are compared at a time. */
const STRIP = 1 << 20;
/** Steps of the expected errors in a level of 255. */
const STEPS = 8;
/** The pictures: the button of each, what has the last colour, in levels of 255, and what is said of it. */
const KINDS = {
  change: { button: 'heat-map', full: 32, label: 'How much each part changed', said: 'changed by' },
  error: { button: 'error-map', full: 16, label: 'How far off each part may be', said: 'expected to be off by' },
};
/** From nothing to all: dark to bright, so that it can be read without telling colours apart. */
const RAMP = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];

/** Shows one of them on demand. */
export class Heat {
  #canvas = element('heat');
  #photo;
  #lacking;
  #changes;
  #errors;

  /**
   * @param {() => { before: HTMLCanvasElement, restored: HTMLCanvasElement, colorSpace: string, strength: number }} photo in view
   * @param {() => void} lacking told when the expected errors are asked for, and the photo was restored without them
   */
  constructor(photo, lacking) {
    this.#photo = photo;
    this.#lacking = lacking;
    for (const [kind, { button }] of Object.entries(KINDS)) element(button).addEventListener('click', () => this.toggle(kind));
  }

  /** Whether the weights can tell the expected errors. */
  offer(expects) {
    if (!expects && this.#shown === 'error') this.toggle('error');
    element(KINDS.error.button).hidden = !expects;
  }

  toggle(kind) {
    if (element(KINDS[kind].button).hidden) return;
    const next = this.#shown === kind ? undefined : kind;
    for (const [kind, { button }] of Object.entries(KINDS)) element(button).setAttribute('aria-pressed', kind === next);
    this.#show();
    if (this.expects && !this.#errors) this.#lacking();
  }

  /** Whether photos are to be restored with their expected errors. */
  get expects() {
    return this.#shown === 'error';
  }

  /** The expected errors of the photo in view, as far as they came. */
  get errors() {
    return this.#errors;
  }

  /** Another photo, or another result: compared anew if it is looked at. */
  update(errors) {
    this.#errors = errors;
    this.renew();
  }

  /** More of the result has come. */
  renew() {
    this.#changes = undefined;
    this.#show();
  }

  /** More rows of expected errors. */
  expect({ y, width, errors }, height) {
    this.#errors ??= new Cells(width, height);
    this.#errors.add(y, errors, 1, 1 / STEPS);
  }

  /** The change is as strong as the result is mixed in. */
  mix() {
    if (this.#shown === 'change') this.#draw();
  }

  get #shown() {
    return Object.keys(KINDS).find((kind) => element(KINDS[kind].button).getAttribute('aria-pressed') === 'true');
  }

  #show() {
    const kind = this.#shown;
    this.#canvas.hidden = element('legend').hidden = !kind;
    if (!kind) return;
    this.#canvas.setAttribute('aria-label', KINDS[kind].label);
    drawLegend(KINDS[kind]);
    this.#draw();
  }

  #draw() {
    const { full, said } = KINDS[this.#shown];
    const cells = this.#cells();
    const strength = this.expects ? 1 : Number(this.#photo().strength);
    this.#canvas.hidden = !cells;
    element('change').textContent = '';
    if (!cells) return;
    const { columns, rows } = cells;
    const { means, mean, most } = cells.summary();
    const image = new ImageData(columns, rows);
    means.forEach((value, at) => image.data.set(colour((value * strength) / full), at * 4));
    Object.assign(this.#canvas, { width: columns, height: rows });
    this.#canvas.getContext('2d').putImageData(image, 0, 0);
    const levels = (value) => (value * strength).toFixed(1);
    element('change').textContent = `${said} ${levels(mean)} of 255 levels on average, by ${levels(most)} where most`;
  }

  #cells() {
    return this.expects ? this.#errors : (this.#changes ??= compare(this.#photo()));
  }
}

function drawLegend({ full }) {
  const { width } = element('ramp');
  const image = new ImageData(width, 1);
  for (let x = 0; x < width; x += 1) image.data.set(colour(x / (width - 1)), x * 4);
  element('ramp').getContext('2d').putImageData(image, 0, 0);
  element('full').textContent = `${full} levels and more`;
}

/** The mean difference of the channels in each part of the photo. */
function compare({ before, restored, colorSpace }) {
  const { width, height } = before;
  const changes = new Cells(width, height);
  const strip = Math.max(1, Math.floor(STRIP / width));
  const scratch = new OffscreenCanvas(width, Math.min(strip, height));
  const context = scratch.getContext('2d', { colorSpace, willReadFrequently: true });
  for (let top = 0; top < height; top += strip) {
    const lines = Math.min(strip, height - top);
    for (const [canvas, operation] of [[before, 'copy'], [restored, 'difference']]) {
      context.globalCompositeOperation = operation;
      context.drawImage(canvas, 0, top, width, lines, 0, 0, width, lines);
    }
    const { data } = context.getImageData(0, 0, width, lines);
    changes.add(top, data, 4, 1 / 3);
  }
  return changes;
}

/** Red, green, blue and opacity of a share. */
function colour(share) {
  const place = Math.min(share, 1) * (RAMP.length - 1);
  const below = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[below].map((value, channel) => value + (RAMP[below + 1][channel] - value) * (place - below));
  return [...mixed, 255];
}

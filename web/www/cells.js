// Means over the parts of a photo.

/** Side of a part in pixels, at least; and how many parts there are in a row, at most. */
const SIDE = 8;
const MOST = 256;

/** One number for each square part of a photo. */
export class Cells {
  #width;
  #height;
  #side;
  #sums;

  constructor(width, height) {
    this.#width = width;
    this.#height = height;
    this.#side = Math.max(SIDE, Math.ceil(Math.max(width, height) / MOST));
    this.columns = Math.ceil(width / this.#side);
    this.rows = Math.ceil(height / this.#side);
    this.#sums = new Float32Array(this.columns * this.rows);
  }

  /**
   * Adds rows of pixels.
   * @param {number} top the first row
   * @param {Uint8Array | Uint8ClampedArray} samples `channels` for each pixel; with 4 the last one is alpha, which says nothing
   * @param {number} channels 1 or 4
   * @param {number} scale what a pixel's sum is multiplied with
   */
  add(top, samples, channels, scale) {
    const side = this.#side;
    for (let y = top, at = 0; at < samples.length; y += 1) {
      const row = Math.floor(y / side) * this.columns;
      for (let x = 0; x < this.#width; x += 1, at += channels) {
        const sum = channels === 1 ? samples[at] : samples[at] + samples[at + 1] + samples[at + 2];
        this.#sums[row + Math.floor(x / side)] += sum * scale;
      }
    }
  }

  /** The mean of each part, row by row, of the whole photo, and of the part that has most. */
  summary() {
    const side = this.#side;
    const along = (index, length) => Math.min(side, length - index * side);
    const pixels = (at) => along(at % this.columns, this.#width) * along(Math.floor(at / this.columns), this.#height);
    const means = this.#sums.map((sum, at) => sum / pixels(at));
    const mean = this.#sums.reduce((sum, value) => sum + value, 0) / (this.#width * this.#height);
    return { means, mean, most: means.reduce((most, value) => Math.max(most, value), 0) };
  }
}

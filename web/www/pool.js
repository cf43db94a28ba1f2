// Several networks, each in a worker of its own, when the CPU computes without shared memory: tiles do not depend on each
// other. A GPU has one network, in the worker that asks, and so have threads.

/** More would only press on the memory: each has its own weights and buffers. */
const MOST = 8;

/** Runs the network on tiles. */
export class Pool {
  #restorer;
  #seed;
  #runners = [];

  /**
   * @param restorer the network of this worker
   * @param seed what other workers need to have the same one; nothing on a GPU or with threads
   */
  constructor(restorer, seed) {
    this.#restorer = restorer;
    this.#seed = seed;
  }

  /**
   * Runs the network on the tiles from `first` up to `end` and hands the results on in order.
   * @param {number} first
   * @param {number} end
   * @param {(index: number) => { height: number, width: number, planar: Float32Array, calibrates: boolean,
   *   statistics?: Float32Array, removal: Float32Array, errors: boolean }} tile
   * @param {(output: Float32Array) => boolean} accept ends the work with `false`
   */
  async each(first, end, tile, accept) {
    const results = new Map();
    let next = first;
    let accepted = first;
    let going = true;
    const work = async (run) => {
      while (going && next < end) {
        const index = next++;
        results.set(index, await run(tile(index)));
        // Messages, a cancel among them, come in here.
        await new Promise((resume) => setTimeout(resume));
        for (; going && results.has(accepted); accepted += 1) {
          going = accept(results.get(accepted));
          results.delete(accepted);
        }
      }
    };
    const runners = this.#enough(end - first);
    await Promise.all(runners.map(work)).finally(() => (going = false));
  }

  /** As many networks as there are processors, tiles, and gigabytes of memory. */
  #enough(tiles) {
    const here = ({ height, width, planar, calibrates, statistics, removal, errors }) =>
      this.#restorer.run(height, width, planar, calibrates, statistics, removal, errors);
    const count = Math.min(navigator.hardwareConcurrency, navigator.deviceMemory ?? 4, MOST, tiles);
    if (!this.#seed || count < 2) return [here];
    while (this.#runners.length < count) this.#runners.push(runner(this.#seed));
    return this.#runners.slice(0, count);
  }
}

/** A network in a new worker, as a function. */
function runner(seed) {
  const worker = new Worker(new URL('./runner.js', import.meta.url), { type: 'module' });
  let wait;
  const fail = (message) => wait?.reject(new Error(message));
  worker.addEventListener('message', ({ data }) => (data.message ? fail(data.message) : wait.resolve(data.output)));
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    fail(event.message || 'a worker cannot be started');
  });
  worker.postMessage(seed);
  return (tile) =>
    new Promise((resolve, reject) => {
      wait = { resolve, reject };
      worker.postMessage(tile, [tile.planar.buffer]);
    });
}

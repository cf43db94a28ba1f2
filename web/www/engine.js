// The network, wherever it can run: on WebGPU, and on the CPU where that fails.

/** The visitor cancelled. */
export class Cancelled extends Error {}

/** Something failed in the worker. `kind` says what is at fault; `detail` is for who looks into it. */
class Failure extends Error {
  constructor(message, kind, detail) {
    super(message);
    Object.assign(this, { kind, detail });
  }
}

/** How long a worker may take to notice a cancel before it is ended, in milliseconds. */
const PATIENCE = 1500;

/**
 * Restores photos, one at a time. `changed` is told whenever the backend becomes known, `noted` what the
 * visitor should know about it, `said` what it is doing.
 */
export class Engine {
  #worker;
  #opening;
  #weights;
  #backend;
  #keeps;
  #diagnoses;
  #wait;
  #events;
  /** Whether the CPU's threads may share memory. */
  #threads = true;
  #faults;

  /**
   * `keeps`: whether the browser is to keep the network's files for visits without a network; `diagnoses`: whether each photo
   * is told what is wrong with it.
   */
  constructor({ backend = 'webgpu', keeps = false, diagnoses = false, changed, noted, said }) {
    this.#backend = backend;
    this.#keeps = keeps;
    this.#diagnoses = diagnoses;
    this.#events = { changed, noted, said };
  }

  /** `webgpu` or `cpu`. */
  get backend() {
    return this.#backend;
  }

  /**
   * Loads and checks the network, on the CPU if WebGPU fails; a failure there is an error.
   * @returns {Promise<void>}
   */
  open() {
    this.#opening ??= this.#open().catch((error) => {
      this.#stop();
      throw error;
    });
    return this.#opening;
  }

  /**
   * Takes other weights from now on, or the built-in ones again.
   * @param {File | undefined} file a safetensors file
   */
  async use(file) {
    // Now: by the time another worker needs them the file may have changed.
    const weights = file && (await read(file));
    const [before, backend] = [this.#weights, this.#backend];
    this.#weights = weights;
    this.#stop();
    try {
      await this.open();
    } catch (error) {
      this.#weights = before;
      if (this.#backend !== backend) this.#events.noted('');
      this.#backend = backend;
      throw error;
    }
  }

  /** Ends all work; what waits for it fails with `Cancelled`. */
  close() {
    this.#stop();
    this.#settle('reject', new Cancelled());
  }

  /**
   * Restores a photo.
   * @param {Blob | ImageData} source
   * @param {AbortSignal} signal ends the work; it then fails with `Cancelled`
   * @param {{restart: () => void, rows: Function, progress: Function, findings?: Function, removal?: number[],
   *   errors?: boolean}} photo told of
   *   each step; `restart` when the work begins again on smaller tiles or another device. `removal`: how much of noise, blur,
   *   rain, haze and JPEG goes, 0 to 1; all of everything if it is not said. If nothing of anything, there are no rows.
   *   `errors`: whether the rows come with their expected errors.
   */
  async restore(source, signal, photo) {
    let ended = false;
    signal.addEventListener('abort', () => this.#cancel(() => ended));
    try {
      return await this.#restore(source, signal, photo);
    } finally {
      ended = true;
    }
  }

  async #restore(source, signal, photo) {
    let small = false;
    for (;;) {
      photo.restart();
      try {
        throwIfCancelled(signal);
        await this.open();
        throwIfCancelled(signal);
        const { removal, errors } = photo;
        return await this.#ask({ type: 'restore', source, small, diagnoses: this.#diagnoses, removal, errors }, photo);
      } catch (error) {
        if (isFinal(error)) throw error;
        this.#stop();
        if (this.#doWithoutThreads(error)) {
          small = false;
        } else if (!small) {
          small = true;
          this.#events.noted(`${error.message}. Trying again with smaller tiles.`);
        } else if (this.#backend === 'webgpu') {
          small = false;
          this.#fallBack(error);
        } else {
          throw error;
        }
      }
    }
  }

  #cancel(ended) {
    if (!this.#wait) return;
    this.#worker?.postMessage({ type: 'cancel' });
    // Between two tiles the worker notices by itself; while it loads, hangs, or gives way to another device, it does not.
    setTimeout(() => {
      const wait = this.#wait;
      if (!wait || ended()) return;
      this.#stop();
      wait.reject(new Cancelled());
    }, PATIENCE);
  }

  async #open() {
    for (;;) {
      try {
        this.#events.said(`Starting on ${this.#backend}`);
        this.#start();
        const opened = await this.#ask({
          type: 'open',
          backend: this.#backend,
          keeps: this.#keeps,
          weights: this.#weights,
          threads: this.#threads,
          faults: this.#faults.name,
        });
        this.#events.changed(opened);
        return;
      } catch (error) {
        if (this.#doWithoutThreads(error)) {
          this.#end();
        } else if (isFinal(error) || this.#backend === 'cpu') {
          throw error;
        } else {
          this.#end();
          this.#fallBack(error);
        }
      }
    }
  }

  /** Whether one of the threads is at fault, so that there are to be none. */
  #doWithoutThreads({ kind, message }) {
    if (kind !== 'threads') return false;
    this.#threads = false;
    this.#events.noted(`${message}. Trying again without shared memory.`);
    return true;
  }

  #fallBack(error) {
    this.#backend = 'cpu';
    this.#events.noted(`WebGPU cannot be used (${error.message}); the CPU does the work.`);
  }

  #start() {
    // Of the worker's threads: it waits for them, and hears nothing.
    this.#faults = new BroadcastChannel(`dino-ir ${Math.random()}`);
    this.#faults.addEventListener('message', ({ data }) => this.#settle('reject', new Failure(data, 'threads')));
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data }) => this.#hear(data));
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#settle('reject', new Failure(event.message || 'the worker cannot be started', 'device'));
    });
  }

  #stop() {
    this.#end();
    this.#opening = undefined;
  }

  #end() {
    this.#worker?.terminate();
    this.#faults?.close();
    this.#worker = undefined;
  }

  #ask(message, photo) {
    return new Promise((resolve, reject) => {
      this.#wait = { resolve, reject, photo };
      this.#worker.postMessage(message);
    });
  }

  #hear({ type, ...data }) {
    switch (type) {
      case 'status':
        return this.#events.said(data.text);
      case 'opened':
        return this.#settle('resolve', data);
      case 'done':
        return this.#settle('resolve');
      case 'cancelled':
        return this.#settle('reject', new Cancelled());
      case 'failed':
        return this.#settle('reject', new Failure(data.message, data.fault, data.detail));
      default:
        return this.#wait?.photo?.[type]?.(data);
    }
  }

  #settle(how, value) {
    const wait = this.#wait;
    this.#wait = undefined;
    wait?.[how](value);
  }
}

function read(file) {
  return file.arrayBuffer().catch(() => {
    throw new Failure(`${file.name} cannot be read`, 'weights');
  });
}

/** Whether another device would not help: the photo, the weights and the connection are the same there. */
function isFinal(error) {
  return error instanceof Cancelled || (error instanceof Failure && error.kind !== 'device');
}

function throwIfCancelled(signal) {
  if (signal.aborted) throw new Cancelled();
}

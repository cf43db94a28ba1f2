// The threads of the module that has them: workers with its memory.

/** More of them wait for each other more than they gain. */
const MOST = 16;

/**
 * Starts as many threads as there are processors.
 * @param bindings the module's, which has no threads yet
 * @param {{ module: WebAssembly.Module, memory: WebAssembly.Memory, faults: string }} seed what is in use here, and the name of the
 *   channel on which a thread says that it has failed
 * @returns {Promise<number>} how many
 */
export async function startThreads(bindings, seed) {
  const count = Math.min(navigator.hardwareConcurrency, MOST);
  const workers = Array.from({ length: count }, () => new Worker(new URL('./thread.js', import.meta.url), { type: 'module' }));
  try {
    await Promise.all(workers.map((worker) => ready(worker, seed)));
    bindings.start_threads(count);
    return count;
  } catch (error) {
    for (const worker of workers) worker.terminate();
    throw error;
  }
}

function ready(worker, seed) {
  return new Promise((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => (data.message ? reject(new Error(data.message)) : resolve()));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      reject(new Error(event.message || 'a worker cannot be started'));
    });
    worker.postMessage(seed);
  });
}

// The network on threads that share its memory, for the benchmark: runner.js, with the module `threads`.
//
// In: first { module, weights }, then tiles as runner.js takes them. Out: { output } for each, or { message } if it fails.

import { modules } from './assets.js';
import { reason } from './reason.js';
import { startThreads } from './threads.js';

let restorer;

addEventListener('message', async ({ data }) => {
  try {
    if (!restorer) {
      restorer = open(data);
      return;
    }
    const { height, width, planar, calibrates } = data;
    const output = await (await restorer).run(height, width, planar, calibrates);
    postMessage({ output }, [output.buffer]);
  } catch (error) {
    postMessage({ message: reason(error) });
  }
});

async function open({ module, weights }) {
  const bindings = await modules.threads.script();
  const { memory } = await bindings.default({ module_or_path: module });
  await startThreads(bindings, { module, memory, faults: 'faults of the benchmark' });
  return bindings.Restorer.open(weights);
}

// One of several networks on the CPU.
//
// In: first { name, module, weights }, then tiles { height, width, planar, calibrates, statistics?, removal, errors }.
// Out: { output } for each tile, or { message } if it fails.

import { modules } from './assets.js';
import { reason } from './reason.js';

let restorer;

addEventListener('message', async ({ data }) => {
  try {
    if (!restorer) {
      restorer = open(data);
      return;
    }
    const { height, width, planar, calibrates, statistics, removal, errors } = data;
    const output = await (await restorer).run(height, width, planar, calibrates, statistics, removal, errors);
    postMessage({ output }, [output.buffer]);
  } catch (error) {
    postMessage({ message: reason(error) });
  }
});

async function open({ name, module, weights }) {
  const bindings = await modules[name].script();
  await bindings.default({ module_or_path: module });
  return bindings.Restorer.open(weights);
}

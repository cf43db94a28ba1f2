// One thread of the network on the CPU, with the same memory as the others.
//
// In: { module, memory, faults }. Out: 'ready', after which this worker only computes, or { message } if it cannot be used.
// What fails later is told on the channel `faults`: nobody else can hear it, the network waits for this thread.

import { modules } from './assets.js';
import { reason } from './reason.js';

addEventListener('message', async ({ data: { module, memory, faults } }) => {
  let bindings;
  try {
    bindings = await modules.threads.script();
    await bindings.default({ module_or_path: module, memory });
  } catch (error) {
    postMessage({ message: reason(error) });
    return;
  }
  postMessage('ready');
  try {
    bindings.run_thread();
  } catch (error) {
    new BroadcastChannel(faults).postMessage(reason(error));
  }
});

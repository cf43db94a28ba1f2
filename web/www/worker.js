// All the work: loads a module and the weights, restores a photo tile by tile. One network for each worker;
// after a failure the page makes a new one, because a module that has panicked cannot be used again.
//
// In: { type: 'open', backend, keeps, weights?: ArrayBuffer, threads, faults }, { type: 'restore', source, small, diagnoses, removal?, errors? },
// { type: 'cancel' }.
// Out: { type: 'status', text }, { type: 'opened', backend, device, software, prepared, steers, expects }, { type: 'findings', findings? },
// { type: 'rows', y, width, rgba, errors? }, { type: 'progress', done, total }, { type: 'done' | 'cancelled' },
// { type: 'failed', message, fault: 'photo' | 'weights' | 'connection' | 'device', detail }.

import { modules, weights as builtin } from './assets.js';
import { namesFor } from './modules.js';
import { PhotoError } from './photo.js';
import { Pool } from './pool.js';
import { reason } from './reason.js';
import { open } from './source.js';
import { load, LoadError } from './store.js';
import { startThreads } from './threads.js';
import { unpack } from './weights.js';

const tell = (type, message = {}, transfer = []) => postMessage({ type, ...message }, transfer);
const status = (text) => tell('status', { text });

/** Side of a tile in pixels, where each worker has one. Threads share tiles that are as large as the memory allows. */
const TILE = 256;

let restorer;
let pool;
/** Of the threads that compute together, or 1. */
let threads;
let cancelled = false;

const commands = {
  async open({ backend, keeps, weights, threads: wanted, faults }) {
    // Before anything is fetched for it.
    const gpu = backend === 'webgpu' && (await describeGpu());
    const program = await openProgram(namesFor(backend, wanted), keeps, faults);
    const { name, bindings, module } = program;
    threads = program.threads;
    const file = weights ? new Uint8Array(weights) : unpack(await fetched('network', builtin, keeps));
    restorer = await bindings.Restorer.open(file);
    status(backend === 'webgpu' ? 'Preparing the GPU: compiling shaders, checking the result' : 'Checking the result of this machine');
    const began = performance.now();
    await restorer.check();
    const prepared = performance.now() - began;
    pool = new Pool(restorer, backend === 'cpu' && threads === 1 && { name, module, weights: file });
    tell('opened', { ...(gpu || describeCpu(name)), backend: restorer.backend, prepared, steers: restorer.steers, expects: restorer.expects });
  },

  async restore({ source, small, diagnoses, removal, errors }) {
    cancelled = false;
    const photo = await open(source);
    try {
      if (diagnoses) {
        status('Looking at the photo');
        tell('findings', { findings: await diagnose(photo) });
      }
      // The photo stays as it is.
      if (removal?.every((share) => share === 0)) return tell('done');
      const { width, height, read, colorSpace } = photo;
      const tile = small ? TILE / 2 : TILE;
      const job = await restorer.begin(width, height, threads > 1 && !small ? undefined : tile, read, removal, colorSpace, errors);
      try {
        await run(job, width);
      } finally {
        job.free();
      }
    } finally {
      photo.close();
    }
  },

  cancel() {
    cancelled = true;
  },
};

/** The first of the modules that can be had: threads may be refused, and without a network only what was used before is kept. */
async function openProgram([name, ...others], keeps, faults) {
  const { script, wasm } = modules[name];
  try {
    const bindings = await script().catch(() => {
      throw new LoadError(`the script for ${name}`);
    });
    const module = await WebAssembly.compile(await fetched('program', wasm, keeps));
    const { memory } = await bindings.default({ module_or_path: module });
    const threads = name === 'threads' ? await startThreads(bindings, { module, memory, faults }) : 1;
    return { name, bindings, module, threads };
  } catch (error) {
    if (others.length === 0) throw error;
    console.warn(`${name}: ${reason(error)}`);
    return openProgram(others, keeps, faults);
  }
}

function fetched(part, asset, keeps) {
  const loaded = (arrived) => status(`Loading the ${part} (${megabytes(arrived)} of ${megabytes(asset.bytes)} MB)`);
  return load(asset, { keeps, loaded });
}

async function run(job, width) {
  const { calibrations, total } = job;
  tell('progress', { done: 0, total });
  const tile = (index) => {
    const tile = job.tile(index);
    const { height, width, planar, calibrates, statistics, removal, errors } = tile;
    tile.free();
    return { height, width, planar, calibrates, statistics, removal, errors };
  };
  const accept = (output) => {
    if (cancelled) return false;
    const rows = job.accept(output);
    if (rows) {
      const { y, rgba, errors } = rows;
      tell('rows', { y, width, rgba, errors }, [rgba.buffer]);
      rows.free();
    }
    tell('progress', { done: job.done, total });
    return true;
  };
  await pool.each(0, calibrations, tile, accept);
  if (!cancelled) await pool.each(calibrations, total, tile, accept);
  tell(cancelled ? 'cancelled' : 'done');
}

/** What is wrong with the photo: how much of each fault; nothing if the weights cannot tell. */
async function diagnose({ width, height, read, colorSpace }) {
  if (!restorer.diagnoses) return undefined;
  const findings = await restorer.diagnose(width, height, read, colorSpace);
  return findings.map((finding) => {
    const { name, value, confidence, found } = finding;
    finding.free();
    return { name, value, confidence, found };
  });
}

function describeCpu(name) {
  const simd = name === 'cpu' ? 'SIMD' : 'relaxed SIMD';
  return { device: `WebAssembly with ${simd}${threads > 1 ? ` and ${threads} threads` : ''}`, software: false };
}

async function describeGpu() {
  if (!navigator.gpu) throw new Error('this browser has no WebGPU');
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error('there is no GPU that WebGPU can use');
  if (!adapter.info) throw new Error("this browser's WebGPU is too old");
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  const device = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed GPU';
  return { device, software: Boolean(isFallbackAdapter) || /swiftshader|llvmpipe/i.test(device) };
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

function failed(error) {
  const message = reason(error);
  const faults = {
    photo: error instanceof PhotoError || error?.kind === 'image',
    connection: error instanceof LoadError,
    weights: error?.kind === 'weights',
  };
  const fault = Object.keys(faults).find((fault) => faults[fault]) ?? 'device';
  tell('failed', { message, fault, detail: String(error?.stack ?? '') });
}

// A panic or a lost device arrives here: the promise that waits for it is never settled.
addEventListener('error', (event) => {
  event.preventDefault();
  failed(event.error ?? event.message);
});
addEventListener('unhandledrejection', (event) => {
  event.preventDefault();
  failed(event.reason);
});
addEventListener('message', ({ data }) => {
  Promise.resolve(commands[data.type](data)).catch(failed);
});

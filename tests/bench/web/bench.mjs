// bench.mjs FOLDER WEBGPU_SIDE CPU_SIDE: prints what page.html measures, and how long the page takes for a megapixel.
// WEBGPU_SIDE 0 leaves WebGPU out.

import { launch, open, status } from '../../browser/browser.mjs';
import { serve } from '../../browser/server.mjs';

const [folder, gpuSide, cpuSide] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const TURNS = 3;
/** Threads need memory that they share, and that needs these. */
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const server = await serve(folder, undefined, ISOLATED);
const browser = await launch();

/** Measures in turns, so that a busy machine slows all; `ways` are functions of the page with their arguments, the last ONNX's. */
async function compare(page, what, ways) {
  const measured = ways.map(() => []);
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [at, { call }] of ways.entries()) measured[at].push(await page.evaluate(([name, ...rest]) => window[name](...rest), call));
  }
  const best = measured.map((turns) => Math.min(...turns.map(({ median }) => median)));
  const theirs = measured.at(-1)[0].sample;
  for (const [at, { name }] of ways.entries()) {
    const off = Math.max(...measured[at][0].sample.map((value, index) => Math.abs(value - theirs[index])));
    if (!(off < 0.05)) throw new Error(`${name}: the two networks differ by ${off}`);
    const ratio = (best.at(-1) / best[at]).toFixed(2);
    console.log(`${what}: ${name} ${best[at].toFixed(0)} ms (first run ${measured[at][0].first.toFixed(0)} ms), onnxruntime-web / it ${ratio}`);
  }
}

async function benchPage(threads) {
  const { page, errors, context } = await open(browser, `${server.origin}/bench.html?threads=${threads}`);
  await page.waitForFunction(() => window.ready, undefined, { timeout: 60_000 }).catch((error) => {
    throw new Error(`the page does not start: ${errors.join('; ') || error.message}`);
  });
  if (!(await page.evaluate(() => crossOriginIsolated))) throw new Error('the page cannot use threads');
  return { page, context };
}

for (const threads of [1, 2]) {
  const { page, context } = await benchPage(threads);
  await compare(page, `CPU ${cpuSide}x${cpuSide}, ${threads} thread(s), a tile`, [
    { name: 'ours, SIMD', call: ['ours', 'cpu', cpuSide, 4, threads] },
    { name: 'ours, relaxed SIMD', call: ['ours', 'relaxed', cpuSide, 4, threads] },
    // As many threads as there are processors: beside one thread of the others it has no place.
    ...(threads > 1 ? [{ name: 'ours, threads', call: ['ours', 'threads', cpuSide, 4, 1] }] : []),
    { name: 'onnxruntime-web', call: ['onnx', 'wasm', cpuSide, 4] },
  ]);
  await context.close();
}
if (gpuSide > 0) {
  const { page, context } = await benchPage(1);
  await compare(page, `WebGPU ${gpuSide}x${gpuSide}`, [
    { name: 'ours', call: ['oursOnGpu', gpuSide, 3] },
    { name: 'onnxruntime-web', call: ['onnx', 'webgpu', gpuSide, 3] },
  ]);
  await context.close();
}

const { page } = await open(browser, `${server.origin}/?backend=cpu`);
await page.evaluate(async () => {
  const canvas = new OffscreenCanvas(1152, 868);
  const image = new ImageData(canvas.width, canvas.height);
  for (let at = 0; at < image.data.length; at += 1) image.data[at] = at % 4 === 3 ? 255 : 90 + ((at * 7919) % 64);
  canvas.getContext('2d').putImageData(image, 0, 0);
  const transfer = new DataTransfer();
  transfer.items.add(new File([await canvas.convertToBlob()], 'mega.png', { type: 'image/png' }));
  dispatchEvent(new DragEvent('drop', { dataTransfer: transfer }));
});
console.log(`the page, a photo of a megapixel: ${await status(page, 'Done', 'Error')}`);
await browser.close();
server.close();

// bench.mjs FOLDER WEBGPU_SIDE CPU_SIDE: prints what page.html measures.

import { launch, open } from '../../browser/browser.mjs';
import { serve } from '../../browser/server.mjs';

const [folder, ...sides] = process.argv.slice(2);
const server = await serve(folder);
const browser = await launch();
const { page, errors } = await open(browser, `${server.origin}/bench.html`);
await page.waitForFunction(() => window.ready, undefined, { timeout: 60_000 }).catch((error) => {
  throw new Error(`the page does not start: ${errors.join('; ') || error.message}`);
});
for (const [backend, provider, side, runs] of [
  ['cpu', 'wasm', Number(sides[1]), 9],
  ['webgpu', 'webgpu', Number(sides[0]), 3],
]) {
  // Taken in turns, so that a busy machine slows both.
  const measured = { ours: [], onnx: [] };
  for (let turn = 0; turn < 2; turn += 1) {
    for (const who of ['ours', 'onnx']) {
      measured[who].push(await page.evaluate(([who, where, side, runs]) => window[who](where, side, runs), [who, who === 'ours' ? backend : provider, side, runs]));
    }
  }
  const best = (who) => Math.min(...measured[who].map(({ median }) => median));
  const first = (who) => measured[who][0].first;
  const off = Math.max(...measured.ours[0].sample.map((value, at) => Math.abs(value - measured.onnx[0].sample[at])));
  if (!(off < 0.05)) throw new Error(`${backend}: the two networks differ by ${off}`);
  const row = (who) => `${best(who).toFixed(0)} ms (first run ${first(who).toFixed(0)} ms)`;
  console.log(`${backend} ${side}x${side}: ours ${row('ours')}, onnxruntime-web ${row('onnx')}, ratio ${(best('onnx') / best('ours')).toFixed(2)}`);
}
await browser.close();
server.close();

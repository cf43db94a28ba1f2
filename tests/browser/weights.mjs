// The embedded weights, changed.

import { readFileSync } from 'node:fs';

const WEIGHTS = new URL('../../core/weights/nano.safetensors', import.meta.url);

/** Them less one of the heads beside the network: `diagnosis` or `steering`. */
export function without(head) {
  const bytes = readFileSync(WEIGHTS);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, start));
  const ours = JSON.parse(header.__metadata__.dino_ir);
  delete ours[head];
  const fresh = { __metadata__: { dino_ir: JSON.stringify(ours) } };
  const parts = [];
  let end = 0;
  for (const [name, tensor] of Object.entries(header)) {
    if (name === '__metadata__' || name.startsWith(`${head}.`)) continue;
    const [from, to] = tensor.data_offsets;
    parts.push(bytes.subarray(start + from, start + to));
    fresh[name] = { ...tensor, data_offsets: [end, end + to - from] };
    end += to - from;
  }
  const json = Buffer.from(JSON.stringify(fresh));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

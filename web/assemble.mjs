// node assemble.mjs MODULES DIST CLIENT_ZIP [WASM_OPT]: puts the page together from web/www, the modules that
// wasm-bindgen made, the folder of npm's client-zip, and the weights. Large files get names with a hash of their content.
// node assemble.mjs --check DIST: only whether that folder may be replaced.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { pack } from './pack.mjs';

const [modulesFolder, target, clientZip, wasmOpt] = process.argv.slice(2);
const checksOnly = modulesFolder === '--check';
if (!target || !(clientZip || checksOnly)) throw new Error('usage: node assemble.mjs MODULES DIST CLIENT_ZIP [WASM_OPT]');
const dist = resolve(target);
// Made beside the old one, which goes only when the new one is complete.
const fresh = `${dist}.new`;
const MARK = '// Written by web/build.\n';
for (const folder of [dist, fresh]) {
  if (!isOurs(folder)) throw new Error(`${folder} holds something else than the page: it is not replaced`);
}
if (checksOnly) process.exit();
const here = fileURLToPath(new URL('.', import.meta.url));
const WEIGHTS = join(here, '../core/weights/nano.safetensors');
/** What a visitor may have to download, in bytes. */
const LIMITS = { webgpu: 6e6, cpu: 4.5e6, relaxed: 4.5e6, threads: 4.5e6 };
const SAMPLES = ['noisy', 'rainy', 'hazy', 'blurred'];

rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
// First, so that one that stays unfinished is known the next time.
writeFileSync(join(fresh, 'assets.js'), MARK);
cpSync(join(here, 'www'), fresh, { recursive: true });

const modules = {};
for (const name of ['cpu', 'relaxed', 'threads', 'webgpu']) {
  // Not every compiler can make the one with threads.
  if (name !== 'threads' || existsSync(join(modulesFolder, name))) modules[name] = addModule(name);
}
const weights = addHashed('nano.weights', await packedWeights());
addClientZip();
const plain = Object.fromEntries(files(fresh).map((file) => [file, statSync(join(fresh, file)).size]));
const compressed = Object.fromEntries(files(fresh).map((file) => [file, brotli(readFileSync(join(fresh, file)))]));
writeAssets();
writeServiceWorker();
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);
report();

/** Whether a folder is missing, empty, or was made by this program. */
function isOurs(folder) {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return true;
  const assets = join(folder, 'assets.js');
  return existsSync(assets) && readFileSync(assets, 'utf8').startsWith(MARK);
}

function addModule(name) {
  const wasm = addHashed(`${name}.wasm`, readFileSync(optimised(name)));
  const script = addHashed(`${name}.js`, readFileSync(join(modulesFolder, name, 'dino_ir_web.js')));
  return { script: script.file, wasm };
}

/** The module, after wasm-opt if it is there; that is run again only for another module. */
function optimised(name) {
  const input = join(modulesFolder, name, 'dino_ir_web_bg.wasm');
  if (!wasmOpt) return input;
  const level = name === 'webgpu' ? '-O1' : '-O2'; // higher ones take many minutes
  const output = join(modulesFolder, `${name}-${hash(readFileSync(input))}${level}.wasm`);
  if (existsSync(output)) return output;
  const features = ['simd', 'relaxed-simd', 'bulk-memory', 'bulk-memory-opt', 'nontrapping-float-to-int', 'sign-ext', 'mutable-globals', 'reference-types', 'multivalue', 'threads'];
  const partial = `${output}.new`;
  execFileSync(process.execPath, [wasmOpt, level, ...features.map((feature) => `--enable-${feature}`), '--strip-debug', '--strip-producers', input, '-o', partial], { stdio: 'inherit' });
  renameSync(partial, output);
  return output;
}

/** The weights as the page gets them; the CPU's module, run here, says what they compute. */
async function packedWeights() {
  const folder = join(modulesFolder, 'node');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const load = (path) => {
    const copy = join(folder, basename(path));
    writeFileSync(copy, readFileSync(path));
    return import(pathToFileURL(copy));
  };
  const { unpack } = await load(join(here, 'www/weights.js'));
  const module = await load(join(modulesFolder, 'cpu/dino_ir_web.js'));
  await module.default({ module_or_path: readFileSync(optimised('cpu')) });
  return pack(readFileSync(WEIGHTS), unpack, async (bytes) => {
    const restorer = await module.Restorer.open(bytes);
    return restorer.digest();
  });
}

/** The library that writes ZIP files, as it comes from npm, and its licence. */
function addClientZip() {
  const { version } = JSON.parse(readFileSync(join(clientZip, 'package.json'), 'utf8'));
  const licence = readFileSync(join(clientZip, 'LICENSE.txt'), 'utf8').trim();
  const code = readFileSync(join(clientZip, 'index.js'), 'utf8');
  writeFileSync(join(fresh, 'client-zip.js'), `/* client-zip ${version}\n\n${licence}\n*/\n${code}`);
}

function addHashed(name, bytes) {
  const [base, ending] = name.split(/\.(.*)/);
  const asset = { hash: hash(bytes), bytes: bytes.length };
  const file = `${base}.${asset.hash}.${ending}`;
  writeFileSync(join(fresh, file), bytes);
  return { file, ...asset };
}

/** Files are named so that bundlers see them. */
function writeAssets() {
  const asset = ({ file, ...rest }) => `{ url: new URL('./${file}', import.meta.url).href, ...${JSON.stringify(rest)} }`;
  const module = ([name, { script, wasm }]) => `  ${name}: { script: () => import('./${script}'), wasm: ${asset(wasm)} },\n`;
  const code = `export const modules = {\n${Object.entries(modules).map(module).join('')}};\nexport const weights = ${asset(weights)};\n`;
  const samples = SAMPLES.map((name) => ({ name, file: `samples/${name}.jpg` }));
  const download = Object.fromEntries(Object.keys(modules).map((name) => [name, firstVisit(name)]));
  const lines = Object.entries({ samples, download }).map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};\n`);
  writeFileSync(join(fresh, 'assets.js'), MARK + code + lines.join(''));
}

function writeServiceWorker() {
  const large = [...Object.values(modules).map(({ wasm }) => wasm), weights].map(({ file }) => file);
  const page = files(fresh).filter((file) => !large.includes(file) && file !== 'service-worker.js');
  const path = join(fresh, 'service-worker.js');
  const version = hash(page.map((file) => file + hash(readFileSync(join(fresh, file)))).join());
  const code = readFileSync(path, 'utf8')
    .replace('BUILD_VERSION', version)
    .replace('BUILD_PAGE', JSON.stringify(['./', ...page]))
    .replace('BUILD_LARGE', JSON.stringify(large));
  writeFileSync(path, code);
}

/** How much is fetched for one module, plain and compressed: all but the programs of the others. */
function firstVisit(module) {
  const others = Object.keys(modules).filter((other) => other !== module).map((other) => modules[other].wasm.file);
  const fetched = Object.keys(compressed).filter((file) => !others.includes(file));
  const sum = (size) => fetched.reduce((sum, file) => sum + size(file), 0);
  return { bytes: sum((file) => plain[file]), compressed: sum((file) => compressed[file]) };
}

/** Prints what a visitor downloads, and fails if it has grown beyond what was promised. */
function report() {
  for (const [file, bytes] of Object.entries(compressed)) console.log(`${file.padEnd(36)} ${(bytes / 1e3).toFixed(1).padStart(9)} kB brotli`);
  const samples = Object.keys(compressed).filter((file) => file.startsWith('samples/'));
  const sizes = Object.keys(modules).map((name) => {
    const bytes = firstVisit(name).compressed - samples.reduce((sum, file) => sum + compressed[file], 0);
    return [name, bytes];
  });
  console.log(`first load, brotli, without samples: ${sizes.map(([name, bytes]) => `${name} ${(bytes / 1e6).toFixed(2)} MB`).join(', ')}`);
  for (const [name, bytes] of sizes) {
    if (bytes > LIMITS[name]) throw new Error(`too large: the limit for ${name} is ${LIMITS[name] / 1e6} MB`);
  }
}

function brotli(bytes) {
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_LGWIN: window } = constants;
  return brotliCompressSync(bytes, { params: { [quality]: 11, [window]: 24 } }).length;
}

function files(folder) {
  return readdirSync(folder, { recursive: true }).filter((file) => statSync(join(folder, file)).isFile()).sort();
}

function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12);
}

// The page: photos come in, go through the engine one by one, and can be looked at and saved.

import { Cancelled, Engine } from './engine.js';
import { explain, sentence } from './explain.js';
import * as intake from './intake.js';
import { copy, download, Keep, share, zip } from './keep.js';
import * as keys from './keys.js';
import { decode } from './photo.js';
import { Queue } from './queue.js';
import { Removal } from './removal.js';
import { Trouble } from './trouble.js';
import { Viewer } from './viewer.js';
import * as visit from './visit.js';

const element = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search).get('backend') === 'cpu' ? 'cpu' : 'webgpu';

const viewer = new Viewer(renew);
const keep = new Keep();
const queue = new Queue(look);
const removal = new Removal(renew);
const trouble = new Trouble(() => ({
  device: `${element('backend').textContent} ${element('device').textContent}`,
  note: element('note').textContent || 'none',
  browser: navigator.userAgent,
  page: location.href,
}));
const engine = new Engine({
  backend: wanted,
  keeps: true,
  diagnoses: true,
  changed: showDevice,
  noted: (text) => (element('note').textContent = text),
  said: (text) => {
    doing = text;
    // Before there is a photo it is no state of the work.
    if (working) status(text);
    else element('device').textContent = `(${text})`;
  },
});

/** What the engine is doing, if it has said so. */
let doing = '';

/** Whether photos are being restored. */
let working = false;

/** Cancels the photo that is being restored. */
let stop = new AbortController();

/** Whether that photo is to be restored once more from the beginning. */
let renewing = false;

/** What uses the view goes one after the other. */
let turns = Promise.resolve();
const inTurn = (action) => (turns = turns.then(action).catch(complain));

element('restore').addEventListener('click', again);
element('cancel').addEventListener('click', cancel);
element('download').addEventListener('click', () => save(queue.current).catch(complain));
element('copy').addEventListener('click', () => toClipboard().catch(complain));
element('share').addEventListener('click', () => toOthers(queue.current).catch(complain));
element('download-all').addEventListener('click', () => inTurn(saveAll));
element('clear').addEventListener('click', () => inTurn(clear));
element('weights').addEventListener('change', ({ target }) => {
  changeWeights(target.files[0]);
  target.value = '';
});
element('builtin').addEventListener('click', () => changeWeights());
addEventListener('keydown', ({ key }) => key === 'Escape' && !element('help').open && cancel());
intake.listen(take, {
  loading: (name) => working || status(`Loading the ${name} sample`),
  failed: complain,
});
keys.listen(viewer);
buttons();
visit.announce(navigator.gpu ? wanted : 'cpu').catch(() => {});
// The page can be used by now; the network comes after it, or with the first photo where data are dear.
if (!navigator.connection?.saveData) addEventListener('load', () => setTimeout(prepare));
if ('serviceWorker' in navigator) navigator.serviceWorker.register('service-worker.js').catch(() => {});

/** Adds photos to the queue and works through it. */
function take(files) {
  if (files.length === 0) return;
  // A list grows; a single photo that does not wait gives way to the next one, if done not before that can be opened.
  const only = !working && queue.items.length === 1 ? queue.items[0] : undefined;
  const replaces = only?.state === 'waiting' ? undefined : only;
  if (replaces && replaces.state !== 'done') queue.remove(replaces);
  const [first] = queue.add(files);
  if (replaces?.state === 'done') first.replaces = replaces;
  begin();
}

function again() {
  if (working || !queue.current) return;
  queue.current.state = 'waiting';
  begin();
}

/** Something else is wanted of the photo in view, or of the one that is being restored. */
function renew() {
  if (!working) return again();
  renewing = true;
  stop.abort();
}

function begin() {
  if (!working) opening(queue.next());
  inTurn(work);
}

async function work() {
  if (!queue.next()) return;
  working = true;
  buttons();
  const failures = [];
  let summary = '';
  trouble.hide();
  for (let item = queue.next(); item; item = queue.next()) {
    summary = await restore(item).catch((error) => {
      const cancelled = error instanceof Cancelled;
      item.state = ended(item, cancelled ? 'cancelled' : 'failed');
      if (cancelled) return 'Cancelled.';
      failures.push(named(item, error));
      // It was no photo; the one in view stays.
      if (item.replaces) queue.remove(item);
      return '';
    });
    doing = '';
    if (renewing && item.state !== 'failed') item.state = 'waiting';
    queue.show();
  }
  working = false;
  buttons();
  const done = queue.in('done').length;
  const many = queue.items.length > 1 ? ` ${done} of ${queue.items.length} photos are done.` : '';
  if (failures.length > 0) complain(...failures);
  else status(summary);
  element('status').append(many);
}

/** Restores one photo and returns what there is to say about it. */
async function restore(item) {
  item.state = 'working';
  stop = new AbortController();
  renewing = false;
  const shares = removal.shares;
  opening(item);
  await show(item);
  if (doing) status(doing);
  let findings;
  let began = performance.now();
  let tiles = 0;
  await engine.restore(item.file, stop.signal, {
    removal: shares,
    errors: viewer.heat.expects,
    restart() {
      viewer.restart();
      progress(0, 1);
    },
    findings(told) {
      findings = told.findings;
      explain(findings);
    },
    rows: (rows) => viewer.rows(rows),
    progress({ done, total }) {
      if (done === 0) began = performance.now();
      // How long a tile takes is known when there is one.
      progress(done > 0 ? done : undefined, total);
      tiles = total;
      const left = ((performance.now() - began) / done) * (total - done);
      const tile = total > 1 ? `: tile ${Math.min(done + 1, total)} of ${total}${done > 0 ? `, ${duration(left)} left` : ''}` : '';
      status(`Restoring ${item.file.name}${tile}`);
    },
  }).catch(async (error) => {
    // The result of an earlier time comes back.
    const earlier = item.finished && (await createImageBitmap(item.restored).catch(() => undefined));
    if (!earlier) item.finished = item.restored = item.findings = item.errors = undefined;
    viewer.restart(earlier, item.errors);
    earlier?.close();
    explain(item.findings);
    if (earlier && !renewing) removal.show(item.shares);
    progress(0, 1);
    throw error;
  });
  Object.assign(item, { state: 'done', finished: true, restored: undefined, findings, shares, errors: viewer.heat.errors });
  viewer.finish();
  explain(findings);
  const seconds = (performance.now() - began) / 1000;
  const { width, height } = viewer.result;
  const speed = (width * height) / 1e6 / seconds;
  if (tiles === 0) progress(1, 1);
  else element('speed').textContent = `· ${speed.toPrecision(2)} megapixels a second`;
  const found = findings ? ` ${sentence(findings)}` : '';
  return `Done: ${item.file.name}, ${width} x ${height}, in ${duration(seconds * 1000)}.${found}`;
}

/** Puts a photo into view; the result that leaves it is kept compressed. */
async function show(item) {
  const left = queue.current;
  if (left?.finished && left !== item.replaces) left.restored ??= await viewer.keep();
  const photo = await decode(item.file);
  const { bitmap, colorSpace, format } = photo;
  const restored = item.restored && (await createImageBitmap(item.restored));
  try {
    viewer.check(bitmap);
    queue.current = undefined;
    viewer.open(photo, restored, item.errors);
  } finally {
    bitmap.close();
    restored?.close();
  }
  queue.current = Object.assign(item, { colorSpace, format });
  if (item.replaces) queue.remove(item.replaces);
  item.replaces = undefined;
  queue.show();
  explain(item.findings);
  buttons();
}

function look(item) {
  if (working) return;
  inTurn(async () => {
    if (item === queue.current) return;
    await show(item).then(
      () => {
        if (item.finished) removal.show(item.shares);
        status(`${item.file.name}: ${item.state}.`);
      },
      (error) => complain(named(item, error)),
    );
    buttons();
  });
}

function cancel() {
  if (!working) return;
  renewing = false;
  status('Cancelling');
  for (const item of queue.in('waiting')) item.state = ended(item, 'cancelled');
  stop.abort();
}

/** The state of a photo whose restoration ended without a result: one that it had before stays. */
function ended(item, state) {
  return item.finished ? 'done' : state;
}

function clear() {
  queue.clear();
  element('view').hidden = true;
  explain();
  status('Choose a photo.');
  buttons();
}

/** Saves the photo in view as it is seen now, at the chosen strength; another may come into view meanwhile. */
async function save(item) {
  if (item?.state !== 'done') return;
  const { file, lost } = await keep.file(viewer.result, item);
  download(file);
  tellLost(lost, item);
}

async function saveAll() {
  const failures = [];
  const seen = queue.current;
  const lost = new Set();
  const files = async function* () {
    for (const item of queue.in('done')) {
      try {
        if (item !== queue.current) await show(item);
        const kept = await keep.file(viewer.result, item);
        kept.lost.forEach((what) => lost.add(what));
        yield kept.file;
      } catch (error) {
        failures.push(named(item, error));
      }
    }
  };
  const file = await zip(files());
  if (failures.length < queue.in('done').length) download(file);
  if (failures.length > 0) complain(...failures);
  else tellLost([...lost]);
  if (seen && seen !== queue.current) await show(seen);
}

async function toClipboard() {
  await copy(viewer.result);
  status('Copied.');
}

async function toOthers(item) {
  const { file, lost } = await keep.file(viewer.result, item);
  if (await share(file)) tellLost(lost, item);
}

/** What the visitor might miss in the file. */
function tellLost(lost, item) {
  if (lost.length > 0) status(`Saved${item ? ` ${item.file.name}` : ''} without ${lost.join(' and ')}: the file format cannot hold it.`);
}

/** Opens the engine before a photo needs it. */
function prepare() {
  engine.open().catch((error) => error instanceof Cancelled || complain(error));
}

function changeWeights(file) {
  if (working) return status('Error: wait for the photo to be finished, or cancel it, before the weights are changed.');
  trouble.hide();
  inTurn(async () => {
    status(file ? `Loading the weights of ${file.name}` : 'Loading the built-in weights');
    try {
      await engine.use(file);
      element('builtin').disabled = !file;
      status(file ? `Weights of ${file.name} are in use.` : 'The built-in weights are in use.');
    } catch (error) {
      complain(error);
      element('status').append(' The weights in use before stay.');
      prepare();
    }
  });
}

function showDevice({ backend, device, software, prepared, steers, expects }) {
  doing = '';
  removal.offer(steers);
  viewer.heat.offer(expects);
  element('backend').textContent = backend;
  // Not in the note: that says what went wrong on the way here.
  const slow = software ? ', emulated in software and very slow: add ?backend=cpu to the address to use the CPU' : '';
  element('device').textContent = `(${device}${slow}, ready in ${duration(prepared)})`;
  visit.confirm(backend).catch(() => {});
}

function buttons() {
  element('restore').disabled = !queue.current;
  element('cancel').disabled = !working;
  for (const id of ['download', 'copy', 'share']) element(id).disabled = queue.current?.state !== 'done';
  keep.show(queue.current);
  element('download-all').hidden = working || queue.in('done').length < 2;
  element('clear').hidden = working || queue.items.length < 2;
}

function opening(item) {
  status(`Opening ${item.file.name}`);
  progress(0, 1);
}

function status(text) {
  element('status').textContent = text;
}

/** Says what is wrong; the details are there to be copied. */
function complain(...errors) {
  status(`Error: ${errors.map(({ message }) => message).join('; ')}.`);
  trouble.show(...errors);
}

/** The error with the name of the photo that it is about. */
function named(item, { message, kind, detail, stack }) {
  return { message: `${item.file.name}: ${message}`, kind, detail: detail ?? stack };
}

function progress(done, total) {
  const bar = element('progress');
  bar.max = total;
  if (done === undefined) bar.removeAttribute('value');
  else bar.value = done;
}

function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

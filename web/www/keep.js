// What the visitor does with a result: the choice of a file format, saving, copying, sharing, all as one ZIP.

import { canWrite, encodeAs, encode, FORMATS } from './encode.js';

const element = (id) => document.getElementById(id);

/** A link to a file in memory may be used for so long, in milliseconds. */
const LINK = 60_000;

/** The controls beside the button. Listens to no button itself: what uses the view goes one after the other. */
export class Keep {
  #format = element('format');
  #quality = element('quality');
  #photo;

  constructor() {
    this.#format.addEventListener('change', () => this.show(this.#photo));
    this.#quality.addEventListener('input', () => this.show(this.#photo));
    this.#offer();
  }

  /** @param {{ file: File, format?: string }} [photo] the one in view */
  show(photo) {
    this.#photo = photo;
    const { name, lossy } = FORMATS[this.#formatFor(photo?.format)];
    element('download').textContent = `Download ${name}`;
    element('quality-row').hidden = !lossy;
    element('quality-value').value = this.#quality.value;
  }

  /**
   * The result in view as a file in the chosen format.
   * @param {HTMLCanvasElement} canvas may change as soon as this has been called
   * @param {{ file: File, format?: string, colorSpace: string }} photo
   * @returns {Promise<{ file: File, lost: string[] }>}
   */
  async file(canvas, photo) {
    const format = this.#formatFor(photo.format);
    const quality = this.#quality.value / 100;
    const source = { file: photo.file, colorSpace: photo.colorSpace, mayBeTransparent: photo.format !== 'jpeg' };
    const { blob, lost } = await encodeAs(canvas, source, { format, quality });
    return { file: new File([blob], nameFor(photo.file.name, format), { type: blob.type }), lost };
  }

  /** The photo's own; PNG, which loses nothing, in place of one that browsers do not write. */
  #formatFor(own) {
    const chosen = this.#format.value;
    if (chosen !== 'own') return chosen;
    return [...this.#format.options].some(({ value, disabled }) => value === own && !disabled) ? own : 'png';
  }

  /** Leaves out what this browser cannot do. */
  async #offer() {
    element('share').hidden = !canShare(new File([''], 'photo.png', { type: 'image/png' }));
    element('copy').hidden = !(navigator.clipboard?.write && self.ClipboardItem);
    for (const option of this.#format.options) {
      if (option.value === 'webp') option.disabled = option.hidden = !(await canWrite('webp'));
    }
  }
}

/** Saves a file where the browser keeps downloads. */
export function download(file) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), LINK);
}

/** Puts the picture on the clipboard, as PNG: that is what clipboards take. */
export async function copy(canvas) {
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': encode(canvas, 'png') })]);
}

/** Hands a file to another program of the device; `false` if the visitor thought better of it. */
export async function share(file) {
  if (!canShare(file)) throw new Error('this browser cannot share such a file; download it');
  try {
    await navigator.share({ files: [file] });
    return true;
  } catch (error) {
    if (error.name === 'AbortError') return false;
    throw error;
  }
}

/**
 * One ZIP file of several files, each of which is asked for when its turn comes.
 * @param {AsyncIterable<File>} files
 */
export async function zip(files) {
  const { downloadZip } = await import('./client-zip.js');
  const blob = await downloadZip(entries(files)).blob();
  return new File([blob], 'restored.zip', { type: 'application/zip' });
}

/** Two photos may have one name, but not two files of a ZIP. */
async function* entries(files) {
  const taken = new Set();
  for await (const file of files) {
    let name = file.name;
    for (let copy = 2; taken.has(name.toLowerCase()); copy += 1) name = file.name.replace(/\.restored\./, ` (${copy}).restored.`);
    taken.add(name.toLowerCase());
    yield { name, lastModified: new Date(), input: file };
  }
}

/** The photo's name; its ending too if that fits the format. */
function nameFor(name, format) {
  const [, base, ending = ''] = /^(.*?)(?:\.([^.]*))?$/.exec(name);
  const { endings } = FORMATS[format];
  return `${base}.restored.${endings.includes(ending.toLowerCase()) ? ending : endings[0]}`;
}

function canShare(file) {
  return Boolean(navigator.canShare?.({ files: [file] }));
}

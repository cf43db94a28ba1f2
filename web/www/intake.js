// How photos come in: chosen, dropped, pasted, or a sample.

import { samples } from './assets.js';

const element = (id) => document.getElementById(id);

/**
 * @param {(files: File[]) => void} take
 * @param {{ loading: (name: string) => void, failed: (error: Error) => void }} sample told about one of those
 */
export function listen(take, sample) {
  element('file').addEventListener('change', ({ target }) => {
    take([...target.files]);
    // The same file may be chosen again.
    target.value = '';
  });
  addEventListener('paste', ({ clipboardData }) => take([...clipboardData.files]));
  acceptDrops(take);
  offerSamples(take, sample);
}

function acceptDrops(take) {
  // A photo dropped beside the field would otherwise replace the page.
  addEventListener('dragover', (event) => {
    event.preventDefault();
    element('drop').classList.add('over');
  });
  addEventListener('dragleave', ({ relatedTarget }) => relatedTarget ?? element('drop').classList.remove('over'));
  addEventListener('drop', (event) => {
    event.preventDefault();
    element('drop').classList.remove('over');
    take([...event.dataTransfer.files]);
  });
}

function offerSamples(take, { loading, failed }) {
  const buttons = samples.map(({ name, file }) => {
    const button = document.createElement('button');
    button.type = 'button';
    const image = Object.assign(new Image(48, 48), { src: file, alt: '', loading: 'lazy' });
    button.append(image, name[0].toUpperCase() + name.slice(1));
    button.addEventListener('click', async () => {
      loading(name);
      const response = await fetch(file).catch(() => undefined);
      if (!response?.ok) return failed(Object.assign(new Error(`the ${name} sample cannot be loaded`), { kind: 'connection' }));
      take([new File([await response.blob()], `${name}.jpg`, { type: 'image/jpeg' })]);
    });
    return button;
  });
  element('sample').append(...buttons);
}

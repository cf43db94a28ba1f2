// The list of photos and what has become of each.

/** @typedef {{ file: File, state: 'waiting' | 'working' | 'done' | 'failed' | 'cancelled', restored?: Blob, scores?: number[] }} Item */

const LABELS = { waiting: 'waiting', working: 'working', done: 'done', failed: 'failed', cancelled: 'cancelled' };

/** Keeps the items in order and shows them when there are several. */
export class Queue {
  /** @type {Item[]} */
  items = [];
  /** The one in view. */
  current;
  #list = document.getElementById('queue');

  /** @param {(item: Item) => void} chosen the visitor wants to see that one */
  constructor(chosen) {
    this.#list.addEventListener('click', ({ target }) => {
      const button = target.closest('button');
      if (button) chosen(this.items[button.dataset.index]);
    });
  }

  /** Adds photos; returns them. */
  add(files) {
    const added = files.map((file) => ({ file, state: 'waiting' }));
    this.items.push(...added);
    this.show();
    return added;
  }

  /** The next that waits. */
  next() {
    return this.items.find(({ state }) => state === 'waiting');
  }

  /** Those in a state. */
  in(state) {
    return this.items.filter((item) => item.state === state);
  }

  /** Forgets all. */
  clear() {
    this.items = [];
    this.current = undefined;
    this.show();
  }

  /** Brings the list on the page up to date. */
  show() {
    this.#list.hidden = this.items.length < 2;
    this.#list.replaceChildren(...this.items.map((item, index) => this.#row(item, index)));
  }

  #row(item, index) {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.index = index;
    if (item === this.current) button.setAttribute('aria-current', 'true');
    button.append(span('name', item.file.name), span('state', LABELS[item.state]));
    const row = document.createElement('li');
    row.append(button);
    return row;
  }
}

function span(name, text) {
  const span = document.createElement('span');
  span.className = name;
  span.textContent = text;
  return span;
}

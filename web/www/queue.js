// The list of photos and what has become of each.

/**
 * `finished` if there is a result, in view or in `restored`, also while the photo is restored once more; `shares` of each
 * fault were removed; `replaces` is in the list until this one can be opened.
 * @typedef {{ file: File, state: 'waiting' | 'working' | 'done' | 'failed' | 'cancelled', finished?: boolean, restored?: Blob, findings?: object[], shares?: number[], replaces?: Item }} Item
 */

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

  /** Forgets one. */
  remove(item) {
    this.items = this.items.filter((other) => other !== item);
    if (this.current === item) this.current = undefined;
    this.show();
  }

  /** Forgets all. */
  clear() {
    this.items = [];
    this.current = undefined;
    this.show();
  }

  /** Brings the list on the page up to date; rows stay, and with them the keyboard's focus. */
  show() {
    const list = this.#list;
    list.hidden = this.items.filter(({ replaces }) => !replaces).length < 2;
    while (list.children.length > this.items.length) list.lastChild.remove();
    while (list.children.length < this.items.length) list.append(row(list.children.length));
    this.items.forEach((item, index) => {
      const button = list.children[index].firstChild;
      const [name, state] = button.children;
      name.textContent = item.file.name;
      state.textContent = LABELS[item.state];
      if (item === this.current) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    });
  }
}

function row(index) {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.index = index;
  button.append(span('name'), span('state'));
  const row = document.createElement('li');
  row.append(button);
  return row;
}

function span(name) {
  const span = document.createElement('span');
  span.className = name;
  return span;
}

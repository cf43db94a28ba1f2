// What went wrong, in words that can be copied into a report.

const element = (id) => document.getElementById(id);

/** What is at fault. */
const KINDS = {
  photo: 'the photo',
  weights: 'the weights file',
  connection: 'the connection or the server',
  device: 'this device',
  program: 'the page itself',
};

/** The panel below the status. */
export class Trouble {
  #panel = element('trouble');
  #text = element('trouble-text');
  #context;

  /** @param {() => Record<string, string>} context what else a report should say */
  constructor(context) {
    this.#context = context;
    element('copy-trouble').addEventListener('click', async ({ target }) => {
      const copied = await navigator.clipboard?.writeText(this.#text.textContent).then(() => true, () => false);
      // Without leave for the clipboard there is still the keyboard.
      if (!copied) getSelection().selectAllChildren(this.#text);
      target.textContent = copied ? 'Copied' : 'Selected: copy it now';
    });
  }

  /** Shows the details of errors. */
  show(...errors) {
    const lines = errors.flatMap(({ kind, message, detail, stack }) => [
      `kind: ${KINDS[kind] ? kind : 'program'} (${KINDS[kind] ?? KINDS.program})`,
      `message: ${message}`,
      // Where a photo or a connection is at fault nobody has to look at the program.
      ...(['photo', 'connection'].includes(kind) ? [] : [detail ?? stack ?? '']),
    ]);
    const context = Object.entries(this.#context()).map(([name, value]) => `${name}: ${value}`);
    this.#text.textContent = [...lines, ...context].filter(Boolean).join('\n');
    element('copy-trouble').textContent = 'Copy';
    this.#panel.hidden = false;
  }

  hide() {
    this.#panel.hidden = true;
    this.#panel.open = false;
  }
}

// The divider between what is seen of the photo before and after: dragged on the photo, moved by a slider and by keys.

const element = (id) => document.getElementById(id);

/** Stands at a share of the visible width; what lies left of it shows the photo before. */
export class Divider {
  #scroll = element('scroll');
  #sheet = element('sheet');
  #handle = element('divider');
  #compare = element('compare');
  #fits;

  /** @param {() => boolean} fits whether the whole photo is in view: only then any place of it drags the divider */
  constructor(fits) {
    this.#fits = fits;
    this.#compare.addEventListener('input', () => this.place());
    this.#scroll.addEventListener('scroll', () => this.place());
    this.#dragHandle();
    this.#dragPhoto();
  }

  /** Moves by that many hundredths. */
  move(by) {
    this.#set(Number(this.#compare.value) + by);
  }

  /** Shows the photo before, or if that is seen already the one after. */
  flip() {
    this.#set(this.#compare.value === '100' ? 0 : 100);
    element('said').textContent = this.#compare.value === '100' ? 'Before' : 'After';
  }

  /** Brings the picture up to date. */
  place() {
    const { frame, sheet, left, right } = this.#visible();
    const at = left + ((right - left) * this.#compare.value) / 100;
    this.#handle.style.left = `${at - frame.left}px`;
    element('before').style.clipPath = `inset(0 ${sheet.right - at}px 0 0)`;
    element('after').style.clipPath = `inset(0 0 0 ${at - sheet.left}px)`;
    this.#compare.setAttribute('aria-valuetext', `${Math.round(this.#compare.value)} % before`);
  }

  #set(value) {
    this.#compare.value = value;
    this.place();
  }

  /** The frame, the whole photo, and the left and right end of what is seen of it, in the window. */
  #visible() {
    const frame = this.#scroll.getBoundingClientRect();
    const sheet = this.#sheet.getBoundingClientRect();
    const left = Math.max(frame.left, sheet.left);
    const right = Math.min(frame.left + this.#scroll.clientWidth, sheet.right);
    return { frame, sheet, left, right };
  }

  #follow({ clientX }) {
    const { left, right } = this.#visible();
    this.#set(((clientX - left) / (right - left)) * 100);
  }

  #dragHandle() {
    this.#handle.addEventListener('pointerdown', ({ pointerId }) => this.#handle.setPointerCapture(pointerId));
    this.#handle.addEventListener('pointermove', (event) => {
      if (this.#handle.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
  }

  /** A drag on a photo that is larger than its frame moves the photo; a finger does that by itself. */
  #dragPhoto() {
    let fingers = 0;
    this.#scroll.addEventListener('touchstart', ({ touches }) => (fingers = touches.length), { passive: true });
    this.#scroll.addEventListener('pointerdown', (event) => {
      if (this.#fits() && event.pointerType === 'mouse' && event.button === 0) this.#follow(event);
    });
    this.#scroll.addEventListener('pointermove', (event) => {
      const { buttons, pointerType, isPrimary, movementX, movementY } = event;
      if (buttons !== 1) return;
      if (!this.#fits()) {
        if (pointerType === 'mouse') this.#scroll.scrollBy(-movementX, -movementY);
      } else if (isPrimary && (pointerType !== 'touch' || fingers === 1)) {
        this.#follow(event);
      }
    });
  }
}

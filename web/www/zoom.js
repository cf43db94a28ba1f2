// How large the photo is shown: buttons, the wheel, two fingers. The place under the pointer stays where it is.

const element = (id) => document.getElementById(id);

/** The largest, in screen pixels for each pixel of the photo. */
const MOST = 16;
/** How far a wheel has to turn to double the size, and two fingers on a touchpad, which browsers report as a wheel. */
const WHEEL = 240;
const TOUCHPAD = 60;
/** Wheels of some mice jump. */
const JUMP = 120;
/** What a wheel that counts lines or pages reports for one of them, in the pixels of others. */
const UNITS = [1, 40, 800];

/** Sizes the sheet, which the frame around it scrolls. */
export class Zoom {
  #scroll = element('scroll');
  #sheet = element('sheet');
  #buttons = element('zoom');
  #changed;
  #photo = { width: 1, height: 1 };
  /** `fit`, or screen pixels for each pixel of the photo. */
  #zoom = 'fit';

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    new ResizeObserver(() => this.#layOut()).observe(this.#scroll.parentElement);
    this.#buttons.addEventListener('click', ({ target }) => {
      const { zoom } = target.dataset;
      if (zoom) this.to(zoom === 'fit' ? zoom : Number(zoom));
    });
    this.#scroll.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    this.#pinch();
  }

  /** Whether the whole photo is in view. */
  get fits() {
    return this.#zoom === 'fit';
  }

  /** @param {{ width: number, height: number }} photo */
  show(photo) {
    this.#photo = { width: photo.width, height: photo.height };
    this.#layOut();
  }

  /**
   * @param {'fit' | number} zoom
   * @param {{ x: number, y: number }} [point] in the window
   */
  to(zoom, point) {
    const least = this.#fit() * devicePixelRatio;
    this.#zoom = zoom === 'fit' || zoom <= least ? 'fit' : Math.min(zoom, MOST);
    // A small photo fits at its own size.
    if (zoom === 1 && least === devicePixelRatio && devicePixelRatio === 1) this.#zoom = 1;
    this.#layOut(point);
  }

  /** Makes it so many times as large. */
  by(factor, point) {
    const now = this.fits ? this.#fit() * devicePixelRatio : this.#zoom;
    this.to(now * factor, point);
  }

  /** The scale at which the photo fits, in the page's pixels. */
  #fit() {
    const { width, height } = this.#photo;
    return Math.min(this.#scroll.clientWidth / width, (innerHeight * 0.75) / height, 1);
  }

  #layOut(point = middle(this.#scroll)) {
    const { width, height } = this.#photo;
    const scale = this.fits ? this.#fit() : this.#zoom / devicePixelRatio;
    const before = this.#sheet.getBoundingClientRect();
    const across = (point.x - before.left) / (before.width || 1);
    const down = (point.y - before.top) / (before.height || 1);
    this.#sheet.style.width = `${width * scale}px`;
    this.#sheet.style.height = `${height * scale}px`;
    this.#sheet.classList.toggle('large', scale * devicePixelRatio >= 1);
    this.#scroll.classList.toggle('fits', this.fits);
    const after = this.#sheet.getBoundingClientRect();
    this.#scroll.scrollLeft += after.left + across * after.width - point.x;
    this.#scroll.scrollTop += after.top + down * after.height - point.y;
    for (const button of this.#buttons.children) button.setAttribute('aria-pressed', button.dataset.zoom === String(this.#zoom));
    this.#changed();
  }

  #wheel(event) {
    const { deltaY, deltaMode, ctrlKey, shiftKey, clientX, clientY } = event;
    // Sideways is sideways; and where the photo cannot become smaller the page scrolls on.
    if (shiftKey || deltaY === 0 || (this.fits && deltaY > 0 && !ctrlKey)) return;
    event.preventDefault();
    const turned = Math.max(-JUMP, Math.min(deltaY * UNITS[deltaMode], JUMP));
    this.by(2 ** (-turned / (ctrlKey && Math.abs(turned) < JUMP / 2 ? TOUCHPAD : WHEEL)), { x: clientX, y: clientY });
  }

  #pinch() {
    let distance;
    const start = (event) => {
      distance = event.touches.length === 2 ? spread(event.touches) : undefined;
      // Else the browser zooms the whole page.
      if (distance) event.preventDefault();
    };
    this.#scroll.addEventListener('touchstart', start, { passive: false });
    this.#scroll.addEventListener('touchend', start, { passive: false });
    this.#scroll.addEventListener(
      'touchmove',
      (event) => {
        if (event.touches.length !== 2 || !distance) return;
        event.preventDefault();
        const now = spread(event.touches);
        this.by(now / distance, between(event.touches));
        distance = now;
      },
      { passive: false },
    );
  }
}

function middle(frame) {
  const { left, top } = frame.getBoundingClientRect();
  return { x: left + frame.clientWidth / 2, y: top + frame.clientHeight / 2 };
}

function spread([one, other]) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

function between([one, other]) {
  return { x: (one.clientX + other.clientX) / 2, y: (one.clientY + other.clientY) / 2 };
}

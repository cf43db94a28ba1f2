// How much of each fault is removed. Unlike the strength, which mixes pixels, another share takes the network.

const element = (id) => document.getElementById(id);

/** The sliders, in the order in which the modules take the shares: noise, blur, rain, haze, JPEG. */
export class Removal {
  #sliders = [...element('removal').querySelectorAll('input')];

  /** @param {() => void} changed a slider has been let go somewhere else */
  constructor(changed) {
    for (const slider of this.#sliders) {
      slider.addEventListener('input', () => this.#tell(slider));
      slider.addEventListener('change', changed);
    }
    element('remove-all').addEventListener('click', () => {
      const before = this.shares;
      this.show();
      if (before.some((share) => share < 1)) changed();
    });
    this.show();
  }

  /** 0 to 1 each. @returns {number[]} */
  get shares() {
    return this.#sliders.map(({ value }) => value / 100);
  }

  /** Puts the sliders where they were. @param {number[]} [shares] all of everything if they are not given */
  show(shares = this.#sliders.map(() => 1)) {
    this.#sliders.forEach((slider, at) => {
      slider.value = Math.round(shares[at] * 100);
      this.#tell(slider);
    });
  }

  /** Whether the weights in use can remove one fault and keep another. */
  offer(steers) {
    element('removal').disabled = !steers;
    element('cannot-remove').hidden = steers;
    if (!steers) this.show();
  }

  #tell(slider) {
    slider.nextElementSibling.value = `${slider.value} %`;
  }
}

// Keys that work wherever no control of the page takes them, and the list of them.

const element = (id) => document.getElementById(id);

/** How far an arrow moves the divider, in hundredths, and a photo larger than its frame, in pixels. */
const STEP = 2;
const PAN = 60;
/** How much larger a key makes the photo. */
const LARGER = Math.SQRT2;

/** @param {import('./viewer.js').Viewer} viewer */
export function listen(viewer) {
  const { divider, heat, zoom } = viewer;
  const pan = (by) => element('scroll').scrollBy(by, 0);
  const actions = {
    ArrowLeft: ({ shiftKey }) => (shiftKey ? pan(-PAN) : divider.move(-STEP)),
    ArrowRight: ({ shiftKey }) => (shiftKey ? pan(PAN) : divider.move(STEP)),
    ' ': () => divider.flip(),
    '+': () => zoom.by(LARGER),
    '-': () => zoom.by(1 / LARGER),
    0: () => zoom.to('fit'),
    1: () => zoom.to(1),
    2: () => zoom.to(2),
    4: () => zoom.to(4),
    h: () => heat.toggle('change'),
    e: () => heat.toggle('error'),
  };
  addEventListener('keydown', (event) => {
    const { target, ctrlKey, metaKey, altKey } = event;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (ctrlKey || metaKey || altKey || element('help').open) return;
    if (key === '?') return element('help').showModal();
    const free = target === document.body || target === element('scroll');
    if (!free || element('view').hidden || !Object.hasOwn(actions, key)) return;
    event.preventDefault();
    actions[key](event);
  });
  element('keys').addEventListener('click', () => element('help').showModal());
}

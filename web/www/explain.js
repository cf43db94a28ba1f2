// What the network found wrong with a photo, in plain words, with bars and numbers.

const element = (id) => document.getElementById(id);

const amount = (little, much) => (value, name) => (value < little ? `a little ${name}` : value < much ? name : `much ${name}`);

/**
 * What there is to say of each fault. `full` fills the bar; JPEG counts down from 100. `tolerance` is the error that the
 * confidence speaks of.
 */
const FAULTS = {
  noise: {
    name: 'Noise', full: 75, tolerance: '5 levels',
    words: (value) => amount(10, 35)(value, 'noise'),
    number: (value) => `${Math.round(value)} of 255 levels (standard deviation)`,
  },
  blur: {
    name: 'Blur', full: 4, tolerance: 'half a pixel',
    words: (value) => amount(1.5, 3)(value, 'blur'),
    number: (value) => `${value.toFixed(1)} pixels (standard deviation)`,
  },
  rain: {
    name: 'Rain', full: 1, tolerance: '10 %',
    words: (value) => amount(0.12, 0.4)(value, 'rain'),
    number: (value) => `${percent(value)} of the photo touched by streaks`,
  },
  haze: {
    name: 'Haze', full: 1, tolerance: '15 %',
    words: (value) => amount(0.4, 0.65)(value, 'haze'),
    number: (value) => `${percent(value)} of the light is haze`,
  },
  jpeg: {
    name: 'JPEG compression', full: 99, tolerance: '15',
    words: (value) => (value < 40 ? 'strong JPEG compression' : 'JPEG compression'),
    number: (value) => `quality about ${Math.round(value)} of 100`,
  },
};

const percent = (share) => `${Math.round(share * 100)} %`;

/**
 * The faults that were found, in a sentence; what was not found may be there nevertheless, and is not spoken of.
 * @param {Finding[]} findings
 * @typedef {{ name: string, value: number, confidence: number, found: boolean }} Finding
 */
export function sentence(findings) {
  const found = findings.filter(({ found }) => found).map(({ name, value }) => FAULTS[name].words(value));
  return found.length > 0 ? `Found: ${found.join(', ')}.` : 'No fault that this network knows was found.';
}

/** Brings the panel up to date. @param {Finding[]} [findings] nothing if there is no diagnosis */
export function explain(findings) {
  element('explain').hidden = !findings;
  if (!findings) return;
  element('found').textContent = sentence(findings);
  element('faults').replaceChildren(...findings.filter(({ found }) => found).map(row));
}

/** One fault: its name, a bar, the number, how sure that is. */
function row({ name, value, confidence }) {
  const { name: title, full, number, tolerance } = FAULTS[name];
  const bar = Object.assign(document.createElement('meter'), { min: 0, max: full, value: name === 'jpeg' ? 100 - value : value });
  bar.ariaLabel = title;
  const head = cell('th', title);
  head.scope = 'row';
  const row = document.createElement('tr');
  row.dataset.fault = name;
  row.append(head, cell('td', bar), cell('td', number(value)), cell('td', `within ${tolerance}: ${percent(confidence)} sure`));
  return row;
}

function cell(kind, content) {
  const cell = document.createElement(kind);
  cell.append(content);
  return cell;
}

// Text of strangers, as it may stand on a canvas or in a page, and numbers and times for people.

const PLAIN = /^[ -~]*$/;
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** Text with control, format and direction characters as escapes, bounded. */
export function legible(text, limit = 253) {
  let shown = String(text).slice(0, 4 * limit);
  // Almost all is plain, and classes of Unicode are slow to look up.
  if (!PLAIN.test(shown)) {
    shown = shown.replace(/(\p{M}{2})\p{M}+/gu, "$1").replace(UNSEEN, (sign) => {
      const code = sign.codePointAt(0);
      return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
    });
  }
  return shown.length > limit ? `${shown.slice(0, limit)}…` : shown;
}

/** Legible text, its start and its end where it is long. */
export function shortened(text, most = 38) {
  const shown = legible(text);
  return shown.length <= most ? shown : `${shown.slice(0, most / 2 - 1)}…${shown.slice(-most / 2)}`;
}

/** A whole number with its thousands apart; much quicker than a locale, and the same everywhere. */
export const number = (value) => String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");

const MONTHS = "January February March April May June July August September October November December".split(" ");

/** A UTC day in words. */
export function dayWords(time) {
  const date = new Date(time);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

export const isoDay = (time) => new Date(time).toISOString().slice(0, 10);

/** An element with text and attributes; what is given as text is never read as markup. */
export function element(tag, text = null, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  return made;
}

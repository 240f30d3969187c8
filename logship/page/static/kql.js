// KQL as text: conditions, and what is typed at the caret. Only the server parses KQL.

/** A field or a value as a KQL literal. @param {string} text @param {boolean} [quote] always in quotes */
export function literal(text, quote = false) {
  if (!quote && /^[\w@.-]+$/.test(text) && !/^(and|or|not)$/i.test(text)) return text;
  const escaped = text
    .replace(/[\\"]/g, "\\$&")
    .replace(/\t/g, "\\t")
    .replace(/\r/g, "\\r")
    .replace(/\n/g, "\\n")
    .replace(/[\u0000-\u001f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `"${escaped}"`;
}

/** The condition that `field` has this value. @param {string} field @param {unknown} value */
export function is(field, value) {
  if (typeof value === "number" || typeof value === "boolean") {
    return `${literal(field)}: ${typeof value === "number" && value < 0 ? `"${value}"` : value}`;
  }
  return `${literal(field)}: ${literal(String(value), true)}`;
}

/** @param {string} one */
const whole = (one) =>
  /\s(and|or)\s|^\s*not\s/i.test(one) && !/^\([^()]*\)$/.test(one.trim()) ? `(${one.trim()})` : one.trim();

/** All conditions joined with `and`; blank ones are left out. @param {...(string | null | undefined)} parts */
export function all(...parts) {
  const said = parts.filter((one) => one && one.trim()).map((one) => /** @type {string} */ (one));
  return said.length === 1
    ? said[0].trim()
    : said.map((one) => (/\sor\s/i.test(one) ? whole(one) : one.trim())).join(" and ");
}

/** @param {string} question @param {string} condition @param {boolean} wanted false: all but those */
export function narrowed(question, condition, wanted) {
  const added = wanted ? condition : `not ${condition}`;
  return question.includes(added) && all(question).split(" and ").includes(added) ? question : all(question, added);
}

export const REQUESTS = "event.dataset: logship.request and not event.action: ws-open";
export const FAILURES = `${REQUESTS} and (http.response.status_code >= 500 or event.outcome: failure)`;

/** What is typed at the caret: the name of a field or a value of `field`, from character `start` on.
 * @param {string} text @param {number} caret @returns {{kind: "field" | "value", field: string, typed: string, start:
 * number}} */
export function atCaret(text, caret) {
  const before = text.slice(0, caret);
  const value =
    /([\w@.-]+|"(?:[^"\\]|\\.)+")\s*(?::|<=|>=|<|>)\s*\(?\s*(?:(?:[^\s():"]+|"[^"]*")\s+or\s+)*("?)([^():"]*)$/.exec(
      before,
    );
  if (value && !/\s(and|or|not)\s$/i.test(value[3]) && !/\s(?:and|or)\s+\S*$/i.test(value[3])) {
    const field = value[1].startsWith('"') ? JSON.parse(value[1]) : value[1];
    return { kind: "value", field, typed: value[3], start: caret - value[3].length - value[2].length };
  }
  const word = /[\w@.-]*$/.exec(before);
  const typed = word ? word[0] : "";
  return { kind: "field", field: "", typed, start: caret - typed.length };
}

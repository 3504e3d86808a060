// Lets i18next speak ICU messages, so that numbers and plurals are the language's own and no
// sentence is glued from parts. Parsed messages are kept: a list formats the same one per row.
import { IntlMessageFormat } from "intl-messageformat";
import type { i18n } from "i18next";

interface Piece {
  type: number;
  value?: unknown;
  options?: Record<string, { value: Piece[] }>;
}

/** The parser's numbers for a literal text and for a bare argument. */
const LITERAL = 0;
const BARE = 1;

function each(tree: Piece[], visit: (piece: Piece) => void): void {
  for (const piece of tree) {
    visit(piece);
    for (const option of Object.values(piece.options ?? {})) each(option.value, visit);
  }
}

/** The values that a message takes, for the tests. */
export function valuesOf(message: string): string[] {
  const names = new Set<string>();
  each(new IntlMessageFormat(message, "en", undefined, { ignoreTag: true }).getAst() as Piece[], (piece) => {
    if (piece.type !== LITERAL && typeof piece.value === "string") names.add(piece.value);
  });
  return [...names].sort();
}

const parsed = new Map<string, IntlMessageFormat>();
const numbers = { en: new Intl.NumberFormat("en-GB"), zh: new Intl.NumberFormat("zh-CN") };

/** Formats one message. A message that does not parse is our fault and is thrown, so tests see it. */
export function format(message: string, language: string, values: Record<string, unknown>): string {
  const key = `${language}\u0000${message}`;
  let ready = parsed.get(key);
  if (ready === undefined) {
    const locale = language === "zh" ? "zh-CN" : "en-GB";
    const tree = new IntlMessageFormat(message, locale, undefined, { ignoreTag: true }).getAst() as Piece[];
    // A bare `{n}` takes the grouped number; the plain one is left for plural and select.
    each(tree, (piece) => {
      if (piece.type === BARE) piece.value = `${String(piece.value)}_text`;
    });
    ready = new IntlMessageFormat(tree as never, locale);
    parsed.set(key, ready);
  }
  const all: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "number" && typeof value !== "string") continue;
    all[name] = value;
    all[`${name}_text`] =
      typeof value === "number" ? numbers[language === "zh" ? "zh" : "en"].format(value) : value;
  }
  return String(ready.format(all));
}

/** The plugin that i18next takes as its format. */
export const icu = {
  type: "i18nFormat" as const,
  init(_i18n: i18n) {
    // Nothing to set up.
  },
  parse(message: string, options: Record<string, unknown>, language: string): string {
    return format(message, language, options);
  },
  addLookupKeys(keys: string[]): string[] {
    return keys;
  },
};

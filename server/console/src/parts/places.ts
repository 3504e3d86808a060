// Places, ids and previews as text: what is cut, what is kept, and what hostile names become. Pure;
// text from hosts stays text, and nothing here can show more of a secret than the collector sent.
import type { Cause, FindingRow } from "../api/types";

/** What a host sent, with everything made visible that could move a cursor or turn a line around. */
export function visible(text: string): string {
  return text.replace(
    // Controls, soft hyphen, zero-width and bidirectional marks, line separators, specials, tags.
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (char) => `\\u{${char.charCodeAt(0).toString(16)}}`,
  );
}

function cutSegment(segment: string, longest: number): string {
  if ([...segment].length <= longest) return segment;
  const chars = [...segment];
  const head = Math.ceil((longest - 1) / 2);
  const tail = longest - 1 - head;
  return `${chars.slice(0, head).join("")}…${chars.slice(chars.length - tail).join("")}`;
}

/** A path cut in the middle: the root and the last two segments stay. */
export function shortPath(whole: string, longest = 48): string {
  if ([...whole].length <= longest) return whole;
  // A mark of the host is cut to its sign, never in the middle, so that it stays a mark.
  const path = whole.replace(/‹[a-z0-9._-]{1,96}›/g, "‹…›");
  if ([...path].length <= longest) return path;
  const segments = path.split("/");
  const rooted = path.startsWith("/");
  const names = segments.filter((segment) => segment !== "");
  if (names.length <= 3) return cutNames(names, rooted, longest);
  const tail = names.slice(-2);
  for (const keep of [2, 1]) {
    if (names.length <= keep + 2) continue;
    const cut = [...names.slice(0, keep), "…", ...tail];
    const text = (rooted ? "/" : "") + cut.join("/");
    if ([...text].length <= longest) return text;
  }
  return cutNames([names[0] ?? "", "…", ...tail], rooted, longest);
}

function cutNames(names: string[], rooted: boolean, longest: number): string {
  const room = Math.max(8, Math.floor((longest - names.length - 2) / Math.max(1, names.filter((name) => name !== "…").length)));
  return (rooted ? "/" : "") + names.map((name) => cutSegment(name, room)).join("/");
}

/** First six, last four. Already masked or short ids stay as they are. */
export function maskId(id: string): string {
  return id.includes("…") || [...id].length <= 12 ? id : `${id.slice(0, 6)}…${id.slice(-4)}`;
}

const BOUNDS = [8, 16, 20, 24, 32, 36, 40, 48, 64, 128, 512] as const;

/** A preview's length class as numbers: from, and to when it has an end. */
export function lengthClass(index: number): { from?: number; to?: number } {
  const low = BOUNDS[index - 1];
  const high = BOUNDS[index];
  return {
    ...(low === undefined ? {} : { from: low }),
    ...(high === undefined ? {} : { to: high - 1 }),
  };
}

/** `ghp_ ••• (36–39)`; there is never more to show. */
export function previewText(preview: { prefix?: string | null; length: number }): string {
  const { from, to } = lengthClass(preview.length);
  const range =
    from !== undefined && to !== undefined ? `${from}–${to}`
    : from !== undefined ? `≥ ${from}`
    : to !== undefined ? `< ${to + 1}` : "?";
  const prefix = preview.prefix === undefined || preview.prefix === null ? "" : `${preview.prefix} `;
  return `${prefix}••• (${range})`;
}

/** Splits a name at the marks that the host put where a secret stood: `‹rule›`. */
export function markedParts(text: string): Array<{ text: string; replaced: boolean }> {
  return text
    .split(/(‹(?:[a-z0-9._-]{1,96}|…)›)/)
    .filter((part) => part !== "")
    .map((part) => ({ text: part, replaced: /^‹.*›$/.test(part) }));
}

/** Whether something typed into the search looks like a secret. Errs on the side of refusing. */
export function looksSecret(text: string): boolean {
  const word = text.trim();
  if (/-----BEGIN|^(ghp|gho|ghs|ghu|ghr|github_pat|glpat|xox[abprs]|sk-|akw|eyJ)[_-]?/.test(word)) return true;
  if (/^(AKIA|ASIA|AKID|LTAI|AKLT)[A-Za-z0-9]{10,60}$/.test(word)) return false;
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(word)) return false;
  if (/^cr_[A-Za-z0-9]+$/.test(word)) return false;
  return word
    .split(/[\s/:.,;=&?'"]+/)
    .some((part) => part.length >= 20 && /[A-Za-z]/.test(part) && /[0-9]/.test(part) && !/[-_].*[-_]/.test(part));
}

/** Whether it is a whole access key id, which may be asked for by its exact value. */
export function looksLikeId(text: string): boolean {
  return /^(AKIA|ASIA|AKID|LTAI|AKLT|ALTAK|HPUA)[A-Za-z0-9]{8,64}$/.test(text.trim());
}

/** The file that a process has its key from. One that was edited is named only while the process still holds the key. */
export function causeOf(row: Pick<FindingRow, "cause" | "state">): Cause | undefined {
  const cause = row.cause ?? undefined;
  return cause?.gone === true && row.state !== "present" ? undefined : cause;
}

// What stands behind the `?` of an address: flat `key=value` pairs, with the API's own names, so that
// a link pasted into a chat shows the same rows and reads like the command line's flags.
export type Address = Record<string, string | undefined>;

/** Longest value that is taken from an address; a longer one is cut, not trusted. */
const LONGEST = 512;

/** Reads `?a=b&c=d`. A repeated key keeps its last value. */
export function parseAddress(text: string): Address {
  const address: Address = {};
  for (const [key, value] of new URLSearchParams(text.startsWith("?") ? text.slice(1) : text)) {
    if (/^[a-z][a-z0-9_]{0,31}$/.test(key)) address[key] = value.slice(0, LONGEST);
  }
  return address;
}

/** Writes it back, commas and colons readable, empty values left out. */
export function writeAddress(address: Record<string, unknown>): string {
  const pairs: string[] = [];
  for (const [key, value] of Object.entries(address)) {
    if (value === undefined || value === null || value === "") continue;
    const text = encodeURIComponent(String(value))
      .replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%40/g, "@");
    pairs.push(`${key}=${text}`);
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** Splits `present,unknown`. */
export function words(value: string | undefined): string[] {
  return (value ?? "").split(",").map((word) => word.trim()).filter((word) => word !== "");
}

/** Joins words into one value; none at all is no filter. */
export function fromWords(list: readonly string[]): string | undefined {
  return list.length === 0 ? undefined : list.join(",");
}

/** Keys that every page understands and that are no filters. */
const everywhere = new Set(["tz", "sort", "cursor", "limit", "group", "row", "view"]);

/** The filters set in `address` among those that a page knows, in its order. */
export function filtersIn(address: Address, known: readonly string[]): string[] {
  return known.filter((key) => (address[key] ?? "") !== "");
}

/** Keys that a page does not know: kept in the address, named in a notice, never sent. */
export function strangersIn(address: Address, known: readonly string[]): string[] {
  return Object.keys(address).filter((key) => !known.includes(key) && !everywhere.has(key));
}

/** `7d` or a number of milliseconds since 1970, as the API's `since`. */
export function sinceInstant(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const days = /^(\d{1,4})d$/.exec(value)?.[1];
  // Whole minutes, so that the same page asks the same question for a while.
  if (days !== undefined) return Math.floor((now - Number(days) * 86_400_000) / 60_000) * 60_000;
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** The same filters for the command line, shell-quoted. */
export function asCommand(noun: string, address: Address, known: readonly string[]): string {
  const flags = filtersIn(address, known).map((key) => `--${key} ${shellQuoted(address[key] ?? "")}`);
  return ["akwatch", noun, ...flags].join(" ");
}

/** One word of a POSIX shell. */
export function shellQuoted(text: string): string {
  return /^[A-Za-z0-9_./:,@%+=-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

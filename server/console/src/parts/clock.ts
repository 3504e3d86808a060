// Instants in words: pure, so that tests choose the clock and the zone.

export type TimeWords = (key: "now" | "seconds" | "minutes" | "hours", values?: { n: number }) => string;

const two = (n: number): string => String(n).padStart(2, "0");

/** `2026-03-04 03:12:45` in the browser's zone or in UTC. */
export function absolute(time: number, utc: boolean): string {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return "–";
  const [y, m, day, h, min, s] = utc
    ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()]
    : [d.getFullYear(), d.getMonth(), d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()];
  return `${y}-${two(m + 1)}-${two(day)} ${two(h)}:${two(min)}:${two(s)}`;
}

/** The clock alone: `03:12:45`. */
export function clockOf(time: number, utc: boolean): string {
  return absolute(time, utc).slice(11);
}

/** Under a day relative; older as a date; in the same year without it. Never in the future. */
export function listTime(time: number, now: number, utc: boolean, words: TimeWords): string {
  const seconds = Math.floor((now - time) / 1000);
  if (seconds < 5 && seconds > -120) return words("now");
  if (seconds >= 0 && seconds < 60) return words("seconds", { n: seconds });
  if (seconds >= 0 && seconds < 3600) return words("minutes", { n: Math.floor(seconds / 60) });
  if (seconds >= 0 && seconds < 86_400) return words("hours", { n: Math.floor(seconds / 3600) });
  const full = absolute(time, utc);
  return full.slice(0, 4) === absolute(now, utc).slice(0, 4) ? full.slice(5, 16) : full.slice(0, 10);
}

/** A length of time in its two largest units. */
export function lengthParts(milliseconds: number):
  | { unit: "durS"; s: number } | { unit: "durM"; m: number }
  | { unit: "durH"; h: number; m: number } | { unit: "durD"; d: number; h: number } {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  if (s < 60) return { unit: "durS", s };
  if (s < 3600) return { unit: "durM", m: Math.floor(s / 60) };
  if (s < 86_400) return { unit: "durH", h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) };
  return { unit: "durD", d: Math.floor(s / 86_400), h: Math.floor((s % 86_400) / 3600) };
}

/** The zone by name and offset: `CST, UTC+8`; `UTC` alone for UTC. */
export function zoneName(utc: boolean, now: number): string {
  if (utc) return "UTC";
  const minutes = -new Date(now).getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  const offset = `UTC${minutes === 0 ? "" : `${sign}${hours}${rest === 0 ? "" : `:${two(rest)}`}`}`;
  const zone = new Intl.DateTimeFormat("en-GB").resolvedOptions().timeZone;
  return zone === "" || zone === "UTC" ? offset : `${zone}, ${offset}`;
}

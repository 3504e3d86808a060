// The days of the chart, one after another to today: a day without changes is a zero, a day before the
// first that is known is none at all, so that a young collector does not look like a quiet one.
import type { Day } from "../../api/types";

const DAY = 86_400_000;
/** Days drawn at least, so that a single one does not fill the chart. */
const LEAST = 14;
const MOST = 30;

export interface Drawn {
  day: string;
  new: number | null;
  gone: number | null;
}

/** Fills the gaps between the known days up to today (UTC). */
export function fillDays(days: readonly Day[], now: number): Drawn[] {
  const known = new Map(days.map((day) => [day.day, day]));
  const first = days[0]?.day;
  if (first === undefined) return [];
  const today = Math.floor(now / DAY) * DAY;
  const since = Math.round((today - Date.parse(`${first}T00:00:00Z`)) / DAY) + 1;
  const count = Math.max(LEAST, Math.min(MOST, Number.isFinite(since) ? since : LEAST));
  return Array.from({ length: count }, (_, at) => {
    const day = new Date(today - (count - 1 - at) * DAY).toISOString().slice(0, 10);
    const one = known.get(day);
    if (one !== undefined) return one;
    return day < first ? { day, new: null, gone: null } : { day, new: 0, gone: 0 };
  });
}

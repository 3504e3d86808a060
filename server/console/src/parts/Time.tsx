// Instants on a page: relative in lists with the absolute time at hand, absolute elsewhere. One
// clock ticks for the whole page, so that a thousand rows cost one timer.
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";

import { useAddress } from "../address/useAddress";
import { absolute, clockOf, lengthParts, listTime } from "./clock";

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    listeners.forEach((each) => each());
  }, 5000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The clock, moving every five seconds. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** Whether times are shown in UTC: `tz=utc` in the address. */
export function useUtc(): boolean {
  const [address] = useAddress();
  return address["tz"] === "utc";
}

/** An instant in a list: "12 min ago", its absolute time as title and for copying. */
export function Ago({ time }: { time: number | null | undefined }) {
  const { t } = useTranslation();
  const moving = useNow();
  const utc = useUtc();
  if (time === null || time === undefined) return <span className="quiet">{t("time.never")}</span>;
  const full = absolute(time, utc);
  return (
    <time className="number" dateTime={iso(time)} title={full}>
      {listTime(time, Math.max(moving, time), utc, (key, values) => t(`time.${key}`, values ?? {}))}
    </time>
  );
}

/** An instant in full, with seconds. */
export function At({ time }: { time: number | null | undefined }) {
  const { t } = useTranslation();
  const utc = useUtc();
  if (time === null || time === undefined) return <span className="quiet">{t("time.never")}</span>;
  return <time className="number" dateTime={iso(time)}>{absolute(time, utc)}</time>;
}

function iso(time: number): string | undefined {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** Words for a length of time and for clocks, for use inside sentences. */
export function useTimeWords() {
  const { t } = useTranslation();
  const utc = useUtc();
  return {
    length: (milliseconds: number) => {
      const { unit, ...values } = lengthParts(milliseconds);
      return t(`time.${unit}`, values);
    },
    clock: (time: number) => clockOf(time, utc),
    at: (time: number) => absolute(time, utc),
    /** The clock when it was today, else the whole date. */
    short: (time: number) => {
      const full = absolute(time, utc);
      return full.slice(0, 10) === absolute(Date.now(), utc).slice(0, 10) ? full.slice(11) : full.slice(0, 16);
    },
  };
}

// "12 changes · Show": live events collected while a list stands still, so that no row moves under
// the pointer. A list that is empty has nothing to move and asks again at once.
import { Button } from "antd";
import { useCallback, useState } from "react";
import { useTranslation } from "react-i18next";

import { useEvents } from "../api/events";
import type { Event } from "../api/types";

/** What an event counts as in a list: the names of the rows that it touches. */
export type Touched = (event: Event) => string[];

export function useChanges(
  touched: Touched, refresh: () => void, atOnce: boolean, differs: () => Promise<boolean>,
): { n: number; show: () => void } {
  const [names, setNames] = useState<ReadonlySet<string>>(new Set());
  useEvents((event) => {
    // The stream lost events, or was cut and came back: anything may have changed, or nothing.
    if (event.event === "reload" && !atOnce) {
      void differs().then((some) => { if (some) setNames((old) => new Set([...old, "*"])); }, () => undefined);
      return;
    }
    const rows = event.event === "reload" ? ["*"] : touched(event);
    if (rows.length === 0) return;
    if (atOnce) refresh();
    else setNames((old) => new Set([...old, ...rows]));
  });
  const show = useCallback(() => {
    setNames(new Set());
    refresh();
  }, [refresh]);
  return { n: names.size, show };
}

export function ChangesButton({ n, show }: { n: number; show: () => void }) {
  const { t } = useTranslation();
  return (
    <span role="status">
      {n > 0 && <Button size="small" onClick={show}>{t("live.changes", { n })}</Button>}
    </span>
  );
}

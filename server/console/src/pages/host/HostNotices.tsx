// What makes this host's word less than whole: silence, retirement, a lower rung, a full disk, a wrong clock.
import { useTranslation } from "react-i18next";

import type { HostDetail } from "../../api/types";
import { visible } from "../../parts/places";
import { Partial } from "../../parts/States";
import { useNow, useTimeWords } from "../../parts/Time";
import { en } from "../../words/en";

/** A clock this far off is named: certificates and timelines suffer. */
const CLOCK_OFF_MS = 60_000;

export function HostNotices({ data }: { data: HostDetail }) {
  const { t } = useTranslation();
  const words = useTimeWords();
  const now = useNow();
  const { host, coverage, asked } = data;
  const what = (word: string) => (Object.hasOwn(en.asked, word) ? t(`asked.${word as keyof typeof en.asked}`) : visible(word));
  const rungWords = ({ rung, rung_reason: reason }: NonNullable<typeof coverage>) =>
    reason === undefined || reason === null ? t(`rung.${rung}`) : t("join.aside", { text: t(`rung.${rung}`), aside: visible(reason) });
  const off = data.clock_ahead_ms;
  return (
    <>
      {host.state === "silent" && <Partial>{t("partial.silent", { time: host.last_heard === undefined || host.last_heard === null ? t("time.never") : words.short(host.last_heard) })}</Partial>}
      {host.state === "retired" && <Partial>{t("partial.retired")}</Partial>}
      {host.state === "pending" && <Partial>{t("partial.pending")}</Partial>}
      {coverage !== undefined && coverage !== null && coverage.rung !== "full" && (
        <Partial>{t("partial.budget", { rung: rungWords(coverage) })}</Partial>
      )}
      {coverage?.record !== undefined && coverage.record !== null && (
        <Partial>{t("partial.record", { time: words.short(coverage.record.since), why: visible(coverage.record.why), n: coverage.record.waiting })}</Partial>
      )}
      {asked !== undefined && asked !== null && asked.outcome === "refused" && <Partial>{t("partial.askedRefused", { what: what(asked.what) })}</Partial>}
      {asked !== undefined && asked !== null && (asked.outcome === undefined || asked.outcome === null) && <Partial>{t(asked.until > now ? "partial.asked" : "partial.askedInVain", { what: what(asked.what), time: words.short(asked.at) })}</Partial>}
      {data.unsent > 0 && <Partial>{t("partial.unsent", { n: data.unsent })}</Partial>}
      {Math.abs(off) >= CLOCK_OFF_MS && <Partial>{t("partial.clock", { length: words.length(Math.abs(off)), direction: off > 0 ? "ahead" : "behind" })}</Partial>}
    </>
  );
}

// Presence: agents' fact about one place, and its sums. Unknown is violet and hatched, always with
// its reason; gone is green only with its proof.
import { useTranslation } from "react-i18next";

import type { PresenceCounts, Presence as Fact } from "../api/types";
import { barWidths, grouped } from "./numbers";
import { Meaning, Shape } from "./Shape";
import { useTimeWords } from "./Time";
import { useWhy } from "./why";

/** One place's presence, with its reason or proof where `full`. */
export function Presence({ presence, returns = 0, full = false }: { presence: Fact; returns?: number; full?: boolean }) {
  const { t } = useTranslation();
  const words = useTimeWords();
  const why = useWhy();
  if (presence.state === "present") {
    return (
      <span className="mean">
        <Meaning meaning="ink" shape="present">{t("presence.present")}</Meaning>
        {returns > 0 && <Meaning meaning="high" shape="again" title={t("presence.again", { n: returns })}>{full ? t("presence.again", { n: returns }) : t("presence.times", { n: returns })}</Meaning>}
      </span>
    );
  }
  if (presence.state === "gone") {
    const proof = presence.proof in PROOFS ? (presence.proof as keyof typeof PROOFS) : "unknown";
    const reason = t(`proofGone.${proof}`, { time: words.short(presence.at) });
    return (
      <Meaning meaning="verified" shape="gone" title={reason}>
        {t("presence.gone")}{full && <span className="quiet"> · {reason}</span>}
      </Meaning>
    );
  }
  const reason = why(presence.why);
  return (
    <Meaning meaning="unknown" shape="unknown" title={reason}>
      {t("presence.unknown")}{full ? ` · ${reason}` : <span className="hidden-words"> · {reason}</span>}
    </Meaning>
  );
}

const PROOFS = { reread: 1, removed: 1, ended: 1, unknown: 1 } as const;

/** Present · unknown · gone as a bar and as numbers. */
export function PresenceBar({ places, numbers = true, tall = false }: { places: PresenceCounts; numbers?: boolean; tall?: boolean }) {
  const { t } = useTranslation();
  const [present, unknown, gone] = barWidths([places.present, places.unknown, places.gone]);
  const spoken = t("count.presence", { present: places.present, unknown: places.unknown, gone: places.gone });
  return (
    <span className={numbers ? "presence-cell" : undefined} title={spoken}>
      <span className={`bar${tall ? " tall" : ""}`} aria-hidden="true">
        {places.present > 0 && <i className="present" style={{ width: `${present ?? 0}%` }} />}
        {places.unknown > 0 && <i className="unknown" style={{ width: `${unknown ?? 0}%` }} />}
        {places.gone > 0 && <i className="gone" style={{ width: `${gone ?? 0}%` }} />}
      </span>
      <span className="hidden-words">{spoken}</span>
      {numbers && (
        <span className="number" aria-hidden="true">
          {grouped(places.present)} · <span className={places.unknown > 0 ? "m-unknown" : ""}>{grouped(places.unknown)}</span> · {grouped(places.gone)}
        </span>
      )}
    </span>
  );
}

/** The sign of one presence in a heading: `● 24`. */
export function PresenceCount({ state, n }: { state: "present" | "unknown" | "gone"; n: number }) {
  const { t } = useTranslation();
  if (n === 0) return null;
  const meaning = state === "present" ? "ink" : state === "unknown" ? "unknown" : "verified";
  return (
    <span className={`mean m-${meaning}`}>
      <Shape name={state} />
      <span className="number">{grouped(n)}</span>
      <span className="hidden-words">{t(`presence.${state}`)}</span>
    </span>
  );
}

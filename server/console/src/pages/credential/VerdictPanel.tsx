// First the verdict, then how far it reaches, then what that means. The first thing seen.
import { Button } from "antd";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";

import type { CredentialDetail } from "../../api/types";
import { Disposition, Score, Verdict } from "../../parts/Badges";
import { CredentialName } from "../../parts/CredentialName";
import { visible } from "../../parts/places";
import { PresenceBar } from "../../parts/Presence";
import { Meaning } from "../../parts/Shape";
import { useNow, useTimeWords } from "../../parts/Time";

export function VerdictPanel({ data, openScore }: { data: CredentialDetail; openScore: () => void }) {
  const { t } = useTranslation();
  const words = useTimeWords();
  const now = useNow();
  const { credential } = data;
  const { places } = credential;
  const open = places.present + places.unknown;
  const world = places.present === 0 ? 0 : data.places.filter((place) => place.state === "present" && place.reach.world_readable === true && place.location.type !== "process").length;
  return (
    <section className="panel panel-body" style={{ padding: 16, marginBottom: 16 }} aria-label={t("verdict.label")}>
      <div className="row spread start">
        <div className="stack grow">
          <div className="row" style={{ gap: 16 }}>
            <h1><Verdict verdict={credential.verdict} score={credential.score} big /></h1>
            <CredentialName named={credential} />
          </div>
          <p>
            {open === 0 ? t("credential.goneAll", { n: places.gone })
              : places.present > 0 ? <span className="strong">{t("credential.lies", { places: places.present, hosts: credential.hosts })}</span> : null}
            {places.unknown > 0 && (
              <>{places.present > 0 && " · "}<Meaning meaning="unknown" shape="unknown">{t("credential.unknownPlaces", { n: places.unknown })}</Meaning></>
            )}
            {world > 0 && <> · <span>{t("credential.allUsers", { n: world })}</span></>}
          </p>
          <p className="second">
            {t("time.since", { time: words.at(credential.first_seen), length: words.length(Math.max(0, now - credential.first_seen)) })}
            {" · "}{advice(data, t)}
          </p>
        </div>
        <div className="stack" style={{ alignItems: "flex-end" }}>
          <span className="row">
            <Score value={credential.score} word big />
            <Button type="text" size="small" onClick={openScore}>{t("credential.scoreTab")}</Button>
          </span>
          <Disposition disposition={credential.disposition} />
          <DecidedBy data={data} />
        </div>
      </div>
      <div style={{ marginTop: 12 }}><PresenceBar places={places} tall numbers={false} /></div>
    </section>
  );
}

/** Who decided, when and why. Long notes wrap; nobody's text moves the page. */
function DecidedBy({ data }: { data: CredentialDetail }) {
  const { t } = useTranslation();
  const words = useTimeWords();
  const { by, at, until, note } = data.decision ?? {};
  if (by === undefined || by === null || at === undefined || at === null) return null;
  return (
    <span className="decided second">
      <span>{t("decide.by", { name: visible(by), time: words.short(at) })}</span>
      {until !== undefined && until !== null && <span>{t("decide.until2", { time: words.short(until) })}</span>}
      {note !== undefined && note !== null && <q><bdi>{visible(note)}</bdi></q>}
    </span>
  );
}

type Speak = TFunction;

function advice({ credential }: CredentialDetail, t: Speak): string {
  switch (credential.verdict) {
    case "rotated-still-present": return t("credential.adviceRotated", { n: credential.places.present });
    case "gone-not-rotated": return t("credential.adviceGone");
    case "not-verified":
    case "rotated-not-verified": return t("credential.adviceUnknown");
    default: return t("secret.none");
  }
}

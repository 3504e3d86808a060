// What happened, newest first, with absolute times and seconds: agents' facts and people's decisions,
// each marked as what it is.
import { UserOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";

import type { TimelineEntry } from "../../api/types";
import { HostText } from "../../parts/HostText";
import { shortPath, visible } from "../../parts/places";
import { zoneName } from "../../parts/clock";
import { Shape, type ShapeName } from "../../parts/Shape";
import { Empty } from "../../parts/States";
import { At, useUtc } from "../../parts/Time";
import { useWhy } from "../../parts/why";
import { en } from "../../words/en";
import { HostName } from "../Hosts";

const signs: Record<string, [ShapeName, string]> = {
  present: ["present", "ink"], "present-again": ["again", "high"], gone: ["gone", "verified"], unknown: ["unknown", "unknown"], retired: ["dash", "recorded"],
};

export function Timeline({ entries }: { entries: readonly TimelineEntry[] }) {
  const { t } = useTranslation();
  const utc = useUtc();
  if (entries.length === 0) return <Empty>{t("empty.timeline")}</Empty>;
  return (
    <>
      <p className="caption" style={{ padding: "8px 16px" }}>{t("time.zone", { zone: zoneName(utc, Date.now()) })}</p>
      <ol className="timeline">
        {entries.map((entry, at) => <Entry key={`${entry.time}.${at}`} entry={entry} />)}
      </ol>
    </>
  );
}

function Entry({ entry }: { entry: TimelineEntry }) {
  const { t } = useTranslation();
  const why = useWhy();
  const [shape, meaning] = signs[entry.what] ?? ["recorded", "ink"];
  const person = entry.person ?? undefined;
  const said = Object.hasOwn(en.happened, entry.what) ? t(`happened.${entry.what as keyof typeof en.happened}`) : visible(entry.what.replace(/[-_]/g, " "));
  return (
    <li>
      <At time={entry.time} />
      <span className={`mean m-${meaning}`}>
        {person === undefined ? <Shape name={shape} /> : <UserOutlined aria-hidden />}
        <span>{said}</span>
      </span>
      <span className="what">
        {entry.host !== undefined && entry.host !== null && <HostName id={entry.host} name={entry.host_name ?? ""} />}
        {entry.place !== undefined && entry.place !== null && (
          <span className="code" title={visible(entry.place)}><HostText text={shortPath(entry.place, 64)} /></span>
        )}
        {entry.why !== undefined && entry.why !== null && (
          <span className="second">{entry.what === "decided" && Object.hasOwn(en.disposition, entry.why) ? t(`disposition.${entry.why as keyof typeof en.disposition}`) : why(entry.why)}</span>
        )}
        {entry.note !== undefined && entry.note !== null && <q><bdi>{visible(entry.note)}</bdi></q>}
        <span className="quiet">{person === undefined ? t("credential.byAgents") : <bdi>{visible(person)}</bdi>}</span>
      </span>
    </li>
  );
}

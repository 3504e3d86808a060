// What is watched on this host and how well: a row a source, and each thing not read with its reason.
import { useTranslation } from "react-i18next";

import type { Coverage as Stated, SetAside, SourceCoverage } from "../../api/types";
import { Coverage } from "../../parts/Badges";
import { HostText } from "../../parts/HostText";
import { grouped } from "../../parts/numbers";
import { shortPath, visible } from "../../parts/places";
import { Empty, Partial } from "../../parts/States";
import { Ago, useTimeWords } from "../../parts/Time";
import { useWhy } from "../../parts/why";
import { en } from "../../words/en";

export function HostCoverage({ coverage }: { coverage: Stated | undefined }) {
  const { t } = useTranslation();
  if (coverage === undefined) return <Empty>{t("empty.coverage")}</Empty>;
  return (
    <div>
      <div className="scroll-x" tabIndex={0} role="region" aria-label={t("host.coverage")}>
        <table className="plain-table">
          <thead>
            <tr>
              <th>{t("column.source")}</th><th>{t("column.mechanism")}</th><th>{t("column.verified")}</th>
              <th className="end">{t("column.read")}</th><th className="end">{t("column.waiting")}</th><th>{t("column.stateWhy")}</th>
            </tr>
          </thead>
          <tbody>{coverage.sources.map((source) => <SourceRow key={source.source} source={source} />)}</tbody>
        </table>
      </div>
      {(coverage.set_aside ?? []).length > 0 && <SetAsides asides={coverage.set_aside ?? []} />}
      {(coverage.missing_walls ?? []).length > 0 && (
        <div style={{ padding: 16 }}><Partial>{t("partial.walls", { names: (coverage.missing_walls ?? []).map((wall) => visible(wall)).join(", ") })}</Partial></div>
      )}
    </div>
  );
}

/** What cost too much, by name: it is unknown until it is tried again. */
function SetAsides({ asides }: { asides: SetAside[] }) {
  const { t } = useTranslation();
  const why = useWhy();
  const words = useTimeWords();
  const kind = (word: string) => (Object.hasOwn(en.setAsideKind, word) ? t(`setAsideKind.${word as keyof typeof en.setAsideKind}`) : visible(word));
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t("host.setAside")} style={{ padding: 16 }}>
      <p className="strong">{t("host.setAside")}</p>
      <p className="second">{t("host.setAsideMeans")}</p>
      <table className="plain-table">
        <tbody>
          {asides.map((aside) => (
            <tr key={`${aside.kind} ${aside.name}`}>
              <td>{kind(aside.kind)}</td>
              <td className="code" title={visible(aside.name)}><HostText text={shortPath(aside.name, 60)} /></td>
              <td className="m-unknown">{why(aside.why)}</td>
              <td className="second">{aside.until === undefined || aside.until === null ? t("host.setAsideRule") : t("host.setAsideUntil", { time: words.short(aside.until), n: aside.times ?? 1 })}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SourceRow({ source }: { source: SourceCoverage }) {
  const { t } = useTranslation();
  const why = useWhy();
  const name = Object.hasOwn(en.source, source.source) ? t(`source.${source.source as keyof typeof en.source}`) : visible(source.source);
  const waiting = source.waiting ?? 0;
  return (
    <tr>
      <td className="strong">{name}</td>
      <td className="code">{visible(source.mechanism)}</td>
      <td><Ago time={source.last_verified} /></td>
      <td className="end number">{grouped(source.read)}</td>
      <td className={`end number${waiting > 0 ? " m-unknown" : ""}`}>{grouped(waiting)}</td>
      <td>
        <div className="stack" style={{ gap: 4 }}>
          <Coverage covered={source.covered} />
          {(source.not_read ?? []).map((reason) => (
            <span key={reason.why} className="m-unknown">
              {t("host.notRead", { n: reason.count, why: why(reason.why) })}
              {reason.example !== undefined && reason.example !== null && (
                <span className="second"> · {t("host.example")} <span className="code" title={visible(reason.example)}><HostText text={shortPath(reason.example, 40)} /></span></span>
              )}
            </span>
          ))}
          {(source.overflowed ?? 0) > 0 && <span className="second">{t("host.overflows", { n: source.overflowed ?? 0 })}</span>}
          {(source.raced ?? 0) > 0 && <span className="second">{t("host.raced", { n: source.raced ?? 0 })}</span>}
        </div>
      </td>
    </tr>
  );
}

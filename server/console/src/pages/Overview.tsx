// Monday's answer in one screen: what alarms, what is open, what we do not know, is it getting
// better, where to begin. Every number leads to the rows that it counts.
import { Button } from "antd";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useEvents, useLive } from "../api/events";
import { ask } from "../api/queries";
import type { Overview, Verdict as Judgement } from "../api/types";
import { verdictMeaning } from "../parts/Badges";
import { knownHosts, NoHosts } from "../parts/Gaps";
import { badShare, barWidths, goodShare, grouped } from "../parts/numbers";
import { Page, Panel } from "../parts/Page";
import { PresenceBar } from "../parts/Presence";
import { Meaning, Shape } from "../parts/Shape";
import { Failed, Guard, Loading, Partial } from "../parts/States";
import { useNow, useTimeWords } from "../parts/Time";
import { Alarms } from "./overview/Alarms";
import { TopCredentials, TopHosts } from "./overview/Tops";

const DaysChart = lazy(() => import("./overview/DaysChart"));

export function OverviewPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const overview = useQuery(ask.overview());
  const words = useTimeWords();
  const now = useNow();
  const live = useLive();
  useRefreshOnEvents(() => void overview.refetch());
  const data = overview.data;
  // While the stream is up, what did not change is still true; without it, old is not known.
  const stale = live.state !== "live" && now - overview.dataUpdatedAt > 60_000;
  return (
    <Page
      title={t("page.overview")}
      windowTitle={t("page.overview")}
      actions={data === undefined ? null : (
        <>
          <span className={stale ? "m-unknown" : "quiet"}>{t("time.asOf", { time: words.short(data.time) })}</span>
          {data.top_credentials.length > 0 && <Button type="primary" onClick={() => void navigate({ to: "/credentials" })}>{t("overview.start")}</Button>}
        </>
      )}
    >
      {overview.isPending && <Loading rows={10} />}
      {overview.isError && <Failed fault={overview.error} retry={() => void overview.refetch()} />}
      {data !== undefined && (knownHosts(data) === 0 && data.hosts.retired === 0 ? <div className="panel"><NoHosts /></div> : <Answer data={data} />)}
    </Page>
  );
}

/** Asks again when something changed, at most once in two seconds; while the pointer rests on a list,
 * only when it has left. */
function useRefreshOnEvents(refresh: () => void): void {
  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined);
  const last = useRef(0);
  useEvents(() => {
    if (waiting.current !== undefined) return;
    const again = () => {
      if (document.querySelector(".table-wrap:hover") !== null) {
        waiting.current = setTimeout(again, 1000);
        return;
      }
      waiting.current = undefined;
      last.current = Date.now();
      refresh();
    };
    waiting.current = setTimeout(again, Math.max(0, last.current + 2000 - Date.now()));
  });
}

function Answer({ data }: { data: Overview }) {
  const { t } = useTranslation();
  return (
    <>
      {data.waiting > 0 && <Partial>{t("empty.firstScan", { n: data.waiting, hosts: knownHosts(data) })}</Partial>}
      <Alarms data={data} />
      <div className="grid">
        <div className="c4"><Open data={data} /></div>
        <div className="c4"><NotKnown data={data} /></div>
        <div className="c4"><Better data={data} /></div>
        <div className="c12">
          <Guard>
            <Suspense fallback={<Loading rows={6} />}><DaysChart days={data.days} /></Suspense>
          </Guard>
        </div>
        <div className="c12"><TopCredentials rows={data.top_credentials} /></div>
        <div className="c12"><TopHosts rows={data.top_hosts} /></div>
      </div>
    </>
  );
}

const bands = ["critical", "high", "medium", "low", "recorded"] as const;
const ranges = { critical: "90..", high: "70..89", medium: "40..69", low: "1..39", recorded: "0..0" } as const;

function Open({ data }: { data: Overview }) {
  const { t } = useTranslation();
  const counts = bands.map((band) => data.bands[band] ?? 0);
  const total = Object.entries(data.verdicts).reduce((sum, [verdict, n]) => sum + (verdict === "closed" ? 0 : n), 0);
  const widths = barWidths(counts);
  const verdicts = Object.entries(data.verdicts).filter(([verdict, n]) => n > 0 && verdict !== "closed");
  return (
    <Panel title={t("overview.open")} className="fill">
      <div className="stack">
        <Link className="figure" to="/credentials" aria-label={t("count.openCredentials", { n: total })}>{grouped(total)}</Link>
        <span className="bar tall" aria-hidden="true">
          {bands.map((band, at) => (counts[at] ?? 0) > 0 && <i key={band} className={band} style={{ width: `${widths[at] ?? 0}%` }} />)}
        </span>
        <div className="row" style={{ gap: "4px 16px" }}>
          {bands.map((band, at) => (counts[at] ?? 0) > 0 && (
            <Link key={band} to="/credentials" search={{ score: ranges[band] }}>
              <Meaning meaning={band} shape={band}>{grouped(counts[at] ?? 0)} {t(`band.${band}`)}</Meaning>
            </Link>
          ))}
        </div>
        <div className="row" style={{ gap: "4px 16px" }}>
          {verdicts.map(([verdict, n]) => {
            const [meaning, shape] = verdict === "exposed" ? (["ink", "present"] as const) : verdictMeaning(verdict as Judgement, 0);
            return (
              <Link key={verdict} to="/credentials" search={{ verdict }}>
                <Meaning meaning={meaning} shape={shape}>{grouped(n)} {t(`verdict.${verdict as Judgement}`)}</Meaning>
              </Link>
            );
          })}
        </div>
      </div>
    </Panel>
  );
}

function NotKnown({ data }: { data: Overview }) {
  const { t } = useTranslation();
  const { present, unknown, gone } = data.places;
  const total = present + unknown + gone;
  const known = knownHosts(data);
  const lines: Array<[boolean, ReactNode]> = [
    [unknown > 0, <Link key="p" to="/findings" search={{ presence: "unknown" }}>{t("join.aside", { text: t("overview.placesUnknown", { n: unknown, total }), aside: badShare(unknown, total) })}</Link>],
    [data.hosts.silent > 0, <Link key="s" to="/hosts" search={{ state: "silent" }}>{t("overview.hostsSilent", { n: data.hosts.silent })}</Link>],
    [data.hosts.pending > 0, <Link key="w" to="/hosts" search={{ state: "pending" }}>{t("overview.hostsPending", { n: data.hosts.pending })}</Link>],
    [data.coverage.partly > 0, <Link key="c" to="/hosts" search={{ covered: "partly" }}>{t("overview.hostsPartly", { n: data.coverage.partly })}</Link>],
    [data.waiting > 0, <span key="r">{t("overview.waiting", { n: data.waiting })}</span>],
  ];
  const shown = lines.filter(([some]) => some);
  const whole = data.coverage.whole;
  const widths = barWidths([whole, data.coverage.partly, data.coverage.unknown]);
  return (
    <Panel title={t("overview.unknown")} className="fill">
      <div className="stack">
        <Link className="figure" to="/hosts" search={{ covered: "partly,unknown" }}>{grouped(known - whole)}</Link>
        <span className="bar tall" aria-hidden="true">
          {whole > 0 && <i className="whole" style={{ width: `${widths[0] ?? 0}%` }} />}
          {data.coverage.partly > 0 && <i className="partly" style={{ width: `${widths[1] ?? 0}%` }} />}
          {data.coverage.unknown > 0 && <i className="unknown" style={{ width: `${widths[2] ?? 0}%` }} />}
        </span>
        <p className="second">{t("overview.coverage", { percent: goodShare(whole, known), n: known })}</p>
        {shown.length === 0 ? <p>{t("overview.allRead")}</p> : shown.map(([, line], at) => (
          <p key={at} className="m-unknown"><span className="mean" style={{ whiteSpace: "normal" }}><Shape name="unknown" /><span>{line}</span></span></p>
        ))}
      </div>
    </Panel>
  );
}

function Better({ data }: { data: Overview }) {
  const { t } = useTranslation();
  const sum = (key: "new" | "gone") => data.days.reduce((all, day) => all + day[key], 0);
  return (
    <Panel title={t("overview.better")} className="fill">
      <div className="stack">
        <p className="figure">
          <Link to="/findings" search={{ since: `${Math.max(1, data.days.length)}d`, presence: "present,unknown,gone" }}>{sum("new") > 0 && "+"}{grouped(sum("new"))}</Link>
          <span className="quiet"> / </span>
          <Link to="/findings" search={{ presence: "gone" }}>{sum("gone") > 0 && "−"}{grouped(sum("gone"))}</Link>
        </p>
        <PresenceBar places={data.places} numbers={false} tall />
        <p className="second">{t("overview.newGone", { new: sum("new"), gone: sum("gone"), days: Math.max(1, data.days.length) })}</p>
        <p>{t("overview.inPlaces", { ...data.places })}</p>
        {data.references > 0 && <p><Link to="/findings" search={{ kind: "reference" }}>{t("overview.references", { n: data.references })}</Link></p>}
      </div>
    </Panel>
  );
}

// The incident page of one credential. Is it bad? Where is it, since when, who can read it? What
// happened? It follows live events at once: here nothing is pointed at that could move away.
import { Button, Tabs } from "antd";
import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { useEvents } from "../api/events";
import { ask } from "../api/queries";
import type { CredentialDetail } from "../api/types";
import { useCopy } from "../parts/Copy";
import { useCredentialName } from "../parts/CredentialName";
import { neighbours, rememberedList, rememberOpened } from "../parts/memory";
import { grouped } from "../parts/numbers";
import { Page } from "../parts/Page";
import { shellQuoted } from "../address/address";
import { Failed, Loading } from "../parts/States";
import { Decisions } from "./credential/Decisions";
import { CredentialFacts } from "./credential/CredentialFacts";
import { Radius } from "./credential/Radius";
import { ScoreLines } from "./credential/ScoreLines";
import { Timeline } from "./credential/Timeline";
import { VerdictPanel } from "./credential/VerdictPanel";

const tabs = ["radius", "timeline", "score"] as const;
type Tab = (typeof tabs)[number];

export function CredentialPage() {
  const { t } = useTranslation();
  const params = useParams({ strict: false });
  const reference = params.ref ?? "";
  const answer = useQuery(ask.credential(reference));
  const cache = useQueryClient();
  const nameOf = useCredentialName();
  useEvents((event) => {
    const ours = event.event === "reload"
      || (event.event === "findings" && event.credentials.includes(reference))
      || (event.event === "credential" && event.credential === reference)
      || (event.event === "host" && (answer.data?.places.some((place) => place.host === event.host) ?? false));
    if (ours) void cache.invalidateQueries({ queryKey: ["credential", reference] });
  });
  const data = answer.data;
  const go = useNeighbours(reference);
  const setTab = useTab(reference);
  const windowTitle = data === undefined ? t("column.credential") : `${nameOf(data.credential)} · ${t(`verdict.${data.credential.verdict}`)}`;
  return (
    <Page
      back={<BackLink />}
      windowTitle={windowTitle}
      head={<Place reference={reference} go={go} />}
      actions={data === undefined ? null : <Commands data={data} />}
      keys={{ back: go.back, previous: go.previous, next: go.next, tab: (number) => { const tab = tabs[number - 1]; if (tab !== undefined) setTab(tab); } }}
    >
      {answer.isPending && <Loading rows={10} />}
      {answer.isError && <Failed fault={answer.error} retry={() => void answer.refetch()} thing="credential" />}
      {data !== undefined && <Body data={data} tab={tabs.includes(params.tab as Tab) ? (params.tab as Tab) : "radius"} setTab={setTab} />}
    </Page>
  );
}

function Body({ data, tab, setTab }: { data: CredentialDetail; tab: Tab; setTab: (tab: Tab) => void }) {
  const { t } = useTranslation();
  const { places } = data.credential;
  const total = places.present + places.unknown + places.gone;
  return (
    <>
      <VerdictPanel data={data} openScore={() => setTab("score")} />
      <div className="with-facts">
        <CredentialFacts data={data} />
        <div className="panel main">
          <Tabs
            activeKey={tab}
            onChange={(key) => setTab(key as Tab)}
            tabBarStyle={{ paddingInline: 16, marginBottom: 0 }}
            items={[
              { key: "radius", label: `${t("credential.radius")} ${grouped(total)}`, children: <Radius data={data} /> },
              { key: "timeline", label: `${t("credential.timeline")} ${grouped(data.timeline.length)}`, children: <Timeline entries={data.timeline} /> },
              { key: "score", label: t("credential.score", { n: data.score.value }), children: <ScoreLines score={data.score} /> },
            ]}
          />
        </div>
      </div>
    </>
  );
}

function BackLink() {
  const { t } = useTranslation();
  const list = rememberedList("credentials");
  return <Link to="/credentials" search={list?.address ?? {}}>← {t("credential.back")}</Link>;
}

function Place({ reference, go }: { reference: string; go: ReturnType<typeof useNeighbours> }) {
  const { t } = useTranslation();
  const here = neighbours("credentials", reference);
  if (here === undefined) return null;
  return (
    <span className="row">
      <span className="quiet number">{here.at} / {here.of}</span>
      <Button size="small" type="text" icon={<LeftOutlined aria-hidden />} aria-label={t("credential.prev")} title={t("credential.prev")} disabled={go.previous === undefined} onClick={go.previous} />
      <Button size="small" type="text" icon={<RightOutlined aria-hidden />} aria-label={t("credential.next")} title={t("credential.next")} disabled={go.next === undefined} onClick={go.next} />
    </span>
  );
}

function Commands({ data }: { data: CredentialDetail }) {
  const { t } = useTranslation();
  const copy = useCopy();
  return (
    <>
      <Button type="text" onClick={() => copy(window.location.href, t("copy.linkDone"))}>{t("copy.link")}</Button>
      <Button type="text" className="wide-only" onClick={() => copy(`akwatch credential show ${shellQuoted(data.credential.ref)}`, t("copy.commandDone"))}>{t("copy.command")}</Button>
      <Decisions data={data} />
    </>
  );
}

function useTab(reference: string): (tab: Tab) => void {
  const navigate = useNavigate();
  return (tab) => void navigate({
    to: "/credentials/$ref/{-$tab}", params: { ref: reference, tab: tab === "radius" ? undefined : tab },
    search: (old) => old, replace: true, resetScroll: false,
  });
}

function useNeighbours(reference: string) {
  const navigate = useNavigate();
  const here = neighbours("credentials", reference);
  const to = (ref: string | undefined) => (ref === undefined ? undefined : () => {
    rememberOpened("credentials", ref);
    void navigate({ to: "/credentials/$ref/{-$tab}", params: { ref, tab: undefined } });
  });
  return {
    back: () => void navigate({ to: "/credentials", search: rememberedList("credentials")?.address ?? {} }),
    previous: to(here?.previous),
    next: to(here?.next),
  };
}

// One host. Can I trust what it says, what lies there, what does the agent cost?
import { App, Button, Tabs } from "antd";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useEvents } from "../api/events";
import { ask, tell } from "../api/queries";
import type { HostDetail } from "../api/types";
import { Coverage, HostState, Score } from "../parts/Badges";
import { HostText, Labels } from "../parts/HostText";
import { neighbours, rememberedList, rememberOpened } from "../parts/memory";
import { grouped } from "../parts/numbers";
import { Page } from "../parts/Page";
import { visible } from "../parts/places";
import { Failed, Loading } from "../parts/States";
import { Ago } from "../parts/Time";
import { ScoreLines } from "./credential/ScoreLines";
import { HostCost } from "./host/HostCost";
import { HostCoverage } from "./host/HostCoverage";
import { HostFindings } from "./host/HostFindings";
import { HostNotices } from "./host/HostNotices";
import { HostPlatform } from "./host/HostPlatform";
import { PauseHosts } from "./host/PauseHosts";

const tabs = ["coverage", "findings", "cost", "platform", "score"] as const;
type Tab = (typeof tabs)[number];

export function HostPage() {
  const { t } = useTranslation();
  const params = useParams({ strict: false });
  const id = params.id ?? "";
  const answer = useQuery(ask.host(id));
  const cache = useQueryClient();
  const navigate = useNavigate();
  useEvents((event) => {
    const ours = event.event === "reload" || ("host" in event && event.host === id);
    if (!ours) return;
    void cache.invalidateQueries({ queryKey: ["host", id] });
    void cache.invalidateQueries({ queryKey: ["findings"] });
  });
  const data = answer.data;
  const here = neighbours("hosts", id);
  const open = (to: string | undefined) => (to === undefined ? undefined : () => {
    rememberOpened("hosts", to);
    void navigate({ to: "/hosts/$id/{-$tab}", params: { id: to, tab: undefined } });
  });
  const setTab = (tab: Tab) => void navigate({
    to: "/hosts/$id/{-$tab}", params: { id, tab: tab === "coverage" ? undefined : tab }, search: (old) => old, replace: true, resetScroll: false,
  });
  const back = () => void navigate({ to: "/hosts", search: rememberedList("hosts")?.address ?? {} });
  return (
    <Page
      back={<Link to="/hosts" search={rememberedList("hosts")?.address ?? {}}>← {t("host.back")}</Link>}
      windowTitle={data === undefined ? t("column.host") : `${visible(data.host.name)} · ${t(`hostState.${data.host.state}`)}`}
      actions={data === undefined ? null : <Actions data={data} />}
      keys={{ back, previous: open(here?.previous), next: open(here?.next), tab: (number) => { const tab = tabs[number - 1]; if (tab !== undefined) setTab(tab); } }}
    >
      {answer.isPending && <Loading rows={10} />}
      {answer.isError && <Failed fault={answer.error} retry={() => void answer.refetch()} thing="host" />}
      {data !== undefined && <Body data={data} tab={tabs.includes(params.tab as Tab) ? (params.tab as Tab) : "coverage"} setTab={setTab} />}
    </Page>
  );
}

function Body({ data, tab, setTab }: { data: HostDetail; tab: Tab; setTab: (tab: Tab) => void }) {
  const { t } = useTranslation();
  const { host } = data;
  const total = host.places.present + host.places.unknown + host.places.gone;
  return (
    <>
      <HostNotices data={data} />
      <Head data={data} />
      <div className="panel">
        <Tabs
          activeKey={tab}
          onChange={(key) => setTab(key as Tab)}
          tabBarStyle={{ paddingInline: 16, marginBottom: 0 }}
          items={[
            { key: "coverage", label: t("host.coverage"), children: <HostCoverage coverage={data.coverage ?? undefined} /> },
            { key: "findings", label: `${t("host.findings")} ${grouped(total)}`, children: <HostFindings data={data} /> },
            { key: "cost", label: t("host.cost"), children: <HostCost data={data} /> },
            { key: "platform", label: t("host.platform"), children: <HostPlatform data={data} /> },
            { key: "score", label: t("host.score", { n: data.score.value }), children: <ScoreLines score={data.score} /> },
          ]}
        />
      </div>
    </>
  );
}

function Head({ data }: { data: HostDetail }) {
  const { t } = useTranslation();
  const { host } = data;
  const short = data.coverage?.sources.filter((source) => source.covered !== "whole").length ?? 0;
  return (
    <section className="panel" style={{ padding: 16, marginBottom: 16 }}>
      <div className="row spread start">
        <div className="stack grow">
          <div className="row" style={{ gap: 16 }}>
            <h1 className="cut" style={{ maxWidth: 480 }} title={t("host.claimedHint")}><HostText text={host.name} /></h1>
            <HostState state={host.state} />
            {data.facts.ephemeral && <span className="second" title={t("host.ephemeralHint")}>{t("host.ephemeral")}</span>}
            <span className="second">{t("column.heard")} <Ago time={host.last_heard} /></span>
            {Object.keys(host.labels).length > 0 && <Labels labels={host.labels} />}
          </div>
          <p>
            <span className="strong">{t("host.open", { n: host.credentials, places: host.places.present + host.places.unknown })}</span>
            {host.places.unknown > 0 && <span className="m-unknown"> · {t("count.unknownPlaces", { n: host.places.unknown })}</span>}
          </p>
          <p className="row" style={{ gap: 8 }}>
            <Coverage covered={host.covered} host />
            {data.coverage !== undefined && data.coverage !== null && <span className="second">{short === 0 ? t("host.sourcesWhole") : t("host.sources", { n: short })}</span>}
            <span className="second"><HostText text={[host.os, data.facts.architecture, host.agent === "" ? "" : `agent ${host.agent}`].filter((word) => word !== "").join(" · ")} /></span>
          </p>
        </div>
        <Score value={host.score} word big />
      </div>
    </section>
  );
}

function Actions({ data }: { data: HostDetail }) {
  const { t } = useTranslation();
  const { message, modal } = App.useApp();
  const cache = useQueryClient();
  const me = useQuery(ask.me());
  const [pausing, setPausing] = useState(false);
  const done = () => void cache.invalidateQueries({ queryKey: ["host", data.host.id] });
  const failed = (fault: Error) => void message.error(fault.message);
  const rescan = useMutation({ mutationFn: () => tell.rescan(data.host.id), onSuccess: () => { void message.success(t("host.rescanned")); done(); }, onError: failed });
  const retire = useMutation({
    mutationFn: () => tell.retire(data.host.id),
    onSuccess: () => { void message.success(t("host.retired", { name: visible(data.host.name) })); done(); },
    onError: failed,
  });
  const may = me.data?.role === "responder" || me.data?.role === "admin";
  if (!may || data.host.state === "retired") return null;
  const { present, unknown } = data.host.places;
  const askRetire = () => modal.confirm({
    title: t("host.retireAsk", { name: visible(data.host.name), n: present + unknown }),
    okText: t("host.retireDo"), cancelText: t("host.cancel"), okButtonProps: { danger: true }, autoFocusButton: "cancel",
    onOk: () => retire.mutateAsync().catch(() => undefined),
  });
  return (
    <>
      <Button type="text" onClick={askRetire}>{t("host.retire")}</Button>
      <Button onClick={() => setPausing(true)}>{t(data.coverage?.rung === "paused" ? "pause.openPaused" : "pause.open")}</Button>
      <PauseHosts host={data.host} open={pausing} close={() => setPausing(false)} />
      <Button type="primary" loading={rescan.isPending} onClick={() => rescan.mutate()}>{t("host.rescan")}</Button>
    </>
  );
}

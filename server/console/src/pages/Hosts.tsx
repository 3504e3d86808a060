// Which machines are exposed, and which do we not see?
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { useAddress } from "../address/useAddress";
import { ask } from "../api/queries";
import type { HostRow } from "../api/types";
import { Coverage, HostState, Score } from "../parts/Badges";
import { useChoices } from "../parts/choices";
import type { Column } from "../parts/DataTable";
import { NoHosts } from "../parts/Gaps";
import { HostText, Labels } from "../parts/HostText";
import { ListPage } from "../parts/ListPage";
import { grouped } from "../parts/numbers";
import { visible } from "../parts/places";
import { Ago } from "../parts/Time";
import { PauseHosts } from "./host/PauseHosts";

export function Hosts() {
  const { t } = useTranslation();
  const [address] = useAddress();
  const navigate = useNavigate();
  const choices = useChoices();
  const columns = useHostColumns();
  const { state, q, covered, sort } = address;
  const me = useQuery(ask.me());
  const [pausing, setPausing] = useState(false);
  const may = me.data?.role === "responder" || me.data?.role === "admin";
  const pause = may ? <><Button type="text" onClick={() => setPausing(true)}>{t("pause.openLabels")}</Button><PauseHosts open={pausing} close={() => setPausing(false)} /></> : null;
  return (
    <ListPage<HostRow>
      noun="hosts"
      title={t("page.hosts")}
      question={ask.hosts({ state, q, covered, sort })}
      columns={columns}
      filters={[choices.hostText, choices.state, choices.covered]}
      actions={pause}
      defaultSort="-score"
      rowKey={(row) => row.id}
      onOpen={(row) => void navigate({ to: "/hosts/$id/{-$tab}", params: { id: row.id, tab: undefined } })}
      countWords={(n) => t("count.hosts", { n })}
      touched={(event) => (event.event === "host" || event.event === "findings" ? [event.host] : [])}
      empty={<NoHosts />}
    />
  );
}

/** The name that a host claims, as a link to its page. */
export function HostName({ id, name }: { id: string; name: string }) {
  const { t } = useTranslation();
  const shown = visible(name) === "" ? id.slice(0, 8) : name;
  return (
    <span className="identity">
      <Link className="cut" to="/hosts/$id/{-$tab}" params={{ id, tab: undefined }} title={`${visible(shown)} · ${t("host.claimedHint")}`} onClick={(event) => event.stopPropagation()}>
        <HostText text={shown} />
      </Link>
    </span>
  );
}

/** The columns, also for the short list of the overview. */
export function useHostColumns(): Array<Column<HostRow>> {
  const { t } = useTranslation();
  return [
    { key: "score", title: t("column.score"), width: 78, sort: "-score", render: (row) => <Score value={row.score} /> },
    { key: "host", title: t("column.host"), sort: "name", render: (row) => <HostName id={row.id} name={row.name} /> },
    { key: "state", title: t("column.state"), width: 104, render: (row) => <HostState state={row.state} /> },
    { key: "coverage", title: t("column.coverage"), width: 124, render: (row) => <Coverage covered={row.covered} host /> },
    { key: "open", title: t("column.open"), width: 138, end: true, sort: "-open", render: (row) => <span className="number">{grouped(row.credentials)}</span> },
    {
      key: "unknown", title: t("column.notVerified"), width: 110, end: true,
      render: (row) => <span className={`number${row.places.unknown > 0 ? " m-unknown" : ""}`}>{grouped(row.places.unknown)}</span>,
    },
    { key: "labels", title: t("column.labels"), width: 190, render: (row) => <Labels labels={row.labels} line /> },
    { key: "os", title: t("column.os"), width: 150, render: (row) => <HostText text={row.os} cut /> },
    { key: "agent", title: t("column.agent"), width: 130, render: (row) => <HostText text={[row.agent, row.rules].filter((word) => word !== "").join(" · ")} cut /> },
    { key: "heard", title: t("column.heard"), width: 112, sort: "-last_heard", render: (row) => <Ago time={row.last_heard} /> },
  ];
}

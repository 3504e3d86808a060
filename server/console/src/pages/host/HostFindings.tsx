// What lies on this host: its findings, present before unknown before gone by score, with the way to
// the full list and its filters.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { ask } from "../../api/queries";
import type { FindingRow, HostDetail } from "../../api/types";
import { Confidence, Score } from "../../parts/Badges";
import { CredentialName } from "../../parts/CredentialName";
import { DataTable } from "../../parts/DataTable";
import { Place, Reach } from "../../parts/Place";
import { causeOf } from "../../parts/places";
import { Presence } from "../../parts/Presence";
import { Empty, Failed, Loading } from "../../parts/States";
import { Ago } from "../../parts/Time";

export function HostFindings({ data }: { data: HostDetail }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const all = "present,unknown,gone";
  const answer = useInfiniteQuery(ask.findings({ host: data.host.id, presence: all }));
  if (answer.isPending) return <Loading />;
  if (answer.isError) return <Failed fault={answer.error} retry={() => void answer.refetch()} />;
  const rows = answer.data.pages.flatMap((page) => page.rows);
  const total = answer.data.pages[0]?.total ?? 0;
  if (rows.length === 0) return <Empty>{t(data.host.covered === "whole" ? "empty.hostFindings" : "empty.hostFindingsGaps")}</Empty>;
  return (
    <DataTable<FindingRow>
      label={t("host.findings")}
      rows={rows.slice(0, 200)}
      sticky={false}
      rowKey={(row) => row.ref}
      onOpen={(row) => void navigate({ to: "/credentials/$ref/{-$tab}", params: { ref: row.credential, tab: undefined } })}
      columns={[
        { key: "score", title: t("column.score"), width: 78, render: (row) => <Score value={row.score} /> },
        { key: "presence", title: t("column.presence"), width: 220, render: (row) => <Presence presence={row.presence} returns={row.returns} full /> },
        { key: "credential", title: t("column.credential"), width: 160, render: (row) => <CredentialName named={row} reference={row.credential} kind={false} short /> },
        { key: "location", title: t("column.location"), render: (row) => <Place location={row.location} cause={causeOf(row)} /> },
        { key: "confidence", title: t("column.confidence"), width: 120, render: (row) => <Confidence confidence={row.confidence} kind={row.kind} /> },
        { key: "reach", title: t("column.reach"), width: 120, render: (row) => <Reach reach={row.reach} location={row.location} /> },
        { key: "verified", title: t("column.verified"), width: 120, render: (row) => <Ago time={row.last_verified} /> },
      ]}
      foot={
        <>
          <Link to="/findings" search={{ host: data.host.id, presence: all }}>{t("partial.truncatedLink")}</Link>
          <span className="number second">{t("count.range", { from: 1, to: Math.min(rows.length, 200), total })}</span>
        </>
      }
    />
  );
}

// Where to begin: the most exposed credentials and hosts, eight of each.
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import type { CredentialRow, HostRow } from "../../api/types";
import { DataTable } from "../../parts/DataTable";
import { EmptyList } from "../../parts/Gaps";
import { Panel } from "../../parts/Page";
import { useCredentialColumns } from "../Credentials";
import { useHostColumns } from "../Hosts";

const MOST = 8;
const unsorted = <Column extends { sort?: string }>(columns: Column[]) => columns.map((column) => ({ ...column, sort: undefined }));

export function TopCredentials({ rows }: { rows: CredentialRow[] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const columns = unsorted(useCredentialColumns());
  return (
    <Panel bare title={t("overview.topCredentials")} extra={<Link to="/credentials">{t("overview.allCredentials")}</Link>}>
      {rows.length === 0 ? <EmptyList whole="credentialsWhole" gaps="credentialsGaps" /> : (
        <DataTable
          label={t("overview.topCredentials")}
          rows={rows.slice(0, MOST)}
          columns={columns}
          rowKey={(row) => row.ref}
          sticky={false}
          onOpen={(row) => void navigate({ to: "/credentials/$ref/{-$tab}", params: { ref: row.ref, tab: undefined } })}
        />
      )}
    </Panel>
  );
}

export function TopHosts({ rows: all }: { rows: HostRow[] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const columns = unsorted(useHostColumns());
  const rows = all.filter((row) => row.score > 0 || row.credentials > 0);
  if (rows.length === 0) return null;
  return (
    <Panel bare title={t("overview.topHosts")} extra={<Link to="/hosts">{t("overview.allHosts")}</Link>}>
      <DataTable
        label={t("overview.topHosts")}
        rows={rows.slice(0, MOST)}
        columns={columns}
        rowKey={(row) => row.id}
        sticky={false}
        onOpen={(row) => void navigate({ to: "/hosts/$id/{-$tab}", params: { id: row.id, tab: undefined } })}
      />
    </Panel>
  );
}

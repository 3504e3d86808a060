// One row a place, for those who fix files and hunt noise. The opened row stands in the address.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Button, Drawer, Dropdown } from "antd";
import { useTranslation } from "react-i18next";

import { DownOutlined } from "@ant-design/icons";

import { sinceInstant, writeAddress } from "../address/address";
import { useAddress } from "../address/useAddress";
import { ask } from "../api/queries";
import type { FindingRow } from "../api/types";
import { Confidence, Score } from "../parts/Badges";
import { CredentialName } from "../parts/CredentialName";
import { useChoices } from "../parts/choices";
import { EmptyList, HostGaps } from "../parts/Gaps";
import { HostText } from "../parts/HostText";
import { ListPage } from "../parts/ListPage";
import type { Column } from "../parts/DataTable";
import { Place, Reach } from "../parts/Place";
import { causeOf } from "../parts/places";
import { Presence } from "../parts/Presence";
import { Pushed } from "../parts/Pushed";
import { Ago } from "../parts/Time";
import { FindingFacts } from "./finding/FindingFacts";
import { HostName } from "./Hosts";

export function Findings() {
  const { t } = useTranslation();
  const [address, set] = useAddress();
  const choices = useChoices();
  const columns = useFindingColumns();
  const filters = [
    choices.findingText, choices.presence, choices.provider, choices.kind, choices.confidence, choices.type, choices.pushed,
    choices.since, choices.host, choices.credential, choices.rule,
  ];
  const { presence = "present,unknown", provider, kind, confidence, type, pushed, rule, host, credential, q, sort } = address;
  const since = sinceInstant(address["since"], Date.now());
  const question = ask.findings({ presence, provider, kind, confidence, type, pushed, rule, host, credential, q, since, sort });
  const rows = useInfiniteQuery(question).data?.pages.flatMap((page) => page.rows);
  const open = rows?.find((row) => row.ref === address["row"]);
  return (
    <>
      <ListPage<FindingRow>
        noun="findings"
        title={t("page.findings")}
        head={address["presence"] === undefined ? <span className="tag">{t("join.two", { a: t("presence.present"), b: t("presence.unknown") })}</span> : null}
        actions={<Export filter={{ presence, provider, kind, confidence, type, pushed, rule, host, credential, q, since, sort }} />}
        question={question}
        columns={columns}
        filters={filters}
        defaultSort="-score"
        rowKey={(row) => row.ref}
        onOpen={(row) => set({ row: row.ref })}
        countWords={(n) => t("count.places", { n })}
      touched={(event) => (event.event === "findings" ? event.findings : [])}
        above={<HostGaps />}
        empty={<EmptyList whole="findingsWhole" gaps="credentialsGaps" />}
      />
      <Drawer open={open !== undefined} onClose={() => set({ row: undefined })} title={t("finding.title")} size={560} destroyOnHidden>
        {open !== undefined && <FindingFacts finding={open} />}
      </Drawer>
    </>
  );
}

/** What is shown, as a file: the same filters, every row, by the collector's own export. */
function Export({ filter }: { filter: Record<string, string | number | undefined> }) {
  const { t } = useTranslation();
  const address = (format: string) => `/api/v1/export/findings${writeAddress({ ...filter, format })}`;
  const items = [["csv", "CSV"], ["jsonl", "JSON lines"]] as const;
  return (
    <Dropdown trigger={["click"]} menu={{ items: items.map(([key, name]) => ({ key, label: <a href={address(key)} download>{name}</a> })) }}>
      <Button type="text" className="wide-only">{t("copy.export")} <DownOutlined aria-hidden style={{ fontSize: 10 }} /></Button>
    </Dropdown>
  );
}

function useFindingColumns(): Array<Column<FindingRow>> {
  const { t } = useTranslation();
  return [
    { key: "score", title: t("column.score"), width: 74, sort: "-score", render: (row) => <Score value={row.score} /> },
    { key: "presence", title: t("column.presence"), width: 152, render: (row) => <Presence presence={row.presence} returns={row.returns} /> },
    { key: "credential", title: t("column.credential"), width: 146, render: (row) => <CredentialName named={row} reference={row.credential} kind={false} short /> },
    { key: "host", title: t("column.host"), width: 124, sort: "host", render: (row) => <HostName id={row.host} name={row.host_name} /> },
    { key: "location", title: t("column.location"), sort: "path", render: (row) => <Place location={row.location} cause={causeOf(row)} copy={false} /> },
    { key: "git", title: t("git.label"), width: 108, render: (row) => row.git === undefined || row.git === null ? null : <Pushed git={row.git} /> },
    { key: "confidence", title: t("column.confidence"), width: 112, render: (row) => <Confidence confidence={row.confidence} kind={row.kind} /> },
    { key: "reach", title: t("column.reach"), width: 126, render: (row) => <Reach reach={row.reach} location={row.location} /> },
    { key: "rule", title: t("column.rule"), width: 150, wide: true, render: (row) => <HostText text={row.rule} cut /> },
    { key: "why", title: t("column.whyNew"), width: 112, wide: true, render: (row) => t(`whyNew.${row.why_new}`) },
    { key: "first", title: t("column.firstSeen"), width: 112, sort: "-first_seen", render: (row) => <Ago time={row.first_seen} /> },
    { key: "verified", title: t("column.verified"), width: 122, sort: "-last_verified", wide: true, render: (row) => <Ago time={row.last_verified} /> },
  ];
}

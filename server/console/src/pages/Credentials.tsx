// Which key next? Open credentials by score: how bad, whose, how far, what is decided, how old.
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { useAddress } from "../address/useAddress";
import { ask } from "../api/queries";
import type { CredentialRow } from "../api/types";
import { Disposition, Score, Verdict } from "../parts/Badges";
import { CredentialName } from "../parts/CredentialName";
import { useChoices } from "../parts/choices";
import { EmptyList, HostGaps } from "../parts/Gaps";
import { ListPage } from "../parts/ListPage";
import type { Column } from "../parts/DataTable";
import { grouped } from "../parts/numbers";
import { PresenceBar } from "../parts/Presence";
import { Ago } from "../parts/Time";

export function Credentials() {
  const { t } = useTranslation();
  const [address] = useAddress();
  const navigate = useNavigate();
  const choices = useChoices();
  const columns = useCredentialColumns();
  const filters = [choices.verdict, choices.presence, choices.provider, choices.kind, choices.score, choices.host];
  const { verdict = "open", presence, provider, kind, score, host, sort } = address;
  return (
    <ListPage<CredentialRow>
      noun="credentials"
      title={t("page.credentials")}
      head={address["verdict"] === undefined ? <span className="tag">{t("verdict.open")}</span> : null}
      question={ask.credentials({ verdict, presence, provider, kind, score, host, sort })}
      columns={columns}
      filters={filters}
      defaultSort="-score"
      rowKey={(row) => row.ref}
      onOpen={(row) => void navigate({ to: "/credentials/$ref/{-$tab}", params: { ref: row.ref, tab: undefined } })}
      countWords={(n) => t("count.credentials", { n })}
      touched={(event) => (event.event === "findings" ? event.credentials : [])}
      above={<HostGaps />}
      empty={<EmptyList whole="credentialsWhole" gaps="credentialsGaps" />}
    />
  );
}

/** The columns, also for the short list of the overview. */
export function useCredentialColumns(): Array<Column<CredentialRow>> {
  const { t } = useTranslation();
  return [
    { key: "score", title: t("column.score"), width: 78, sort: "-score", render: (row) => <Score value={row.score} /> },
    { key: "credential", title: t("column.credential"), render: (row) => <CredentialName named={row} reference={row.ref} short /> },
    { key: "verdict", title: t("column.verdict"), width: 180, render: (row) => <Verdict verdict={row.verdict} score={row.score} /> },
    {
      key: "places", title: <span title={t("column.placesHint")}>{t("column.places")} <span aria-hidden="true" className="quiet">● ? ✓</span></span>,
      label: `${t("column.places")}: ${t("column.placesHint")}`, width: 200, sort: "-places", render: (row) => <PresenceBar places={row.places} />,
    },
    { key: "hosts", title: t("column.hosts"), width: 84, end: true, sort: "-hosts", render: (row) => <span className="number">{grouped(row.hosts)}</span> },
    { key: "disposition", title: t("column.disposition"), width: 142, render: (row) => <Disposition disposition={row.disposition} /> },
    { key: "first", title: t("column.firstSeen"), width: 118, sort: "first_seen", render: (row) => <Ago time={row.first_seen} /> },
    { key: "last", title: t("column.lastSeen"), width: 118, sort: "-last_seen", render: (row) => <Ago time={row.last_seen} /> },
  ];
}

// The blast radius: every place of the credential, present before unknown before gone, grouped by
// service. What a secret store delivers is folded at the end and counted apart.
import { Segmented } from "antd";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { useAddress } from "../../address/useAddress";
import type { CredentialDetail, FindingRow } from "../../api/types";
import { Confidence } from "../../parts/Badges";
import { HostText } from "../../parts/HostText";
import { Place, Reach } from "../../parts/Place";
import { causeOf, visible } from "../../parts/places";
import { Presence, PresenceCount } from "../../parts/Presence";
import { Pushed } from "../../parts/Pushed";
import { Empty, Partial } from "../../parts/States";
import { Ago } from "../../parts/Time";
import { HostName } from "../Hosts";
import { groupPlaces, type Grouping } from "./groups";

const groupings = ["service", "host", "none"] as const;

export function Radius({ data }: { data: CredentialDetail }) {
  const { t } = useTranslation();
  const [address, set] = useAddress();
  const chosen = groupings.find((each) => each === address["group"]) ?? "service";
  const { places } = data.credential;
  const total = places.present + places.unknown + places.gone;
  if (data.places.length === 0) return <Empty>{t("empty.places")}</Empty>;
  const git = data.places.some((row) => row.git !== undefined && row.git !== null);
  const names: Record<Grouping, string> = { service: t("credential.groupWorkload"), host: t("credential.groupHost"), none: t("credential.groupNone") };
  return (
    <div>
      <div className="row" style={{ padding: "8px 16px" }}>
        <span className="second" id="grouping">{t("credential.group")}</span>
        <Segmented
          size="small"
          aria-labelledby="grouping"
          value={chosen}
          options={groupings.map((value) => ({ value, label: names[value] }))}
          onChange={(value) => set({ group: value === "service" ? undefined : value }, true)}
        />
      </div>
      {data.places.length < total && (
        <Partial>
          {t("partial.truncated", { shown: data.places.length, total })}{" "}
          <Link to="/findings" search={{ credential: data.credential.ref, presence: "present,unknown,gone" }}>{t("partial.truncatedLink")}</Link>
        </Partial>
      )}
      <div className="scroll-x" tabIndex={0} role="region" aria-label={t("credential.radius")}>
        <table className="plain-table radius">
          <thead>
            <tr>
              <th>{t("column.presence")}</th><th>{t("column.host")}</th><th>{t("column.location")}</th>{git && <th>{t("git.label")}</th>}<th>{t("column.reach")}</th>
              <th>{t("column.confidence")}</th><th>{t("column.since")}</th><th>{t("column.verified")}</th><th>{t("column.whyNew")}</th>
            </tr>
          </thead>
          {groupPlaces(data.places, chosen).map((group) => <Group {...group} key={group.key} grouping={chosen} git={git} />)}
        </table>
      </div>
    </div>
  );
}

function Group({ kind, name, rows, grouping, git }: ReturnType<typeof groupPlaces>[number] & { grouping: Grouping; git: boolean }) {
  const { t } = useTranslation();
  const n = (state: FindingRow["state"]) => rows.filter((row) => row.state === state).length;
  const title = kind === "delivered" ? t("credential.delivered") : kind === "rest" ? t("credential.notService") : visible(name);
  return (
    <tbody>
      {(grouping !== "none" || kind === "delivered") && (
        <tr>
          <th scope="rowgroup" colSpan={git ? 9 : 8}>
            <span className="row" style={{ gap: 16 }}>
              <HostText text={title} />
              <PresenceCount state="present" n={n("present")} /><PresenceCount state="unknown" n={n("unknown")} /><PresenceCount state="gone" n={n("gone")} />
            </span>
          </th>
        </tr>
      )}
      {rows.map((row) => (
        <tr key={row.ref} data-row={row.ref} tabIndex={-1}>
          <td className="presence"><Presence presence={row.presence} returns={row.returns} full /></td>
          <td className="host"><HostName id={row.host} name={row.host_name} /></td>
          <td className="where"><Place location={row.location} cause={causeOf(row)} /></td>
          {git && <td>{row.git !== undefined && row.git !== null && <Pushed git={row.git} />}</td>}
          <td><Reach reach={row.reach} location={row.location} /></td>
          <td><Confidence confidence={row.confidence} kind={row.kind} /></td>
          <td><Ago time={"since" in row.presence ? row.presence.since : row.presence.at} /></td>
          <td><Ago time={row.last_verified} /></td>
          <td className="nowrap">{t(`whyNew.${row.why_new}`)}</td>
        </tr>
      ))}
    </tbody>
  );
}

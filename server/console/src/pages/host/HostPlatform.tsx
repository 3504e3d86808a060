// What the host says of itself, and what the collector saw: the two are kept apart.
import { useTranslation } from "react-i18next";

import type { HostDetail } from "../../api/types";
import { HostText, Labels } from "../../parts/HostText";
import { Facts } from "../../parts/Page";
import { At } from "../../parts/Time";

export function HostPlatform({ data }: { data: HostDetail }) {
  const { t } = useTranslation();
  const { facts } = data;
  const text = (value: string | null | undefined) => (value === undefined || value === null || value === "" ? undefined : <HostText text={value} />);
  const cloud = facts.cloud ?? undefined;
  return (
    <div style={{ padding: 16, maxWidth: 720 }}>
      <Facts
        facts={[
          [t("host.hostname"), text(facts.hostname)],
          [t("host.address"), facts.addresses.length === 0 ? undefined : <span key="a" className="number" style={{ whiteSpace: "normal" }}><HostText text={facts.addresses.join(", ")} /></span>],
          [t("host.peer"), text(data.peer)],
          [t("host.os"), text(facts.os)],
          [t("host.kernel"), text(facts.kernel)],
          [t("host.architecture"), text(facts.architecture)],
          [t("host.zone"), text(facts.time_zone)],
          [t("host.agent"), text(facts.agent)],
          [t("host.rules"), text(data.coverage?.rules)],
          [t("host.machine"), facts.machine === "" ? undefined : <span key="m" className="code"><HostText text={facts.machine.slice(0, 16)} />…</span>],
          [t("host.cloud"), cloud === undefined ? undefined : text([cloud.provider, cloud.account, cloud.region, cloud.zone, cloud.instance].filter((word) => word !== "").join(" · "))],
          [t("host.labels"), <Labels key="l" labels={data.host.labels} />],
          [t("host.selfLabels"), <Labels key="s" labels={facts.labels} />],
          [t("host.enrolled"), <At key="e" time={data.enrolled} />],
          [t("host.certificate"), data.certificate_until === undefined || data.certificate_until === null ? undefined : <At key="c" time={data.certificate_until} />],
        ]}
      />
    </div>
  );
}

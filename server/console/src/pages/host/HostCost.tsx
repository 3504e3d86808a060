// What the agent costs this host, as it measured itself since it started.
import { useTranslation } from "react-i18next";

import type { HostDetail } from "../../api/types";
import { badShare, bytes } from "../../parts/numbers";
import { Facts } from "../../parts/Page";
import { Empty } from "../../parts/States";
import { useTimeWords } from "../../parts/Time";

export function HostCost({ data }: { data: HostDetail }) {
  const { t } = useTranslation();
  const words = useTimeWords();
  const cost = data.cost;
  const seconds = cost?.seconds ?? 0;
  if (cost === undefined || seconds === 0) return <Empty>{t("empty.coverage")}</Empty>;
  return (
    <div style={{ padding: 16, maxWidth: 720 }}>
      <Facts
        facts={[
          [t("rung.label"), data.coverage === undefined || data.coverage === null ? undefined : t(`rung.${data.coverage.rung}`)],
          [t("host.cpu"), t("host.cpuValue", { percent: badShare(cost.cpu_ms ?? 0, seconds * 1000) })],
          [t("host.memory"), bytes((cost.peak_rss_kib ?? 0) * 1024)],
          [t("host.network"), bytes(cost.network_bytes ?? 0)],
          [t("host.bytesRead"), bytes(cost.bytes_read ?? 0)],
          [t("host.measured"), t("host.over", { length: words.length(seconds * 1000) })],
        ]}
      />
    </div>
  );
}

// Beside every total its unknown part: how many hosts cannot be vouched for, and, when a list is
// empty, whether that means "nothing found" or "nothing looked".
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { ask } from "../api/queries";
import type { Overview } from "../api/types";
import { Empty, Partial } from "./States";

/** Hosts that are watched or should be: retired ones left out. */
export function knownHosts({ coverage }: Overview): number {
  return coverage.whole + coverage.partly + coverage.unknown;
}

/** Hosts of which not everything is known. */
export function gapHosts({ coverage }: Overview): number {
  return coverage.partly + coverage.unknown;
}

/** The violet bar above a list, when some hosts are not read whole. */
export function HostGaps() {
  const { t } = useTranslation();
  const overview = useQuery(ask.overview());
  if (overview.data === undefined) return null;
  const n = gapHosts(overview.data);
  const total = knownHosts(overview.data);
  if (n === 0) return null;
  return (
    <Partial>
      {t("partial.hosts", { n, total })} <Link to="/hosts" search={{ covered: "partly,unknown" }}>{t("empty.seeGaps")}</Link>
    </Partial>
  );
}

/** What an empty list means. */
export function EmptyList({ whole, gaps }: { whole: "credentialsWhole" | "findingsWhole"; gaps: "credentialsGaps" }) {
  const { t } = useTranslation();
  const overview = useQuery(ask.overview());
  if (overview.data === undefined) return <Empty>{t("table.loading")}</Empty>;
  const total = knownHosts(overview.data);
  const missing = gapHosts(overview.data);
  if (total === 0) return <NoHosts />;
  if (overview.data.waiting > 0) return <Empty>{t("empty.firstScan", { n: overview.data.waiting, hosts: total })}</Empty>;
  if (missing > 0) {
    return (
      <Empty action={<Link to="/hosts" search={{ covered: "partly,unknown" }}>{t("empty.seeGaps")}</Link>}>{t(`empty.${gaps}`, { n: missing })}</Empty>
    );
  }
  return <Empty>{t(`empty.${whole}`, { n: total })}</Empty>;
}

/** No host at all: nothing can be said. */
export function NoHosts() {
  const { t } = useTranslation();
  return <Empty action={<p className="second">{t("empty.noHostsNext")}</p>}>{t("empty.noHosts")}</Empty>;
}

// Alarms, only when there are any; each with its count and the way to its rows.
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import type { Overview } from "../../api/types";
import { Shape } from "../../parts/Shape";

export function Alarms({ data }: { data: Overview }) {
  const { t } = useTranslation();
  const rotated = data.verdicts["rotated-still-present"] ?? 0;
  const critical = data.bands["critical"] ?? 0;
  if (rotated === 0 && critical === 0) return null;
  return (
    <div className="notice critical" role="region" aria-label={t("overview.alarms")}>
      <Shape name="critical" />
      <span className="row" style={{ gap: "0 24px" }}>
        {rotated > 0 && (
          <span>{t("overview.rotatedPresent", { n: rotated })} · <Link to="/credentials" search={{ verdict: "rotated-still-present" }}>{t("overview.review")}</Link></span>
        )}
        {critical > 0 && (
          <span>{t("overview.critical", { n: critical })} · <Link to="/credentials" search={{ score: "90.." }}>{t("overview.review")}</Link></span>
        )}
      </span>
    </div>
  );
}

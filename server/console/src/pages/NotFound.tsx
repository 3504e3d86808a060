// An address that leads nowhere, with the way back.
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { Page } from "../parts/Page";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <main className="page">
      <Page title={t("page.notFound")} windowTitle={t("page.notFound")}>
        <div className="panel state">
          <p>{t("error.notFoundPage")}</p>
          <Link to="/">{t("error.toOverview")}</Link>
        </div>
      </Page>
    </main>
  );
}

// The frame of the two pages outside: sign-in and first sign-in. It says which collector this is, and
// lets a person choose the language before anything else.
import { Button } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { prefer } from "../theme/preferences";
import { speak, spoken } from "../words/i18n";

export function Door({ title, lead, children }: { title: string; lead: ReactNode; children: ReactNode }) {
  const { t } = useTranslation();
  const other = spoken() === "zh" ? "en" : "zh";
  return (
    <div className="door">
      <main className="panel panel-body" style={{ padding: 24 }}>
        <div className="row spread" style={{ marginBottom: 24 }}>
          <span className="strong">{t("app.name")}</span>
          <Button type="text" size="small" lang={other === "zh" ? "zh-CN" : "en"} onClick={() => { prefer({ language: other }); speak(other); }}>
            {t("bar.language")}
          </Button>
        </div>
        <h1>{title}</h1>
        <p className="second" style={{ marginBottom: 24 }}>{lead}</p>
        {children}
      </main>
    </div>
  );
}

/** Where to go after signing in: an address of this console only, never another site's. */
export function safeNext(next: string | undefined): string {
  return next !== undefined && /^\/(?![/\\])/.test(next) && !next.startsWith("/sign-in") ? next : "/";
}

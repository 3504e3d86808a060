// Text that a host sent. It is hostile until shown: a text node only, isolated from the direction of
// the page, invisible characters made visible, and never a link.
import { Tooltip } from "antd";
import { Fragment } from "react";
import { useTranslation } from "react-i18next";

import { markedParts, visible } from "./places";

export function HostText({ text, cut = false }: { text: string; cut?: boolean }) {
  const { t } = useTranslation();
  const shown = visible(text);
  return (
    <bdi className={cut ? "cut" : undefined} title={cut ? shown : undefined}>
      {markedParts(shown).map((part, at) =>
        part.replaced ? (
          <Tooltip key={at} title={t("place.replaced")}>
            <span className="chip">{part.text}</span>
          </Tooltip>
        ) : (
          <Fragment key={at}>{part.text}</Fragment>
        ),
      )}
    </bdi>
  );
}

/** Labels as `key=value`, one tag each. */
export function Labels({ labels, line = false }: { labels: Record<string, string>; line?: boolean }) {
  const { t } = useTranslation();
  const all = Object.entries(labels);
  if (all.length === 0) return <span className="quiet">{t("host.noLabels")}</span>;
  // In a table: one line of text, cut where the cell ends.
  if (line) return <HostText cut text={all.map(([key, value]) => (value === "" ? key : `${key}:${value}`)).join("  ")} />;
  return (
    <span className="row" style={{ gap: 4 }}>
      {all.map(([key, value]) => (
        <span key={key} className="tag"><HostText text={value === "" ? key : `${key}:${value}`} /></span>
      ))}
    </span>
  );
}

// Text that a host sent. It is hostile until shown: a text node only, isolated from the direction of
// the page, invisible characters made visible, and never a link.
import { Tooltip } from "antd";
import { Fragment, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { markedParts, visible } from "./places";

export function HostText({ text, cut = false }: { text: string; cut?: boolean }) {
  const { t } = useTranslation();
  const shown = visible(text);
  return (
    <bdi dir="ltr" className={cut ? "cut" : undefined} title={cut ? shown : undefined}>
      {markedParts(shown).map((part, at) =>
        part.replaced ? (
          <Tooltip key={at} title={t("place.replaced")}>
            <span className="chip">{part.text}</span>
          </Tooltip>
        ) : (
          <Fragment key={at}>{inOrder(part.text)}</Fragment>
        ),
      )}
    </bdi>
  );
}

/** Letters of scripts that run from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A path reads from its root, whatever script its names are in: each name is isolated. */
function inOrder(text: string): ReactNode {
  if (!RIGHT_TO_LEFT.test(text)) return text;
  return text.split(/([/:.▸])/).map((piece, at) => (RIGHT_TO_LEFT.test(piece) ? <bdi key={at}>{piece}</bdi> : <Fragment key={at}>{piece}</Fragment>));
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

// Loading, empty, failed and partial: each says what happened, why, and the one thing to do next.
import { Button, Skeleton } from "antd";
import { Component, useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Refusal } from "../api/client";
import i18next from "i18next";
import { useQuery } from "@tanstack/react-query";
import { ask } from "../api/queries";
import { visible } from "./places";
import { CopyButton } from "./Copy";
import { Shape } from "./Shape";

/** A skeleton in the final layout, only after 200 ms: a fast answer never flickers. */
export function Loading({ rows = 6 }: { rows?: number }) {
  const { t } = useTranslation();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 200);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" aria-label={t("table.loading")} className="panel" style={{ minHeight: rows * 36 }}>
      {shown && <div className="panel-body"><Skeleton active={false} title={false} paragraph={{ rows, width: "100%" }} /></div>}
    </div>
  );
}

/** Why something could not be shown, and the way out. The rest of the page stays. */
export function Failed({ fault, retry, thing = "page" }: {
  fault: unknown; retry?: () => void; thing?: "credential" | "host" | "page";
}) {
  const { t } = useTranslation();
  const me = useQuery(ask.me());
  const refusal = fault instanceof Refusal ? fault : undefined;
  const request = refusal?.body?.request ?? undefined;
  const role = me.data?.role ?? "viewer";
  const said =
    refusal?.status === 0 ? t("error.unreachable")
    : refusal?.status === 403 ? t("error.forbidden", { role: t(`role.${role}`) })
    : refusal?.status === 404 ? t("error.notFound", { what: t(`error.thing.${thing}`) })
    : refusal?.status === 400 ? t("error.malformed")
    : t("error.collector", { request: request === undefined ? "–" : visible(request) });
  const hopeless = refusal?.status === 404 || refusal?.status === 403;
  return (
    <div role="alert" className="panel state">
      <div className="row start" style={{ flexWrap: "nowrap" }}>
        <span className="m-high" style={{ lineHeight: "22px" }}><Shape name="high" /></span>
        <div className="stack">
          <p>{said}</p>
          {refusal?.status === 400 && <p className="second"><bdi>{visible(refusal.message)}</bdi></p>}
        </div>
      </div>
      <div className="row">
        {retry !== undefined && !hopeless && <Button onClick={retry}>{t("error.retry")}</Button>}
        {request !== undefined && request !== null && (
          <span className="caption">{visible(request)} <CopyButton text={request} label={t("error.copyRequest")} /></span>
        )}
      </div>
    </div>
  );
}

/** Nothing to show, in words that tell "nothing found" from "nothing looked". */
export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="state" role="status">
      <p>{children}</p>
      {action}
    </div>
  );
}

/** The violet bar that names what is missing from what is shown. */
export function Partial({ children }: { children: ReactNode }) {
  return (
    <div className="notice unknown" role="note">
      <Shape name="unknown" />
      <span>{children}</span>
    </div>
  );
}

/** Catches a fault of ours in one part of a page, so that the rest stays. */
export class Guard extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    return this.state.broken
      ? <div role="alert" className="panel state"><p>{i18next.t("error.page")}</p></div>
      : this.props.children;
  }
}

// How hosts come in: tokens, what is left of each, and the one moment in which a string is shown. The
// string is held by this page alone, never by an address, a cache or a store, and is gone with the
// dialog.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { App, Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { ask, tell } from "../api/queries";
import type { EnrollmentToken } from "../api/types";
import { HostText, Labels } from "../parts/HostText";
import { grouped } from "../parts/numbers";
import { Page } from "../parts/Page";
import { visible } from "../parts/places";
import { Meaning } from "../parts/Shape";
import { Empty, Failed, Loading } from "../parts/States";
import { At, useNow } from "../parts/Time";
import { NewToken } from "./enrollment/NewToken";

export function Enrollment() {
  const { t } = useTranslation();
  const [asked, setAsked] = useState(false);
  const tokens = useQuery(ask.enrollmentTokens());
  return (
    <Page title={t("page.enrollment")} windowTitle={t("page.enrollment")} actions={<Button type="primary" onClick={() => setAsked(true)}>{t("enroll.create")}</Button>}>
      <p className="second" style={{ maxWidth: 720 }}>{t("enroll.lead")}</p>
      <p style={{ marginBottom: 12 }}><Link to="/hosts" search={{ state: "pending" }}>{t("enroll.pending")}</Link></p>
      {tokens.isPending && <Loading rows={6} />}
      {tokens.isError && <Failed fault={tokens.error} retry={() => void tokens.refetch()} />}
      {tokens.data !== undefined && (tokens.data.length === 0
        ? <div className="panel"><Empty>{t("enroll.none")}</Empty></div>
        : <Tokens tokens={tokens.data} />)}
      <NewToken open={asked} close={() => setAsked(false)} />
    </Page>
  );
}

function Tokens({ tokens }: { tokens: readonly EnrollmentToken[] }) {
  const { t } = useTranslation();
  return (
    <div className="panel scroll-x">
      <table className="plain-table">
        <thead>
          <tr>
            <th>{t("enroll.token")}</th><th>{t("enroll.note")}</th><th>{t("enroll.state")}</th><th className="end">{t("enroll.uses")}</th>
            <th>{t("enroll.until")}</th><th>{t("column.labels")}</th><th>{t("enroll.by")}</th><th><span className="hidden-words">{t("enroll.revoke")}</span></th>
          </tr>
        </thead>
        <tbody>{tokens.map((token) => <Row key={token.id} token={token} />)}</tbody>
      </table>
    </div>
  );
}

function Row({ token }: { token: EnrollmentToken }) {
  const { t } = useTranslation();
  const { message, modal } = App.useApp();
  const cache = useQueryClient();
  const now = useNow();
  const revoke = useMutation({
    mutationFn: () => tell.revokeEnrollmentToken(token.id),
    onSuccess: () => { void message.success(t("enroll.revoked")); void cache.invalidateQueries({ queryKey: ["enrollment-tokens"] }); },
    onError: (fault: Error) => void message.error(visible(fault.message)),
  });
  const over = token.until <= now;
  const spent = token.used >= token.uses;
  const askRevoke = () => modal.confirm({
    title: t("enroll.revokeAsk"), content: t("enroll.revokeAbout", { n: token.used }), okText: t("enroll.revokeDo"), cancelText: t("enroll.cancel"),
    okButtonProps: { danger: true }, autoFocusButton: "cancel", onOk: () => revoke.mutateAsync().catch(() => undefined),
  });
  return (
    <tr>
      <td className="code nowrap">{token.id}</td>
      <td>{token.note === undefined || token.note === null ? <span className="quiet">–</span> : <HostText text={token.note} />}</td>
      <td className="nowrap">
        {over ? <Meaning meaning="recorded" shape="dash">{t("enroll.over")}</Meaning>
          : spent ? <Meaning meaning="recorded" shape="dash">{t("enroll.spent")}</Meaning>
          : <Meaning meaning="work" shape="ring">{t("enroll.good")}</Meaning>}
      </td>
      <td className="end number nowrap">{t("enroll.usesOf", { used: grouped(token.used), uses: grouped(token.uses) })}</td>
      <td className="nowrap"><At time={token.until} /></td>
      <td>{Object.keys(token.labels).length === 0 ? <span className="quiet">{t("host.noLabels")}</span> : <Labels labels={token.labels} />}</td>
      <td><HostText text={token.created_by} /></td>
      <td className="end"><Button size="small" type="text" loading={revoke.isPending} onClick={askRevoke} aria-label={t("enroll.revokeNamed", { name: token.id })}>{t("enroll.revoke")}</Button></td>
    </tr>
  );
}

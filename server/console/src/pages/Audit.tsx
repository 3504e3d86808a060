// Who did or saw what, newest first, with absolute times: a list to read and to search, never to edit.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Button, Input, Select } from "antd";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";

import { useAddress } from "../address/useAddress";
import { ask } from "../api/queries";
import { useMasked } from "../parts/CredentialName";
import { HostText } from "../parts/HostText";
import { grouped } from "../parts/numbers";
import { Page } from "../parts/Page";
import { maskId, visible } from "../parts/places";
import { Empty, Failed, Loading } from "../parts/States";
import { At } from "../parts/Time";
import { useCopy } from "../parts/Copy";
import { shellQuoted } from "../address/address";
import { en } from "../words/en";

const actions = Object.keys(en.audit.action) as Array<keyof typeof en.audit.action>;

export function Audit() {
  const { t } = useTranslation();
  const [address, set] = useAddress();
  const { q, action } = { q: address["q"], action: address["action"] };
  const list = useInfiniteQuery(ask.audit({ ...(q === undefined ? {} : { q }), ...(action === undefined ? {} : { action }) }));
  const rows = list.data?.pages.flatMap((page) => page.rows) ?? [];
  const total = list.data?.pages[0]?.total ?? 0;
  const copy = useCopy();
  const flags = [q === undefined ? "" : ` --q ${shellQuoted(q)}`, action === undefined ? "" : ` --action ${shellQuoted(action)}`].join("");
  return (
    <Page
      title={t("page.audit")} windowTitle={t("page.audit")}
      actions={<Button type="text" onClick={() => copy(`akwatch audit${flags}`, t("copy.commandDone"))}>{t("copy.command")}</Button>}
    >
      <div className="filters">
        <Input.Search
          key={q ?? ""} defaultValue={q} allowClear data-filter placeholder={t("audit.search")} aria-label={t("audit.search")} style={{ width: 260 }}
          onSearch={(text) => set({ q: text.trim() === "" ? undefined : text.trim() })}
        />
        <Select
          value={action} allowClear placeholder={t("audit.every")} aria-label={t("audit.what")} style={{ minWidth: 200 }} onChange={(value?: string) => set({ action: value })}
          options={actions.map((value) => ({ value, label: t(`audit.action.${value}`) }))}
        />
      </div>
      {list.isPending && <Loading rows={12} />}
      {list.isError && <Failed fault={list.error} retry={() => void list.refetch()} />}
      {list.isSuccess && rows.length === 0 && <div className="panel"><Empty>{t("audit.none")}</Empty></div>}
      {rows.length > 0 && (
        <div className="panel scroll-x">
          <table className="plain-table audit">
            <thead>
              <tr><th className="end">{t("audit.number")}</th><th>{t("column.time")}</th><th>{t("audit.who")}</th><th>{t("audit.what")}</th><th>{t("audit.object")}</th><th>{t("audit.result")}</th></tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.number} title={t("audit.hash", { hash: row.hash })}>
                  <td className="end number quiet">{grouped(row.number)}</td>
                  <td className="nowrap"><At time={row.time} /></td>
                  <td><HostText text={row.actor} />{row.from !== undefined && row.from !== null && <span className="quiet"> · {visible(row.from)}</span>}</td>
                  <td className="nowrap">{Object.hasOwn(en.audit.action, row.action) ? t(`audit.action.${row.action as keyof typeof en.audit.action}`) : visible(row.action)}</td>
                  <td><About text={row.object} /></td>
                  <td className={row.result.startsWith("refused") ? "m-high" : "second"}>{resultOf(row.result, t)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <div className="table-foot">
            <span className="quiet">{t("count.range", { from: "1", to: grouped(rows.length), total: grouped(total) })}</span>
            {list.hasNextPage && <Button size="small" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("table.loadMore", { n: grouped(Math.min(200, total - rows.length)) })}</Button>}
          </div>
        </div>
      )}
    </Page>
  );
}

type Speak = TFunction;

function resultOf(result: string, t: Speak): string {
  if (result === "done") return t("audit.done");
  if (result === "done: answered again") return t("audit.again");
  const why = /^refused: (.*)$/.exec(result)?.[1];
  return why === undefined ? visible(result) : t("audit.refused", { why: visible(why) });
}

/** On what: a credential or host leads there, and an id is masked for whoever does not see ids. */
function About({ text }: { text: string }) {
  const masked = useMasked();
  const me = useQuery(ask.me());
  const parts = text.split(/(cr_[0-9a-f]{16}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/);
  return (
    <>
      {parts.map((part, at) => {
        if (at % 2 === 1 && me.data?.role !== "auditor") {
          return part.startsWith("cr_")
            ? <Link key={at} className="code" to="/credentials/$ref/{-$tab}" params={{ ref: part, tab: undefined }}>{part}</Link>
            : <Link key={at} className="code" to="/hosts/$id/{-$tab}" params={{ id: part, tab: undefined }}>{part}</Link>;
        }
        const id = /^id:([A-Za-z0-9_-]+)/.exec(part);
        return <HostText key={at} text={id?.[1] !== undefined && masked ? part.replace(id[1], maskId(id[1])) : part} />;
      })}
    </>
  );
}

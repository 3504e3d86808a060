// What the three lists share: filters from the address, pages by cursor, changes that wait, and the
// four states. A page gives its columns and its words.
import { Button } from "antd";
import { useInfiniteQuery, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { asCommand, filtersIn, type Address } from "../address/address";
import { useAddress } from "../address/useAddress";
import { PAGE } from "../api/queries";
import type { Page as Rows } from "../api/types";
import { ChangesButton, useChanges, type Touched } from "./Changes";
import { useCopy } from "./Copy";
import { DataTable, type Column } from "./DataTable";
import { Filters, sayFilter, type Filter } from "./Filters";
import { rememberList, rememberOpened, takeOpened } from "./memory";
import { Page } from "./Page";
import { Empty, Failed, Loading } from "./States";

export interface ListPageProps<Row> {
  noun: "credentials" | "hosts" | "findings";
  title: string;
  question: unknown;
  columns: ReadonlyArray<Column<Row>>;
  filters: readonly Filter[];
  defaultSort: string;
  rowKey: (row: Row) => string;
  onOpen: (row: Row) => void;
  touched: Touched;
  /** "31 credentials": a count with its unit. */
  countWords: (n: number) => string;
  head?: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
  /** Shown when nothing matches and no filter is set. */
  empty: ReactNode;
}

export function ListPage<Row extends object>(props: ListPageProps<Row>) {
  const { t } = useTranslation();
  const [address, set] = useAddress();
  const copy = useCopy();
  const cache = useQueryClient();
  const answer = useInfiniteQuery(props.question as never) as unknown as Answer<Row>;
  const rows = useMemo(() => answer.data?.pages.flatMap((page) => page.rows) ?? [], [answer.data]);
  const total = answer.data?.pages[0]?.total ?? 0;
  const refresh = useCallback(() => void cache.invalidateQueries({ queryKey: [props.noun] }), [cache, props.noun]);
  const differs = useDiffers(props.question, answer.data?.pages[0]);
  const changes = useChanges(props.touched, refresh, rows.length === 0, differs);
  useRemember(props, address, rows);
  const keys = props.filters.map((filter) => filter.key);
  const foot = (
    <>
      <span />
      <span className="row">
        {answer.hasNextPage && (
          <Button size="small" loading={answer.isFetchingNextPage} onClick={() => void answer.fetchNextPage()}>
            {t("table.loadMore", { n: Math.min(PAGE, total - rows.length) })}
          </Button>
        )}
        <span className="number second">{rows.length === 0 ? t("count.none") : t("count.range", { from: 1, to: rows.length, total })}</span>
      </span>
    </>
  );
  return (
    <Page
      title={props.title}
      windowTitle={props.title}
      head={props.head}
      actions={
        <>
          {props.actions}
          <Button type="text" className="wide-only" onClick={() => copy(asCommand(props.noun, address, [...keys, "sort"]), t("copy.commandDone"))}>{t("copy.command")}</Button>
        </>
      }
    >
      <Filters filters={props.filters} end={answer.data === undefined ? null : <><ChangesButton {...changes} /><span className="second number">{props.countWords(total)}</span></>} />
      {rows.length > 0 && props.above}
      {answer.isPending ? <Loading rows={12} />
        : answer.isError && answer.data === undefined ? <Failed fault={answer.error} retry={() => void answer.refetch()} />
        : (
          <>
            {answer.isError && <Failed fault={answer.error} retry={() => void answer.refetch()} />}
            {rows.length === 0 ? (
              <div className="panel">
                {filtersIn(address, keys).length > 0 ? <NoMatch filters={props.filters} address={address} set={set} /> : props.empty}
              </div>
            ) : (
              <DataTable<Row>
                label={props.title}
                rows={rows}
                total={total}
                columns={props.columns}
                rowKey={props.rowKey}
                onOpen={(row) => {
                  rememberOpened(props.noun, props.rowKey(row));
                  props.onOpen(row);
                }}
                sort={address["sort"]}
                defaultSort={props.defaultSort}
                onSort={(sort) => set({ sort: sort === props.defaultSort ? undefined : sort })}
                foot={foot}
              />
            )}
          </>
        )}
    </Page>
  );
}

interface Answer<Row> {
  data: InfiniteData<Rows<Row>> | undefined;
  isPending: boolean;
  isError: boolean;
  error: unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => Promise<unknown>;
  refetch: () => Promise<unknown>;
}

/** Whether the collector would now give another first page than the one shown. */
function useDiffers(question: unknown, shown: unknown): () => Promise<boolean> {
  const { queryFn } = question as { queryFn: (context: object) => Promise<unknown> };
  return async () => {
    const now = await queryFn({ signal: new AbortController().signal, pageParam: undefined });
    return JSON.stringify(now) !== JSON.stringify(shown);
  };
}

/** Keeps the list for "back" and "next", and puts the focus back on the row that was opened. */
function useRemember<Row>(props: ListPageProps<Row>, address: Address, rows: readonly Row[]): void {
  const restored = useRef(false);
  useEffect(() => {
    rememberList(props.noun, address, rows.map(props.rowKey));
    if (restored.current || rows.length === 0) return;
    restored.current = true;
    const opened = takeOpened(props.noun);
    if (opened === undefined) return;
    const row = [...document.querySelectorAll<HTMLElement>("[data-row]")].find((each) => each.dataset["row"] === opened);
    row?.focus();
  }, [rows, address, props]);
}

function NoMatch({ filters, address, set }: { filters: readonly Filter[]; address: Address; set: (change: Address) => void }) {
  const { t } = useTranslation();
  const active = filtersIn(address, filters.map((filter) => filter.key));
  const last = active.at(-1) ?? "";
  const filter = filters.find((each) => each.key === last);
  return (
    <Empty
      action={
        <span className="row">
          <Button onClick={() => set({ [last]: undefined })}>
            {t("empty.clearLast", { name: filter === undefined ? last : sayFilter(filter, address[last] ?? "") })}
          </Button>
          {active.length > 1 && (
            <Button type="text" onClick={() => set(Object.fromEntries(active.map((key) => [key, undefined])))}>{t("empty.clearAll")}</Button>
          )}
        </span>
      }
    >
      {t("empty.filtered", { n: active.length })}
    </Empty>
  );
}

// The one table: plain up to two hundred rows, virtual above, sorted by the collector only. A row
// opens by click, by Enter and, through the link in its identity cell, in a new tab.
import { Table } from "antd";
import type { ColumnType } from "antd/es/table";
import { useMedia } from "../theme/Theme";
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

export interface Column<Row> {
  key: string;
  title: ReactNode;
  /** Words for the header when `title` is not plain text. */
  label?: string;
  width?: number | string;
  end?: boolean;
  /** Shown only where the window is wide: 1600 px and more. */
  wide?: boolean;
  /** The sort that a click on the header asks for; the API's own word. */
  sort?: string;
  render: (row: Row) => ReactNode;
}

export interface DataTableProps<Row> {
  label: string;
  rows: readonly Row[];
  columns: ReadonlyArray<Column<Row>>;
  rowKey: (row: Row) => string;
  onOpen?: (row: Row) => void;
  sort?: string;
  defaultSort?: string;
  onSort?: (sort: string | undefined) => void;
  foot?: ReactNode;
  total?: number;
  empty?: ReactNode;
  sticky?: boolean;
}

/** Rows above which the body is virtual. */
const VIRTUAL = 200;

export function DataTable<Row extends object>(props: DataTableProps<Row>) {
  const { rows, onOpen, rowKey } = props;
  const roomy = useMedia("(min-width: 1600px)");
  const columns = props.columns.filter((column) => roomy || column.wide !== true);
  const wrap = useRef<HTMLDivElement>(null);
  const virtual = rows.length > VIRTUAL;
  const size = useRoom(wrap, virtual);
  useVirtualRoles(wrap, virtual, props.label, props.total ?? rows.length);
  const built = columns.map((column) => build(column, props, virtual));
  return (
    <div
      ref={wrap}
      className={`table-wrap${props.sticky !== false && !virtual ? " sticky" : ""}${onOpen === undefined ? " still" : ""}`}
      onKeyDown={(event) => moveByKeys(event, wrap.current)}
    >
      <Table<Row>
        size="small"
        rowKey={rowKey}
        columns={built}
        dataSource={rows as Row[]}
        pagination={false}
        tableLayout="fixed"
        showSorterTooltip={false}
        virtual={virtual}
        scroll={virtual ? { x: size.width, y: size.height } : undefined}
        components={virtual ? virtualHeader : undefined}
        locale={{ emptyText: props.empty ?? "–" }}
        aria-label={props.label}
        onChange={(_pages, _filters, sorter) => {
          const one = Array.isArray(sorter) ? sorter[0] : sorter;
          const wanted = columns.find((column) => column.key === one?.columnKey)?.sort;
          props.onSort?.(one?.order ? wanted : undefined);
        }}
        onRow={(row, at) => ({
          tabIndex: -1,
          "data-row": rowKey(row),
          ...(virtual ? { role: "row", "aria-rowindex": (at ?? 0) + 1 } : {}),
          ...(onOpen === undefined ? {} : {
            onClick: (event) => {
              if (isOwnAction(event.target)) return;
              onOpen(row);
            },
            onKeyDown: (event) => {
              if (event.key === "Enter" && event.target === event.currentTarget) onOpen(row);
            },
          }),
        })}
      />
      {props.foot !== undefined && <div className="table-foot">{props.foot}</div>}
    </div>
  );
}

/** The virtual body is made of plain boxes: their roles are written where the library gives no way. */
function useVirtualRoles(wrap: React.RefObject<HTMLDivElement | null>, needed: boolean, label: string, total: number): void {
  useLayoutEffect(() => {
    if (!needed) return;
    const table = wrap.current?.querySelector(".ant-table-container");
    table?.setAttribute("role", "table");
    table?.setAttribute("aria-label", label);
    table?.setAttribute("aria-rowcount", String(total));
    table?.querySelector(".ant-table-tbody-virtual")?.setAttribute("role", "rowgroup");
  });
}

/** The header of a virtual table is a table of its own to the browser; its roles join it to the body. */
const virtualHeader = {
  header: {
    table: (props: object) => <table {...props} aria-label={undefined} role="presentation" />,
    wrapper: (props: object) => <thead {...props} role="rowgroup" />,
    row: (props: object) => <tr {...props} role="row" />,
    cell: (props: object) => <th {...props} role="columnheader" />,
  },
};

function build<Row>(column: Column<Row>, props: DataTableProps<Row>, virtual: boolean): ColumnType<Row> {
  const order = column.sort === undefined ? null
    : (props.sort ?? props.defaultSort) === column.sort ? (column.sort.startsWith("-") ? "descend" : "ascend") : null;
  return {
    key: column.key,
    title: column.title,
    width: column.width,
    className: column.end === true ? "end" : undefined,
    sorter: column.sort !== undefined,
    sortOrder: order,
    sortDirections: column.sort?.startsWith("-") === true ? ["descend"] : ["ascend"],
    render: (_value, row) => column.render(row),
    onHeaderCell: () => (column.label === undefined ? {} : { "aria-label": column.label }),
    onCell: () => (virtual ? { role: "cell" } : {}),
  } as ColumnType<Row>;
}

function isOwnAction(target: EventTarget): boolean {
  return target instanceof Element && target.closest("a, button, input, label, [role=button]") !== null;
}

/** `j` and `k` and the arrows move the focus from row to row. */
function moveByKeys(event: KeyboardEvent, wrap: HTMLDivElement | null): void {
  if (!["ArrowDown", "ArrowUp"].includes(event.key) || wrap === null) return;
  if (event.target instanceof HTMLElement && event.target.closest("[data-row]") === null) return;
  event.preventDefault();
  moveRow(wrap, event.key === "ArrowDown" ? 1 : -1);
}

/** Moves the focus by `step` rows in `root`; from nowhere to the first row. */
export function moveRow(root: ParentNode, step: 1 | -1): void {
  const rows = [...root.querySelectorAll<HTMLElement>("[data-row]")];
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at === -1 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step));
  rows[next]?.focus();
  rows[next]?.scrollIntoView({ block: "nearest" });
}

/** The room that a virtual body may take: to the bottom of the window. */
function useRoom(wrap: React.RefObject<HTMLDivElement | null>, needed: boolean): { width: number; height: number } {
  const [room, setRoom] = useState({ width: 1000, height: 500 });
  const measure = () => {
    const box = wrap.current?.getBoundingClientRect();
    if (box === undefined) return;
    setRoom({
      width: Math.max(900, Math.floor(box.width) - 2),
      height: Math.max(300, Math.floor(window.innerHeight - (box.top + window.scrollY) - 100)),
    });
  };
  useLayoutEffect(() => {
    if (needed) measure();
  }, [needed]);
  useEffect(() => {
    if (!needed) return;
    window.addEventListener("resize", measure);
    return () => window.removeEventListener("resize", measure);
  }, [needed]);
  return room;
}

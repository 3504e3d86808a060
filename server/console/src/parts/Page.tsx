// The head of every page: its title on the page and in the window, and the actions beside it.
import { useEffect, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { usePageKeys, type PageKeys } from "./keys";

export function Page({ title, back, windowTitle, head, actions, keys, children }: {
  title?: ReactNode; back?: ReactNode; windowTitle: string; head?: ReactNode; actions?: ReactNode; keys?: PageKeys; children: ReactNode;
}) {
  const { t } = useTranslation();
  useEffect(() => {
    document.title = `${windowTitle} · ${t("app.name")}`;
  }, [windowTitle, t]);
  usePageKeys(keys);
  return (
    <>
      <header className="page-head">
        {title !== undefined && <h1>{title}</h1>}
        {back}
        {head}
        <span className="grow" />
        {actions}
      </header>
      {children}
    </>
  );
}

/** A box with a heading. */
export function Panel({ title, extra, children, className, bare = false }: {
  title?: ReactNode; extra?: ReactNode; children: ReactNode; className?: string; bare?: boolean;
}) {
  return (
    <section className={`panel ${className ?? ""}`}>
      {title !== undefined && <div className="panel-head"><h2>{title}</h2>{extra}</div>}
      {bare ? children : <div className="panel-body">{children}</div>}
    </section>
  );
}

/** Name and value, one under the other; absent values leave no gap. */
export function Facts({ facts }: { facts: ReadonlyArray<readonly [string, ReactNode]> }) {
  return (
    <dl className="facts">
      {facts.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => (
        <FactLine key={name} name={name} value={value} />
      ))}
    </dl>
  );
}

function FactLine({ name, value }: { name: string; value: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

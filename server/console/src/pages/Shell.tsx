// The frame around every page behind sign-in: top bar, menu, live state, keys. What is not built is
// not here, neither greyed nor promised.
import { ApiOutlined, HistoryOutlined, FileSearchOutlined, HddOutlined, KeyOutlined, DashboardOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { useAddress } from "../address/useAddress";
import { statusOf } from "../api/client";
import { LiveEvents } from "../api/events";
import { ask } from "../api/queries";
import { useCopy } from "../parts/Copy";
import { moveRow } from "../parts/DataTable";
import { useKeys } from "../parts/keys";
import { Failed, Guard, Loading } from "../parts/States";
import { KeysHelp } from "./shell/KeysHelp";
import { LiveBanner } from "./shell/LiveBanner";
import { TopBar } from "./shell/TopBar";

const entries = [
  { to: "/", word: "overview", icon: <DashboardOutlined aria-hidden />, key: "o" },
  { to: "/credentials", word: "credentials", icon: <KeyOutlined aria-hidden />, key: "c" },
  { to: "/findings", word: "findings", icon: <FileSearchOutlined aria-hidden />, key: "f" },
  { to: "/hosts", word: "hosts", icon: <HddOutlined aria-hidden />, key: "h" },
] as const;

/** Pages of those who run the collector; who may not open one does not see it. */
const running = [
  { to: "/enrollment", word: "enrollment", icon: <ApiOutlined aria-hidden />, key: "e", roles: ["admin"] },
  { to: "/audit", word: "audit", icon: <HistoryOutlined aria-hidden />, key: "a", roles: ["admin", "auditor"] },
] as const;

export function Shell() {
  const me = useQuery(ask.me());
  if (me.isPending) return <div className="page"><Loading rows={12} /></div>;
  if (me.isError && statusOf(me.error) === 401) return <ToSignIn ended={me.data !== undefined} />;
  if (me.isError && me.data === undefined) return <main className="page"><Failed fault={me.error} retry={() => void me.refetch()} /></main>;
  if (me.data?.role === "auditor") return <Frame />;
  return (
    <LiveEvents>
      <Frame />
    </LiveEvents>
  );
}

/** Leads to sign-in once, keeping the address that was asked for when it was asked for. */
function ToSignIn({ ended }: { ended: boolean }) {
  const navigate = useNavigate();
  const asked = useRef(useLocation().href);
  useEffect(() => {
    void navigate({ to: "/sign-in", search: { ...(ended ? { ended: "1" } : {}), ...(asked.current === "/" ? {} : { next: asked.current }) }, replace: true });
  }, [navigate, ended]);
  return null;
}

function Frame() {
  const { t } = useTranslation();
  const location = useLocation();
  const [help, setHelp] = useState(false);
  const me = useQuery(ask.me());
  const whole = me.data?.scope === undefined || me.data.scope === null;
  const role = me.data?.role;
  const navigate = useNavigate();
  const away = role === "auditor" && location.pathname === "/";
  useEffect(() => {
    // An auditor sees the log and no exposure: the first page is the log.
    if (away) void navigate({ to: "/audit", replace: true });
  }, [away, navigate]);
  const shown = [...(role === "auditor" ? [] : entries), ...running.filter(({ roles }) => whole && roles.some((each) => each === role))];
  useShellKeys(() => setHelp(true));
  return (
    <>
      <a className="skip" href="#content">{t("app.skip")}</a>
      <TopBar onHelp={() => setHelp(true)} />
      <div className="frame">
        <nav className="side" aria-label={t("app.menu")}>
          {shown.map((entry) => {
            const active = entry.to === "/" ? location.pathname === "/" : location.pathname.startsWith(entry.to);
            return (
              <Link key={entry.to} to={entry.to} className={active ? "active" : ""} aria-current={active ? "page" : undefined} title={t(`page.${entry.word}`)}>
                {entry.icon}
                <span>{t(`page.${entry.word}`)}</span>
              </Link>
            );
          })}
        </nav>
        <main className="page" id="content" tabIndex={-1}>
          {role !== "auditor" && <LiveBanner />}
          <Guard key={location.pathname}><Outlet /></Guard>
        </main>
      </div>
      <KeysHelp open={help} close={() => setHelp(false)} />
    </>
  );
}

/** Keys that work on every page. */
function useShellKeys(showHelp: () => void): void {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const copy = useCopy();
  const [address, set] = useAddress();
  const [waiting, setWaiting] = useState(false);
  useKeys((key) => {
    if (waiting) {
      setWaiting(false);
      const entry = [...entries, ...running].find((each) => each.key === key);
      if (entry !== undefined) {
        void navigate({ to: entry.to });
        return true;
      }
    }
    switch (key) {
      case "g": setWaiting(true); return true;
      case "j": moveRow(document, 1); return true;
      case "k": moveRow(document, -1); return true;
      case "/": return focusOn("[data-search] input");
      case "f": return focusOn("[data-filter]");
      case "?": showHelp(); return true;
      case "t": set({ tz: address["tz"] === "utc" ? undefined : "utc" }, true); return true;
      case "y": copy(window.location.href, t("copy.linkDone")); return true;
      default: return false;
    }
  });
}

function focusOn(selector: string): boolean {
  const element = document.querySelector<HTMLElement>(selector);
  element?.focus();
  return element !== null;
}

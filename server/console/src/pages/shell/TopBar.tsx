// The top bar: whose collector this is, search, live state, and how this person wants to see things.
import { BgColorsOutlined, EyeInvisibleOutlined, EyeOutlined, QuestionCircleOutlined, UserOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { useAddress } from "../../address/useAddress";
import { useLive } from "../../api/events";
import { ask, tell } from "../../api/queries";
import { zoneName } from "../../parts/clock";
import { visible } from "../../parts/places";
import { Meaning } from "../../parts/Shape";
import { prefer, usePreferences, type ThemeChoice } from "../../theme/preferences";
import { speak } from "../../words/i18n";
import { Search } from "./Search";

export function TopBar({ onHelp }: { onHelp: () => void }) {
  const { t } = useTranslation();
  const me = useQuery(ask.me());
  const [address, set] = useAddress();
  const { language, theme, hideIds } = usePreferences();
  const utc = address["tz"] === "utc";
  const collector = me.data?.collector ?? "";
  const other = language === "zh" ? "en" : "zh";
  return (
    <header className="top">
      <Link to="/" className="brand">{t("app.name")}</Link>
      <span className="second cut collector" title={visible(collector)}><bdi>{visible(collector)}</bdi></span>
      <Scope />
      {/* An auditor reads the log alone: there is nothing to search, and no stream to lose. */}
      {me.data?.role === "auditor" ? <span className="grow" /> : <><Search /><LiveState /></>}
      <Button type="text" size="small" className="wide-only" aria-pressed={utc} title={t("time.zone", { zone: zoneName(utc, Date.now()) })}
        onClick={() => set({ tz: utc ? undefined : "utc" }, true)}>
        {zoneName(utc, Date.now())}
      </Button>
      <Button type="text" size="small" className="wide-only" aria-pressed={hideIds} icon={hideIds ? <EyeInvisibleOutlined aria-hidden /> : <EyeOutlined aria-hidden />}
        title={t("secret.none")} onClick={() => prefer({ hideIds: !hideIds })}>
        {t(hideIds ? "bar.showIds" : "bar.hideIds")}
      </Button>
      <Button type="text" size="small" lang={other === "zh" ? "zh-CN" : "en"} onClick={() => { prefer({ language: other }); speak(other); }}>
        {t("bar.language")}
      </Button>
      <Dropdown
        trigger={["click"]}
        menu={{
          selectable: true, selectedKeys: [theme],
          items: (["system", "light", "dark"] as const).map((key) => ({ key, label: t(`bar.${key}`) })),
          onClick: ({ key }) => prefer({ theme: key as ThemeChoice }),
        }}
      >
        <Button type="text" size="small" icon={<BgColorsOutlined aria-hidden />} aria-label={t("bar.theme")} title={t("bar.theme")} />
      </Dropdown>
      <Button type="text" size="small" className="wide-only" icon={<QuestionCircleOutlined aria-hidden />} aria-label={t("bar.keys")} title={t("bar.keys")} onClick={onHelp} />
      <Person />
    </header>
  );
}

/** Which hosts this person sees, when it is not all of them: every count on every page is of these. */
function Scope() {
  const { t } = useTranslation();
  const me = useQuery(ask.me());
  const scope = me.data?.scope;
  if (scope === undefined || scope === null) return null;
  const labels = Object.entries(scope).map(([key, value]) => `${visible(key)}:${visible(value)}`).join(" · ");
  const said = labels === "" ? t("bar.scopeNothing") : t("bar.scope", { labels });
  return <span className="tag cut wide-only" style={{ maxWidth: 240 }} title={t("bar.scopeHint")}><bdi>{said}</bdi></span>;
}

function LiveState() {
  const { t } = useTranslation();
  const live = useLive();
  return (
    <span role="status" className="nowrap">
      {live.state === "live" ? <Meaning meaning="ink" shape="present">{t("live.on")}</Meaning>
        : live.state === "lost" ? <Meaning meaning="unknown" shape="unknown">{t("live.lost")}</Meaning>
        : <Meaning meaning="recorded" shape="ring">{t("live.connecting")}</Meaning>}
    </span>
  );
}

function Person() {
  const { t } = useTranslation();
  const me = useQuery(ask.me());
  const cache = useQueryClient();
  const navigate = useNavigate();
  if (me.data === undefined) return null;
  const signOut = async () => {
    await tell.signOut().catch(() => undefined);
    cache.clear();
    await navigate({ to: "/sign-in" });
  };
  const said = t("bar.signedIn", { name: visible(me.data.name), role: t(`role.${me.data.role}`) });
  return (
    <Dropdown
      trigger={["click"]}
      menu={{
        items: [
          { key: "who", label: said, disabled: true },
          { key: "version", label: `akwatch ${visible(me.data.version)}`, disabled: true },
          { key: "out", label: t("bar.signOut") },
        ],
        onClick: ({ key }) => { if (key === "out") void signOut(); },
      }}
    >
      <Button type="text" size="small" icon={<UserOutlined aria-hidden />} title={said}>
        <span className="cut" style={{ maxWidth: 120, display: "inline-block", verticalAlign: "bottom" }}><bdi>{visible(me.data.name)}</bdi></span>
      </Button>
    </Dropdown>
  );
}

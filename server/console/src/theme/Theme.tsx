// Puts the palette, the language and the nonce around the whole console, and follows the system's
// wish for dark colours and less motion.
import { App, ConfigProvider } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import { useLayoutEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";

import { usePreferences } from "./preferences";
import { antdTheme, writeVariables, type Palette } from "./tokens";

function useMedia(query: string): boolean {
  const media = useMemo(() => window.matchMedia(query), [query]);
  return useSyncExternalStore(
    (listener) => {
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => media.matches,
  );
}

/** The palette in force. */
export function usePalette(): Palette {
  const { theme } = usePreferences();
  const systemDark = useMedia("(prefers-color-scheme: dark)");
  return theme === "system" ? (systemDark ? "dark" : "light") : theme;
}

function nonce(): string | undefined {
  const content = document.querySelector('meta[name="csp-nonce"]')?.getAttribute("content");
  return content === null || content === "" ? undefined : content;
}

export function Theme({ children }: { children: ReactNode }) {
  const palette = usePalette();
  const { language } = usePreferences();
  const reducedMotion = useMedia("(prefers-reduced-motion: reduce)");
  const config = useMemo(() => antdTheme(palette, reducedMotion), [palette, reducedMotion]);
  const csp = useMemo(() => ({ nonce: nonce() }), []);
  useLayoutEffect(() => writeVariables(palette), [palette]);
  useLayoutEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
  return (
    <ConfigProvider
      theme={config}
      csp={csp}
      locale={language === "zh" ? zhCN : enUS}
      button={{ autoInsertSpace: false }}
    >
      <App className="app">{children}</App>
    </ConfigProvider>
  );
}

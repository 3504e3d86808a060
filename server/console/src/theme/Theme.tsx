// Puts the palette, the language and the nonce around the whole console, and follows the system's
// wish for dark colours and less motion.
import { App, ConfigProvider } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import { useLayoutEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";

import { nonce } from "./nonce";
import { usePreferences } from "./preferences";
import { antdTheme, writeVariables, type Palette } from "./tokens";

/** Whether a media query holds, and a new rendering when that changes. */
export function useMedia(query: string): boolean {
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

export function Theme({ children }: { children: ReactNode }) {
  const palette = usePalette();
  const { language } = usePreferences();
  const reducedMotion = useMedia("(prefers-reduced-motion: reduce)");
  const config = useMemo(() => antdTheme(palette, reducedMotion), [palette, reducedMotion]);
  const csp = useMemo(() => ({ nonce }), []);
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

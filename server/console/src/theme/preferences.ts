// What one person prefers in this browser: language, theme, hidden ids. Nothing about credentials is
// ever kept here; the storage may be refused, and then the choice lasts as long as the page.
import { useSyncExternalStore } from "react";

export type Language = "en" | "zh";
export type ThemeChoice = "system" | "light" | "dark";

export interface Preferences {
  language: Language;
  theme: ThemeChoice;
  hideIds: boolean;
}

const KEY = "akwatch.preferences";
const listeners = new Set<() => void>();
let current = read();

function read(): Preferences {
  const preferred: Language =
    typeof navigator !== "undefined" && navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  const fallback: Preferences = { language: preferred, theme: "system", hideIds: false };
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return fallback;
    const { language, theme, hideIds } = kept as Record<string, unknown>;
    return {
      language: language === "en" || language === "zh" ? language : fallback.language,
      theme: theme === "light" || theme === "dark" ? theme : "system",
      hideIds: hideIds === true,
    };
  } catch {
    return fallback;
  }
}

/** The preferences now. */
export function preferences(): Preferences {
  return current;
}

/** Changes some of them, for this page and, where the browser lets us, for the next. */
export function prefer(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Storage is full or refused; the choice still holds for this page.
  }
  for (const listener of listeners) listener();
}

/** The preferences, and a new rendering when they change. */
export function usePreferences(): Preferences {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

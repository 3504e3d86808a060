// Sets up the two languages. Both are part of the program: no request, no flash of the wrong one.
import i18next from "i18next";
import { initReactI18next } from "react-i18next";

import { preferences, type Language } from "../theme/preferences";
import { en } from "./en";
import { icu } from "./icu";
import { zh } from "./zh";

void i18next
  .use(icu)
  .use(initReactI18next)
  .init({
    lng: preferences().language,
    fallbackLng: "en",
    resources: { en: { translation: en }, zh: { translation: zh } },
    interpolation: { escapeValue: false },
    returnNull: false,
    showSupportNotice: false,
  } as Parameters<typeof i18next.init>[0]);

/** Switches the language of every text at once. */
export function speak(language: Language): void {
  void i18next.changeLanguage(language);
}

/** The language spoken now. */
export function spoken(): Language {
  return i18next.language === "zh" ? "zh" : "en";
}

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en };
  }
}

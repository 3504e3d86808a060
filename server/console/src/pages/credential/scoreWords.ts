// A score's line in words. Its slug is translated; its reason is the collector's own sentence, shown
// as it came where this console has no word of its own for it.
import { useTranslation } from "react-i18next";

import type { ScoreLine } from "../../api/types";
import { visible } from "../../parts/places";
import { becauseInChinese } from "../../words/because";
import { en } from "../../words/en";

export function useScoreWords() {
  const { t, i18n } = useTranslation();
  return {
    what: (slug: string): string =>
      Object.hasOwn(en.scoreLine, slug) ? t(`scoreLine.${slug as keyof typeof en.scoreLine}`) : visible(slug.replace(/[-_]/g, " ")),
    because: (line: ScoreLine): string => visible(i18n.language === "zh" ? becauseInChinese(line.because) : line.because),
  };
}

// Reasons come as slugs; a slug that this console is too old to know is shown as it is, readable and
// made visible, rather than hidden.
import { useTranslation } from "react-i18next";

import { en } from "../words/en";
import { visible } from "./places";

/** A slug's reason in words. */
export function useWhy(): (slug: string) => string {
  const { t } = useTranslation();
  return (slug) => (Object.hasOwn(en.why, slug) ? t(`why.${slug as keyof typeof en.why}`) : visible(slug.replace(/[-_]/g, " ")));
}

/** A provider's name as its vendor writes it. */
export function useProvider(): (slug: string) => string {
  const { t } = useTranslation();
  return (slug) => (Object.hasOwn(en.provider, slug) && slug !== "label" ? t(`provider.${slug as "aws"}`) : visible(slug));
}

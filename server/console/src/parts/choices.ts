// The filters' choices, in the words of the address and in the words of the page.
import { useTranslation } from "react-i18next";

import type { Filter } from "./Filters";
import { useProvider } from "./why";

const providers = ["alibaba", "tencent", "aws", "huawei", "volcengine", "baidu", "github", "generic"] as const;
const kinds = ["access-key-pair", "secret-key", "temporary-credential", "private-key", "token", "password", "reference"] as const;
const verdicts = ["exposed", "rotated-still-present", "not-verified", "rotated-not-verified", "gone-not-rotated", "closed"] as const;

/** Every filter that some list takes; a page picks its own. */
export function useChoices() {
  const { t } = useTranslation();
  const provider = useProvider();
  const many = (key: string, label: string, options: Array<{ value: string; label: string }>): Filter => ({ key, label, sort: "many", options });
  return {
    verdict: many("verdict", t("verdict.label"), [
      { value: "open", label: t("verdict.open") },
      ...verdicts.map((value) => ({ value, label: t(`verdict.${value}`) })),
    ]),
    provider: many("provider", t("provider.label"), providers.map((value) => ({ value, label: provider(value) }))),
    kind: many("kind", t("kind.label"), kinds.map((value) => ({ value, label: t(`kind.${value}`) }))),
    presence: many("presence", t("presence.label"), (["present", "unknown", "gone"] as const).map((value) => ({ value, label: t(`presence.${value}`) }))),
    type: many("type", t("filter.type"), (["file", "process", "history"] as const).map((value) => ({ value, label: t(`placeType.${value}`) }))),
    pushed: many("pushed", t("git.label"), (["pushed", "not-pushed", "unknown"] as const).map((value) => ({ value, label: value === "unknown" ? t("git.unknownFull") : t(`git.${value}`) }))),
    state: many("state", t("hostState.label"), (["pending", "live", "silent", "retired"] as const).map((value) => ({ value, label: t(`hostState.${value}`) }))),
    covered: many("covered", t("covered.label"), [
      { value: "whole", label: t("covered.whole") }, { value: "partly", label: t("covered.partly") }, { value: "unknown", label: t("covered.hostUnknown") },
    ]),
    score: {
      key: "score", label: t("filter.score"), sort: "one", say: (value: string) => t("join.named", { name: t("filter.score"), value }),
      options: [
        { value: "", label: t("filter.any") }, { value: "90..", label: `90.. ${t("band.critical")}` }, { value: "70..", label: `70.. ${t("band.high")}` },
        { value: "40..", label: `40.. ${t("band.medium")}` }, { value: "1..", label: `1.. ${t("band.low")}` }, { value: "0..0", label: `0 ${t("band.recorded")}` },
      ],
    } satisfies Filter,
    confidence: {
      key: "confidence", label: t("confidence.label"), sort: "one",
      options: [
        { value: "", label: t("filter.any") },
        ...(["proven", "paired", "strong", "contextual"] as const).map((value) => ({ value, label: t("filter.atLeast", { name: t(`confidence.${value}`) }) })),
      ],
    } satisfies Filter,
    since: {
      key: "since", label: t("filter.since"), sort: "one",
      options: [{ value: "", label: t("filter.any") }, ...[1, 7, 30].map((n) => ({ value: `${n}d`, label: t("filter.sinceDays", { n }) }))],
    } satisfies Filter,
    findingText: { key: "q", label: t("filter.q"), sort: "text" } satisfies Filter,
    hostText: { key: "q", label: t("filter.hostQ"), sort: "text" } satisfies Filter,
    host: { key: "host", label: t("column.host"), sort: "chip", say: (value: string) => t("filter.host", { name: `${value.slice(0, 8)}…` }) } satisfies Filter,
    credential: { key: "credential", label: t("column.credential"), sort: "chip", say: (value: string) => t("filter.credential", { name: value }) } satisfies Filter,
    rule: { key: "rule", label: t("filter.rule"), sort: "chip" } satisfies Filter,
  };
}

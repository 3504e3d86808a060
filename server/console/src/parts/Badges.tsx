// The states of the design, each as shape, word and colour: score, verdict, disposition, confidence,
// coverage, host state. Nothing here judges; the collector has.
import {
  EyeOutlined, FlagOutlined, SafetyCertificateOutlined, StopOutlined, SyncOutlined,
} from "@ant-design/icons";
import type { ReactElement } from "react";
import { useTranslation } from "react-i18next";

import type { Confidence as Level, Covered, Disposition as Decision, HostState as State, Kind, Verdict as Judgement } from "../api/types";
import type { MeaningName } from "../theme/tokens";
import { bandOf } from "./numbers";
import { Meaning, Shape, type ShapeName } from "./Shape";

/** `◆ 94 Critical`; without the word where a column says it. */
export function Score({ value, word = false, big = false }: { value: number; word?: boolean; big?: boolean }) {
  const { t } = useTranslation();
  const band = bandOf(value);
  return (
    <span className={`score m-${band}${big ? " big mean tint" : ""}`}>
      <Shape name={band} />
      <span>{value}</span>
      <span className={word ? "word" : "hidden-words"}>{t(`band.${band}`)}</span>
    </span>
  );
}

/** The meaning of a verdict: exposure takes the colour of its score. */
export function verdictMeaning(verdict: Judgement, score: number): [MeaningName, ShapeName] {
  switch (verdict) {
    case "exposed": return [bandOf(score), bandOf(score)];
    case "rotated-still-present": return ["critical", "critical"];
    case "not-verified":
    case "rotated-not-verified": return ["unknown", "unknown"];
    case "gone-not-rotated": return ["high", "high"];
    case "closed": return ["verified", "gone"];
    default: return ["unknown", "unknown"];
  }
}

export function Verdict({ verdict, score, big = false }: { verdict: Judgement; score: number; big?: boolean }) {
  const { t } = useTranslation();
  const [meaning, shape] = verdictMeaning(verdict, score);
  return (
    <span className={`verdict${big ? " big" : ""}`}>
      <Meaning meaning={meaning} shape={shape} tint={!big}>{t(`verdict.${verdict}`)}</Meaning>
    </span>
  );
}

const decisionIcons: Record<Decision, ReactElement> = {
  new: <Shape name="ring" />,
  acknowledged: <EyeOutlined aria-hidden />,
  rotating: <SyncOutlined aria-hidden />,
  rotated: <SafetyCertificateOutlined aria-hidden />,
  "false-positive": <StopOutlined aria-hidden />,
  accepted: <FlagOutlined aria-hidden />,
};

export function Disposition({ disposition }: { disposition: Decision }) {
  const { t } = useTranslation();
  return (
    <span className={`tag${disposition === "rotating" ? " m-work" : ""}`}>
      {decisionIcons[disposition]}
      {t(`disposition.${disposition}`)}
    </span>
  );
}

const levels: Record<Level, number> = { proven: 4, paired: 3, strong: 2, contextual: 1, unknown: 0 };

export function Confidence({ confidence, kind }: { confidence: Level; kind?: Kind }) {
  const { t } = useTranslation();
  if (kind === "reference") {
    return <span className="mean"><Shape name="link" /><span>{t("confidence.reference")}</span></span>;
  }
  const level = levels[confidence] ?? 0;
  return (
    <span className="mean">
      <span className="bars" aria-hidden="true">
        {[1, 2, 3, 4].map((bar) => <i key={bar} className={bar <= level ? "on" : ""} />)}
      </span>
      <span>{t(`confidence.${confidence}`)}</span>
    </span>
  );
}

/** Coverage of a source, or of a whole host. */
export function Coverage({ covered, host = false }: { covered: Covered; host?: boolean }) {
  const { t } = useTranslation();
  if (covered === "whole") return <Meaning meaning="ink" shape="gone">{t("covered.whole")}</Meaning>;
  if (covered === "partly") return <Meaning meaning="unknown" shape="half">{t("covered.partly")}</Meaning>;
  return <Meaning meaning="unknown" shape="unknown">{t(host ? "covered.hostUnknown" : "covered.unknown")}</Meaning>;
}

export function HostState({ state }: { state: State }) {
  const { t } = useTranslation();
  switch (state) {
    case "live": return <Meaning meaning="ink" shape="present">{t("hostState.live")}</Meaning>;
    case "pending": return <Meaning meaning="unknown" shape="ring">{t("hostState.pending")}</Meaning>;
    case "silent": return <Meaning meaning="unknown" shape="unknown">{t("hostState.silent")}</Meaning>;
    case "retired": return <Meaning meaning="recorded" shape="dash">{t("hostState.retired")}</Meaning>;
  }
}

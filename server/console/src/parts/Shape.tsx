// The twelve-pixel shapes that stand beside every word of state, so that a greyscale print and a
// person who sees no red still tell them apart. Always hidden from screen readers: the word speaks.
import type { ReactElement } from "react";

import type { MeaningName } from "../theme/tokens";

export type ShapeName =
  | "critical" | "high" | "medium" | "low" | "recorded" | "present" | "gone" | "unknown"
  | "half" | "none" | "ring" | "dash" | "again" | "link" | "pushed";

const drawings: Record<ShapeName, ReactElement> = {
  critical: <path d="M6 0.5 11.5 6 6 11.5 0.5 6Z" fill="currentColor" />,
  high: <path d="M6 1 11.5 11H0.5Z" fill="currentColor" />,
  medium: <rect x="1.5" y="1.5" width="9" height="9" fill="currentColor" />,
  low: <path d="M0.5 1.5h11L6 11Z" fill="currentColor" />,
  recorded: <circle cx="6" cy="6" r="2" fill="currentColor" />,
  present: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  gone: <path d="M1.5 6.5 4.5 9.5 10.5 2.5" fill="none" stroke="currentColor" strokeWidth="2" />,
  unknown: (
    <>
      <rect x="0.5" y="0.5" width="11" height="11" rx="2" fill="none" stroke="currentColor" strokeDasharray="2 1.2" />
      <path d="M4.2 4.4C4.3 3.2 5 2.7 6 2.7s1.8.6 1.8 1.6C7.8 5.7 6 5.7 6 7.2M6 8.4v1.2" fill="none" stroke="currentColor" strokeWidth="1.3" />
    </>
  ),
  half: (
    <>
      <circle cx="6" cy="6" r="4.7" fill="none" stroke="currentColor" strokeWidth="1.4" />
      <path d="M6 1.3a4.7 4.7 0 0 0 0 9.4Z" fill="currentColor" />
    </>
  ),
  none: (
    <>
      <circle cx="6" cy="6" r="4.7" fill="none" stroke="currentColor" strokeWidth="1.4" />
      <path d="M2.7 9.3 9.3 2.7" stroke="currentColor" strokeWidth="1.4" />
    </>
  ),
  ring: <circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor" strokeWidth="1.6" />,
  dash: <path d="M2 6h8" stroke="currentColor" strokeWidth="2" />,
  again: <path d="M9.8 4.2A4.3 4.3 0 1 0 10.3 7M10 1.2v3.2H6.8" fill="none" stroke="currentColor" strokeWidth="1.4" />,
  pushed: <path d="M1 8v3h10V8M6 8.5V1.5M2.8 4.4 6 1.2l3.2 3.2" fill="none" stroke="currentColor" strokeWidth="1.5" />,
  link: <path d="M5 7 7 5M4.2 5.2 2.6 6.8a1.9 1.9 0 0 0 2.7 2.7l1.6-1.6M7.8 6.8l1.6-1.6a1.9 1.9 0 0 0-2.7-2.7L5.1 4.1" fill="none" stroke="currentColor" strokeWidth="1.3" />,
};

export function Shape({ name }: { name: ShapeName }) {
  return (
    <svg className="shape" viewBox="0 0 12 12" aria-hidden="true" focusable="false">
      {drawings[name]}
    </svg>
  );
}

/** A word with its shape in the colour of its meaning; `tint` puts it on its own ground. */
export function Meaning(props: {
  meaning: MeaningName | "ink";
  shape: ShapeName;
  tint?: boolean;
  title?: string;
  children: React.ReactNode;
}) {
  return (
    <span className={`mean m-${props.meaning}${props.tint === true ? " tint" : ""}`} title={props.title}>
      <Shape name={props.shape} />
      <span>{props.children}</span>
    </span>
  );
}

// Numbers as people may trust them: every percentage rounds against us, and "100 %" means all.

/** A share that is good news (read, covered): rounded down to one decimal, 100 only when whole. */
export function goodShare(part: number, whole: number): string {
  if (whole <= 0) return "–";
  if (part >= whole) return "100 %";
  const share = Math.floor((part / whole) * 1000) / 10;
  return `${Math.min(share, 99.9).toFixed(1).replace(/\.0$/, "")} %`;
}

/** A share that is bad news (unknown, used up): rounded up to one decimal, 0 only when none. */
export function badShare(part: number, whole: number): string {
  if (whole <= 0) return "–";
  if (part <= 0) return "0 %";
  const share = Math.ceil((part / whole) * 1000) / 10;
  return `${Math.max(Math.min(share, 100), 0.1).toFixed(1).replace(/\.0$/, "")} %`;
}

/** Grouped as people read it, the same in both languages: 18,330. */
export function grouped(n: number): string {
  return new Intl.NumberFormat("en-GB").format(n);
}

/** Bytes with a unit, 1024 a step, rounded up: a cost is never shown smaller than it is. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const shown = unit === 0 || value >= 100 ? Math.ceil(value) : Math.ceil(value * 10) / 10;
  return `${grouped(shown)} ${units[unit] ?? ""}`;
}

/** The score's band: only a name for a range, never a second judgement. */
export function bandOf(score: number): "critical" | "high" | "medium" | "low" | "recorded" {
  if (score >= 90) return "critical";
  if (score >= 70) return "high";
  if (score >= 40) return "medium";
  return score >= 1 ? "low" : "recorded";
}

/** Widths in percent of the parts of a bar, each part that exists at least `least` wide. */
export function barWidths(parts: readonly number[], least = 2): number[] {
  const total = parts.reduce((sum, part) => sum + Math.max(part, 0), 0);
  if (total === 0) return parts.map(() => 0);
  const raised = parts.map((part) => (part <= 0 ? 0 : Math.max((part / total) * 100, least)));
  const sum = raised.reduce((all, width) => all + width, 0);
  return raised.map((width) => (width * 100) / sum);
}

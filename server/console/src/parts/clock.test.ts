// Instants read the same on every machine that runs this.
import { describe, expect, test } from "vitest";

import { absolute, clockOf, lengthParts, listTime } from "./clock";

const now = Date.UTC(2026, 2, 4, 5, 22, 40);
const words = (key: string, values?: { n: number }) => (values === undefined ? key : `${key} ${values.n}`);
const shown = (ago: number) => listTime(now - ago, now, true, words);

describe("clock", () => {
  test("under a day it is relative", () => {
    expect(shown(0)).toBe("now");
    expect(shown(59_000)).toBe("seconds 59");
    expect(shown(12 * 60_000)).toBe("minutes 12");
    expect(shown(23.9 * 3_600_000)).toBe("hours 23");
  });

  test("older is a date; a clock ahead of ours is shown as it is", () => {
    expect(shown(86_400_000)).toBe("03-03 05:22");
    expect(shown(400 * 86_400_000)).toBe("2025-01-28");
    expect(listTime(now + 3_600_000, now, true, words)).toBe("03-04 06:22");
  });

  test("absolute times have seconds", () => {
    expect(absolute(now, true)).toBe("2026-03-04 05:22:40");
    expect(clockOf(now, true)).toBe("05:22:40");
    expect(absolute(Number.NaN, true)).toBe("–");
  });

  test("lengths name their two largest units and never round up", () => {
    expect(lengthParts(40_000)).toEqual({ unit: "durS", s: 40 });
    expect(lengthParts(7_800_000)).toEqual({ unit: "durH", h: 2, m: 10 });
    expect(lengthParts(5 * 86_400_000 + 3_599_999)).toEqual({ unit: "durD", d: 5, h: 0 });
    expect(lengthParts(-5)).toEqual({ unit: "durS", s: 0 });
  });
});

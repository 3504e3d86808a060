// Rounding is against us, everywhere.
import { describe, expect, test } from "vitest";

import { badShare, bandOf, barWidths, bytes, goodShare, grouped } from "./numbers";

describe("numbers", () => {
  test("good news rounds down, and 100 % means all", () => {
    expect(goodShare(9_999, 10_000)).toBe("99.9 %");
    expect(goodShare(99_999_999, 100_000_000)).toBe("99.9 %");
    expect(goodShare(10_000, 10_000)).toBe("100 %");
    expect(goodShare(1, 3)).toBe("33.3 %");
    expect(goodShare(0, 3)).toBe("0 %");
    expect(goodShare(0, 0)).toBe("–");
  });

  test("bad news rounds up, and 0 % means none", () => {
    expect(badShare(1, 1_000_000)).toBe("0.1 %");
    expect(badShare(0, 10)).toBe("0 %");
    expect(badShare(1, 3)).toBe("33.4 %");
    expect(badShare(10, 10)).toBe("100 %");
  });

  test("both sides of a whole never claim more than it", () => {
    for (let part = 0; part <= 997; part += 1) {
      const good = Number(goodShare(part, 997).replace(" %", ""));
      expect(good).toBeLessThanOrEqual((part / 997) * 100 + 1e-9);
      expect(Number(badShare(part, 997).replace(" %", ""))).toBeGreaterThanOrEqual((part / 997) * 100 - 1e-9);
    }
  });

  test("bands have the bounds of the score", () => {
    expect([0, 1, 39, 40, 69, 70, 89, 90, 100].map(bandOf)).toEqual(
      ["recorded", "low", "low", "medium", "medium", "high", "high", "critical", "critical"]);
  });

  test("a bar shows every part that exists and is full", () => {
    const widths = barWidths([100_000, 1, 0]);
    expect(widths[1]).toBeGreaterThan(1.5);
    expect(widths[2]).toBe(0);
    expect(widths.reduce((sum, width) => sum + width, 0)).toBeCloseTo(100);
    expect(barWidths([0, 0])).toEqual([0, 0]);
  });

  test("bytes and counts read the same in both languages", () => {
    expect(bytes(0)).toBe("0 B");
    expect(bytes(1536)).toBe("1.5 KiB");
    expect(bytes(20_000_000)).toBe("19.1 MiB");
    expect(grouped(18_330)).toBe("18,330");
  });
});

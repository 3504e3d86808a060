// The chart's days: no gap is hidden, nothing before the first is claimed to be zero.
import { expect, test } from "vitest";

import { fillDays } from "./days";

const now = Date.UTC(2026, 2, 4, 5);

test("a single day stands at the end, and what is before it is not known", () => {
  const drawn = fillDays([{ day: "2026-03-04", new: 54, gone: 16 }], now);
  expect(drawn.length).toBe(14);
  expect(drawn.at(-1)).toEqual({ day: "2026-03-04", new: 54, gone: 16 });
  expect(drawn.at(-2)).toEqual({ day: "2026-03-03", new: null, gone: null });
});

test("a day without changes between two others is a zero", () => {
  const drawn = fillDays([{ day: "2026-03-01", new: 1, gone: 0 }, { day: "2026-03-03", new: 2, gone: 1 }], now);
  expect(drawn.slice(-4).map((day) => day.new)).toEqual([1, 0, 2, 0]);
});

test("thirty days at most, none when none is known", () => {
  expect(fillDays([{ day: "2025-01-01", new: 1, gone: 0 }], now).length).toBe(30);
  expect(fillDays([], now)).toEqual([]);
  expect(fillDays([{ day: "not a day", new: 1, gone: 0 }], now).length).toBe(14);
});

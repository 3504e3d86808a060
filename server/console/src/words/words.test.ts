// Both languages have the same keys, every message parses, and takes the same values.
import { describe, expect, test } from "vitest";

import { en } from "./en";
import { format, valuesOf as values } from "./icu";
import { zh } from "./zh";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, prefix = ""): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") all.set(prefix + key, value);
    else for (const [inner, text] of flat(value, `${prefix}${key}.`)) all.set(inner, text);
  }
  return all;
}

const english = flat(en);
const chinese = flat(zh);

describe("words", () => {
  test("both languages have the same keys", () => {
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
  });

  test("both languages take the same values", () => {
    for (const [key, message] of english) expect([key, ...values(chinese.get(key) ?? "")]).toEqual([key, ...values(message)]);
  });

  test("every message parses and formats", () => {
    for (const [language, table] of [["en", english], ["zh", chinese]] as const) {
      for (const [key, message] of table) {
        const filled = Object.fromEntries(values(message).map((name) => [name, 3]));
        expect(format(message, language, filled), `${language} ${key}`).not.toBe("");
      }
    }
  });

  test("numbers are grouped in both languages", () => {
    expect(format(en.count.places, "en", { n: 18330 })).toBe("18,330 places");
    expect(format(en.count.places, "en", { n: 1 })).toBe("1 place");
    expect(format(en.partial.clock, "en", { length: "14 min", direction: "behind" })).toContain("14 min behind;");
    expect(format(zh.count.places, "zh", { n: 18330 })).toBe("18,330 个位置");
  });

  test("Chinese uses its own punctuation, and no English is left over", () => {
    for (const [key, message] of chinese) {
      const bare = message.replace(/\{[^{}]*\}/g, "");
      expect(/[\u4e00-\u9fff][,;:!?()]/.test(bare), `${key}: ${message}`).toBe(false);
    }
  });
});

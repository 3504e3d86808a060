// Every reason that the collector gives for a score has its Chinese sentence.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { becauseInChinese } from "./because";
import { en } from "./en";

const source = readFileSync(fileURLToPath(new URL("../../../src/domain/exposure.rs", import.meta.url)), "utf8").split("#[cfg(test)]")[0] ?? "";

test("every reason of a score is said in Chinese", () => {
  const sentences = [...source.matchAll(/"((?:[a-z]+'?[a-z]* |\{tally[^}]*\} )[^"]{5,})"/g)].map((match) => (match[1] ?? "").replace(/\{[^}]*\}/g, "29"));
  expect(sentences.length).toBeGreaterThan(25);
  expect(sentences.filter((sentence) => !/[\u4e00-\u9fff]/.test(becauseInChinese(sentence)))).toEqual([]);
});

test("every line of a score has its word", () => {
  const slugs = [...source.matchAll(/\.(?:add|set)\(\s*"([a-z-]+)"/g)].map((match) => match[1] ?? "");
  expect(slugs.length).toBeGreaterThan(10);
  expect(slugs.filter((slug) => !Object.hasOwn(en.scoreLine, slug))).toEqual([]);
});

// An address reads back as it was written, and takes nothing that it should not.
import { describe, expect, test } from "vitest";

import { asCommand, filtersIn, fromWords, parseAddress, shellQuoted, sinceInstant, strangersIn, words, writeAddress } from "./address";

function check(address: Record<string, string>, text: string) {
  expect(writeAddress(address)).toBe(text);
  expect(parseAddress(text)).toEqual(address);
}

describe("address", () => {
  test("filters read back as written", () => {
    check({ presence: "present,unknown", score: "70.." }, "?presence=present,unknown&score=70..");
    check({ label: "env:prod" }, "?label=env:prod");
    check({ q: "a b&c=d#é中/x" }, "?q=a%20b%26c%3Dd%23%C3%A9%E4%B8%AD/x");
    check({ sort: "-score" }, "?sort=-score");
    check({}, "");
  });

  test("empty values vanish, the last of two wins", () => {
    expect(writeAddress({ a: "", b: undefined })).toBe("");
    expect(parseAddress("?a=1&a=2")).toEqual({ a: "2" });
  });

  test("keys that no program of ours writes are dropped, long values are cut", () => {
    expect(parseAddress("?__proto__=1&A=2&a-b=3")).toEqual({});
    expect(parseAddress(`?q=${"x".repeat(5000)}`)["q"]?.length).toBe(512);
  });

  test("words split and join", () => {
    expect(words("a, b,,c")).toEqual(["a", "b", "c"]);
    expect(fromWords([])).toBeUndefined();
    expect(fromWords(words("x,y"))).toBe("x,y");
  });

  test("unknown keys are named, known ones are counted", () => {
    const address = parseAddress("?presence=gone&colour=red&tz=utc&sort=host");
    expect(filtersIn(address, ["presence", "host"])).toEqual(["presence"]);
    expect(strangersIn(address, ["presence", "host"])).toEqual(["colour"]);
  });

  test("since takes days or an instant", () => {
    expect(sinceInstant("7d", 700_000_000)).toBe(95_160_000);
    expect(sinceInstant("1700000000000", 0)).toBe(1_700_000_000_000);
    expect(sinceInstant("yesterday", 0)).toBeUndefined();
  });

  test("a page copies as a command that a shell reads as one word per value", () => {
    expect(asCommand("credentials", { verdict: "open", score: "70..", tz: "utc" }, ["verdict", "score"]))
      .toBe("akwatch credentials --verdict open --score 70..");
    expect(shellQuoted("it's; rm -rf $HOME")).toBe("'it'\\''s; rm -rf $HOME'");
  });
});

// Hostile and endless names, ids and previews: what people see of them.
import { describe, expect, test } from "vitest";

import { causeOf, lengthClass, looksLikeId, looksSecret, markedParts, maskId, previewText, shortPath, visible } from "./places";

describe("places", () => {
  test("a path keeps its root and its last two segments", () => {
    expect(shortPath("/opt/app/a/b/c/d/e/f/conf/application.yml", 40)).toBe("/opt/app/…/conf/application.yml");
    expect(shortPath("/etc/app.env")).toBe("/etc/app.env");
    expect(shortPath("~/.bash_history")).toBe("~/.bash_history");
  });

  test("no name is wider than its room, whatever it holds", () => {
    for (const name of ["x".repeat(4000), `/${"y".repeat(300)}/${"z".repeat(300)}`, `/a/${"深".repeat(200)}/b/${"🗝".repeat(99)}.env`]) {
      expect([...shortPath(name, 48)].length).toBeLessThanOrEqual(56);
    }
  });

  test("what could turn or move the line is shown as a number", () => {
    expect(visible("a\u202egnp.exe\n\u001b[2J")).toBe("a\\u{202e}gnp.exe\\u{a}\\u{1b}[2J");
    expect(visible("配置/应用.yml <b>")).toBe("配置/应用.yml <b>");
  });

  test("an edited file is named only while the process still holds the key", () => {
    const held = { path: "/etc/app.env", line: 3 };
    const edited = { ...held, gone: true };
    expect(causeOf({ state: "present", cause: edited })).toEqual(edited);
    expect(causeOf({ state: "gone", cause: edited })).toBeUndefined();
    expect(causeOf({ state: "unknown", cause: edited })).toBeUndefined();
    expect(causeOf({ state: "gone", cause: held })).toEqual(held);
    expect(causeOf({ state: "present", cause: null })).toBeUndefined();
  });

  test("ids are masked first six, last four", () => {
    expect(maskId("AKIDz8aaaaaaaaaaaaaaaa3kPq")).toBe("AKIDz8…3kPq");
    expect(maskId("AKIDz8…3kPq")).toBe("AKIDz8…3kPq");
  });

  test("length classes name the same bounds as the agent's", () => {
    expect(previewText({ length: 0 })).toBe("••• (< 8)");
    expect(previewText({ prefix: "ghp_", length: 6 })).toBe("ghp_ ••• (36–39)");
    expect(previewText({ length: 7 })).toBe("••• (40–47)");
    expect(previewText({ length: 11 })).toBe("••• (≥ 512)");
    expect(lengthClass(99)).toEqual({});
  });

  test("replaced parts of a name are marked", () => {
    expect(markedParts("/srv/‹tencent.access-key›/x")).toEqual([
      { text: "/srv/", replaced: false }, { text: "‹tencent.access-key›", replaced: true }, { text: "/x", replaced: false }]);
    expect(shortPath("/tmp/a/b/‹generic.high-entropy-secret-0123456789›/app-‹generic.high-entropy-secret-0123456789›.env", 30)).toBe("/tmp/a/b/‹…›/app-‹…›.env");
    expect(markedParts("‹not closed")).toEqual([{ text: "‹not closed", replaced: false }]);
  });

  test("what looks like a secret is never searched", () => {
    const generated = Array.from({ length: 32 }, (_, at) => "aB3xY9kQ"[at % 8]).join("");
    expect(looksSecret(generated)).toBe(true);
    expect(looksSecret(`export KEY=${generated}`)).toBe(true);
    expect(looksSecret(`ghp${"_"}${generated}`)).toBe(true);
    for (const harmless of ["web-03", "/opt/app/conf/application.yml", "10.0.0.12", "payments.service", "cr_7f3a", "application-production-2026-03-04.yml"]) {
      expect([harmless, looksSecret(harmless)]).toEqual([harmless, false]);
    }
    expect(looksLikeId(`AKID${"z8".repeat(16)}`)).toBe(true);
    expect(looksLikeId("AKID")).toBe(false);
  });
});

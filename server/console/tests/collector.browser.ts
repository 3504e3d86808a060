// The console against a real collector: what it shows is what the collector answers. Run by the
// end-to-end suite, which gives the address and either a name and password or a one-time link:
//   AKWATCH_CONSOLE_URL       https://127.0.0.1:8443
//   AKWATCH_CONSOLE_LINK      the one-time link; sets the name and password below
//   AKWATCH_CONSOLE_NAME, AKWATCH_CONSOLE_PASSWORD
//   AKWATCH_CONSOLE_PLANT     a directory that an agent of this collector watches: generated keys are
//                             planted there, seen, removed and seen gone
// Without an address there is no collector to look at, and the suite says so by being skipped.
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { CredentialDetail, CredentialRow, FindingRow, HostRow, Overview, Page as Rows } from "../src/api/types";
import { launch, nameOf, views, Visit } from "./browser";

const url = process.env["AKWATCH_CONSOLE_URL"]?.replace(/\/$/, "");
const link = process.env["AKWATCH_CONSOLE_LINK"];
const name = process.env["AKWATCH_CONSOLE_NAME"] ?? "admin";
const password = process.env["AKWATCH_CONSOLE_PASSWORD"] ?? "";
const plant = process.env["AKWATCH_CONSOLE_PLANT"];

describe.skipIf(url === undefined)("a real collector", () => {
  const base = url ?? "";
  let browser: Browser;
  let visit: Visit;
  const keyId = generatedId();
  const standing = join(plant ?? "", "standing.env");
  beforeAll(async () => {
    if (plant === undefined) throw new Error("AKWATCH_CONSOLE_PLANT names no directory that the host's agent watches");
    await writeFile(standing, pair(keyId));
    browser = await launch();
    const view = views[0];
    if (view === undefined) throw new Error("no view is defined");
    visit = await Visit.to(browser, base, view);
  });
  afterAll(async () => {
    await visit?.close();
    await browser?.close();
    if (plant !== undefined) await rm(standing, { force: true });
  });

  const ask = <T>(path: string) =>
    visit.page.evaluate(async (asked) => (await fetch(`/api/v1${asked}`)).json() as Promise<unknown>, path) as Promise<T>;
  const held = async (what: string) => {
    expect.soft(await visit.layoutFaults(), `layout of ${what}`).toEqual([]);
    expect.soft(await visit.axe(), `axe on ${what}`).toEqual([]);
    expect.soft(visit.faults.splice(0), `faults on ${what}`).toEqual([]);
  };

  test("lets a person in", async () => {
    const { page } = visit;
    if (link !== undefined) {
      await page.goto(link.replace(/^https?:\/\/[^/]+/, base));
      await page.getByRole("heading", { name: "First sign-in" }).waitFor();
      expect(page.url()).not.toContain("token=");
      await page.getByLabel("Your name").fill(name);
      await page.getByLabel("Password, at least 12 characters").fill(password);
      await page.getByLabel("The same password again").fill(password);
      await held("first sign-in");
      await page.getByRole("button", { name: "Create administrator" }).click();
    } else {
      await page.goto(base);
      await page.getByLabel("Name").fill(name);
      await page.getByLabel("Password").fill(password);
      await held("sign-in");
      await page.getByRole("button", { name: "Sign in" }).click();
    }
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(await page.evaluate(() => document.cookie), "no script can read the session").toBe("");
  });

  test("a key that was planted before has arrived", async () => {
    await expect.poll(async () => (await ask<Rows<CredentialRow>>(`/credentials?id=${keyId}`)).total, { timeout: 30_000 }).toBe(1);
  });

  test("its overview counts what the collector counts", async () => {
    await visit.open("/");
    const overview = await ask<Overview>("/overview");
    const open = Object.values(overview.verdicts).reduce((sum, n) => sum + n, 0) - (overview.verdicts["closed"] ?? 0);
    const known = Object.values(overview.hosts).reduce((sum, n) => sum + n, 0);
    if (known === 0) await visit.page.getByText("No host is watched yet").waitFor();
    else await visit.page.getByRole("link", { name: new RegExp(`^${open.toLocaleString("en-GB")} open credential`) }).waitFor();
    await settled(visit.page);
    await visit.picture("collector-overview");
    await held("overview");
  });

  test("its lists have as many rows as the collector says", async () => {
    for (const [path, heading, asked] of [
      ["/hosts", "Hosts", "/hosts"], ["/credentials", "Credentials", "/credentials?verdict=open"], ["/findings", "Findings", "/findings?presence=present,unknown"],
    ] as const) {
      await visit.open(path);
      await visit.page.getByRole("heading", { name: heading, exact: true }).waitFor();
      await settled(visit.page);
      const { total } = await ask<Rows<HostRow>>(`${asked}${asked.includes("?") ? "&" : "?"}limit=1`);
      if (total > 0) await visit.page.getByText(new RegExp(`of ${total.toLocaleString("en-GB")}$`)).waitFor();
      await visit.picture(`collector-${heading.toLowerCase()}`);
      await held(heading);
    }
  });

  test("its hosts say what they read", async () => {
    const { rows } = await ask<Rows<HostRow>>("/hosts?limit=1");
    const host = rows[0];
    if (host === undefined) throw new Error("no host is enrolled");
    for (const tab of ["", "/findings", "/cost", "/platform", "/score"]) {
      await visit.open(`/hosts/${host.id}${tab}`);
      await settled(visit.page);
      await visit.picture(`collector-host${tab.replace("/", "-")}`);
      await held(`host ${tab}`);
    }
  });

  test("a credential has the places and the score that the collector gives", async () => {
    const { rows } = await ask<Rows<CredentialRow>>(`/credentials?limit=1&id=${keyId}`);
    const row = rows[0];
    expect(row, `a credential with the id ${keyId}`).toBeDefined();
    const detail = await ask<CredentialDetail>(`/credentials/${row?.ref ?? ""}`);
    await visit.open(`/credentials/${row?.ref ?? ""}`);
    await settled(visit.page);
    await visit.page.getByRole("heading", { name: "Exposed" }).waitFor();
    expect(await visit.page.locator("[data-row]").count()).toBe(detail.places.length);
    await visit.picture("collector-credential");
    await held("credential");
    await visit.open(`/credentials/${row?.ref ?? ""}/score`);
    expect(detail.score.lines.reduce((sum, line) => sum + line.points, 0), "the lines add up").toBe(detail.score.value);
    await visit.page.getByText(`add up to ${detail.score.value}`).or(visit.page.getByText(`adds up to ${detail.score.value}`)).waitFor();
    await visit.open(`/credentials/${row?.ref ?? ""}/timeline`);
    await visit.picture("collector-timeline");
    await held("timeline");
  });

  test("a decision made here is what the collector has, and stands in its log", async () => {
    const { page } = visit;
    const { rows } = await ask<Rows<CredentialRow>>(`/credentials?verdict=open&limit=1&id=${keyId}`);
    const row = rows[0];
    expect(row, `an open credential with the id ${keyId}`).toBeDefined();
    await visit.open(`/credentials/${row?.ref ?? ""}`);
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByText("Acknowledged, on record").waitFor();
    await page.getByRole("button", { name: "Start rotation" }).waitFor();
    const { decision } = await ask<CredentialDetail>(`/credentials/${row?.ref ?? ""}`);
    expect(decision).toMatchObject({ disposition: "acknowledged", version: 1, by: name });
    await visit.picture("collector-decision");
    await held("a decision");
    await visit.open("/audit?action=decide");
    await page.getByRole("cell", { name: /new → acknowledged/ }).first().waitFor();
    await visit.picture("collector-audit");
    await held("audit");
  });

  test("a planted key is offered at once, and its page turns gone when it is removed", async () => {
    const { page } = visit;
    const file = join(plant ?? "", "live.env");
    await visit.open("/credentials");
    await settled(page);
    await page.getByText("Live", { exact: true }).waitFor();
    const id = generatedId();
    const planted = Date.now();
    await writeFile(file, pair(id));
    try {
      await page.getByRole("button", { name: /changes? · Show/ }).or(page.getByText(id.slice(0, 6))).first().waitFor();
      const offered = Date.now() - planted;
      await expect.poll(async () => (await ask<Rows<CredentialRow>>(`/credentials?id=${id}`)).total, { timeout: 30_000 }).toBe(1);
      await page.getByRole("combobox", { name: "Search" }).fill(id);
      await page.getByText("Credential with this id").click();
      await page.getByRole("heading", { name: "Exposed" }).waitFor();
      const removed = Date.now();
      await rm(file);
      await page.getByRole("heading", { name: "Gone, not rotated" }).waitFor();
      console.info(`offered after ${offered} ms, gone on the page after ${Date.now() - removed} ms`);
      await visit.picture("collector-gone");
      await held("a credential that is gone");
    } finally {
      await rm(file, { force: true });
    }
  });

  test("no page asks for, or holds, more of a secret than the collector sends", async () => {
    const { rows } = await ask<Rows<FindingRow>>("/findings?limit=200");
    for (const row of rows) expect(Object.keys(row)).not.toContain("secret");
  });

  for (const view of views.slice(1)) {
    test(`its pages in ${nameOf(view)}`, async () => {
      await visit.page.setViewportSize({ width: view.width, height: view.height });
      await visit.page.evaluate(([language, theme]) => localStorage.setItem("akwatch.preferences", JSON.stringify({ language, theme, hideIds: false })), [view.language, view.theme] as const);
      for (const path of ["/", "/credentials", "/findings", "/hosts", "/audit"]) {
        await visit.open(path);
        await settled(visit.page);
        await visit.picture(`collector-${path.slice(1) || "overview"}-${nameOf(view)}`);
        await held(path);
      }
    });
  }
});

/** An id of Tencent Cloud's form. */
function generatedId(): string {
  return ["AK", "ID", alphanumeric(32)].join("");
}

/** The lines of a configuration that hold `id` and a secret. */
function pair(id: string): string {
  return `TENCENTCLOUD_SECRET_ID=${id}\nTENCENTCLOUD_SECRET_KEY=${alphanumeric(32)}\n`;
}

/** Random letters and digits, made at run time: no key is ever written down in a test. */
function alphanumeric(length: number): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length] ?? "A").join("");
}

/** Nothing is loading any more. */
async function settled(page: Page): Promise<void> {
  await expect.poll(() => page.locator("[role=status][aria-label]").count(), { timeout: 20_000 }).toBe(0);
}

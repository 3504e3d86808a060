// How people come in: by password, by a one-time link, and back after their session has ended.
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { launch, Visit, type View } from "./browser";
import { serve, type Fixture, type Options } from "./fixture/server";

const english: View = { language: "en", theme: "light", width: 1366, height: 768 };

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => browser?.close());

let fixture: Fixture;
let visit: Visit;
const start = async (options: Options, view: View = english) => {
  fixture = await serve(options);
  visit = await Visit.to(browser, fixture.url, view);
  return visit.page;
};
afterEach(async () => {
  expect.soft(visit.faults).toEqual([]);
  await visit.close();
  await fixture.close();
});

describe("signing in", () => {
  test("leads back to the page that was asked for", async () => {
    const page = await start({ fleet: "full", signedIn: false });
    await visit.open("/credentials?score=70..");
    await page.getByLabel("Name").fill("oncall-1");
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Name or password not accepted").waitFor();
    await visit.picture("sign-in-refused");
    expect(await visit.axe()).toEqual([]);
    await page.getByLabel("Password").fill("a long enough passphrase");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Credentials", exact: true }).waitFor();
    expect(new URL(page.url()).search).toBe("?score=70..");
  });

  test("an ended session is noticed, and leads back after signing in", async () => {
    const page = await start({ fleet: "full" });
    await visit.open("/hosts");
    await page.locator("[data-row]").first().waitFor();
    fixture.endSessions();
    await page.keyboard.press("g");
    await page.keyboard.press("f");
    await page.getByText("Your session has ended.").waitFor();
    await page.getByLabel("Name").fill("oncall-1");
    await page.getByLabel("Password").fill("a long enough passphrase");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Findings", exact: true }).waitFor();
  });

  test("never follows an address of another site", async () => {
    const page = await start({ fleet: "full", signedIn: false });
    await visit.open("/sign-in?next=//evil.example/x");
    await page.getByLabel("Name").fill("oncall-1");
    await page.getByLabel("Password").fill("a long enough passphrase");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(new URL(page.url()).origin).toBe(fixture.url);
  });

  for (const link of ["/#/first-sign-in?token=one-time", "/first-sign-in?token=one-time"]) {
    test(`the one-time link ${link} leaves the address at once`, async () => {
      const page = await start({ fleet: "empty", signedIn: false });
      await visit.open(link);
      await page.getByRole("heading", { name: "First sign-in" }).waitFor();
      expect(page.url()).not.toContain("one-time");
      await page.getByLabel("Your name").fill("admin");
      await page.getByLabel("Password, at least 12 characters").fill("short");
      await page.getByLabel("The same password again").fill("other");
      await page.getByRole("button", { name: "Create administrator" }).click();
      await page.getByText("7 characters more needed.").waitFor();
      await page.getByText("The two passwords differ.").waitFor();
      await visit.picture("first-sign-in");
      await page.getByLabel("Password, at least 12 characters").fill("a long enough passphrase");
      await page.getByLabel("The same password again").fill("a long enough passphrase");
      await page.getByRole("button", { name: "Create administrator" }).click();
      await page.getByText("No host is watched yet").waitFor();
      const sent = fixture.heard.find(({ call }) => call === "POST /api/v1/first-sign-in");
      expect(JSON.parse(sent?.body ?? "{}")).toEqual({ token: "one-time", name: "admin", password: "a long enough passphrase" });
      expect(fixture.heard.some(({ call }) => call.includes("token="))).toBe(link.startsWith("/first"));
    });
  }
});

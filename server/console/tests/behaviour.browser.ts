// What people do in the console: filter, walk by keyboard, meet live changes, errors and a
// search that refuses secrets. Each test asserts words and counts on the page.
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

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

describe("lists", () => {
  beforeEach(async () => {
    await start({ fleet: "full" });
  });

  test("a filter is an address, and Back takes it away", async () => {
    const { page } = visit;
    await visit.open("/findings");
    const open = fixture.fleet.findings.filter((finding) => finding.state !== "gone").length;
    await page.getByText(`${open} places`).waitFor();
    await page.getByRole("button", { name: /^Presence/ }).click();
    await page.getByRole("checkbox", { name: "Gone" }).check();
    await page.waitForURL(/presence=gone/);
    await page.getByRole("button", { name: "Remove filter Presence: Gone" }).waitFor();
    const gone = fixture.fleet.findings.filter((finding) => finding.state === "gone").length;
    await page.getByText(`${gone} places`).waitFor();
    await page.reload();
    await page.getByText(`${gone} places`).waitFor();
    await page.goBack();
    await page.getByText(`${open} places`).waitFor();
  });

  test("a filter that matches nothing says so and offers the way out", async () => {
    const { page } = visit;
    await visit.open("/credentials?provider=baidu&score=90..");
    await page.getByText("No row matches 2 filters.").waitFor();
    await visit.picture("no-match");
    await page.getByRole("button", { name: "Clear the last one (Score: 90..)" }).click();
    await page.waitForURL((url) => url.search === "?provider=baidu");
  });

  test("a temporary credential says when it ends, and that it has", async () => {
    const { page } = visit;
    await visit.open("/credentials");
    const row = (ends: (at: number) => boolean) => {
      const found = fixture.fleet.credentials.find(({ credential }) =>
        credential.expires !== undefined && credential.expires !== null && ends(credential.expires) && credential.verdict !== "closed");
      return page.getByRole("row").filter({ has: page.locator(`a[href*="${found?.credential.ref ?? "none"}"]`) });
    };
    await row((at) => at < Date.now()).getByText("EXPIRED").first().waitFor();
    const later = row((at) => at > Date.now());
    await later.getByText("Expires").first().waitFor();
    expect(await later.getByText("EXPIRED").count()).toBe(0);
  });

  test("an unknown key in the address is kept, named and not sent", async () => {
    const { page } = visit;
    await visit.open("/hosts?colour=red");
    await page.getByText("Not understood and left out: colour").waitFor();
    expect(page.url()).toContain("colour=red");
    expect(fixture.heard.filter(({ call }) => call.includes("colour") && call.includes("/api/"))).toEqual([]);
  });

  test("live changes wait above the list until they are asked for", async () => {
    const { page } = visit;
    await visit.open("/credentials");
    await page.locator("[data-row]").first().waitFor();
    await expect.poll(() => fixture.listening).toBe(1);
    const before = fixture.heard.filter(({ call }) => call.startsWith("GET /api/v1/credentials")).length;
    const rows = fixture.fleet.credentials.slice(0, 3).map((each) => each.credential.ref);
    fixture.emit({ event: "findings", host: "h", findings: [], credentials: rows });
    await page.getByRole("button", { name: "3 changes · Show" }).waitFor();
    await visit.picture("changes");
    expect(fixture.heard.filter(({ call }) => call.startsWith("GET /api/v1/credentials")).length).toBe(before);
    await page.getByRole("button", { name: "3 changes · Show" }).click();
    await expect.poll(() => fixture.heard.filter(({ call }) => call.startsWith("GET /api/v1/credentials")).length).toBe(before + 1);
  });

  test("a failed answer names its request, and the retry works", async () => {
    const { page } = visit;
    fixture.broken.add("/api/v1/hosts");
    await visit.open("/hosts");
    await page.getByText("The collector could not answer (request 8f2c). Nothing was changed.").waitFor();
    await visit.picture("failed");
    expect(await visit.axe()).toEqual([]);
    fixture.broken.clear();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("48 hosts").waitFor();
  });

  test("while answers wait the frame stands and says so", async () => {
    const { page } = visit;
    let release = () => undefined as void;
    fixture.hold = new Promise<void>((done) => { release = done; });
    await visit.open("/credentials");
    await page.getByRole("status", { name: "Loading" }).waitFor();
    await page.waitForTimeout(300);
    await visit.picture("loading");
    expect(await visit.axe()).toEqual([]);
    expect(await page.locator(".ant-spin-spinning").count(), "no full-page spinner").toBe(0);
    release();
    await page.locator("[data-row]").first().waitFor();
  });

  test("a lost stream is said, with since when", async () => {
    const { page } = visit;
    await visit.open("/hosts");
    await expect.poll(() => fixture.listening).toBe(1);
    fixture.broken.add("/api/v1/events");
    fixture.cutStreams();
    await page.getByText(/Connection lost \d+ s ago; showing/).waitFor();
    await visit.picture("live-lost");
    fixture.broken.clear();
    await expect.poll(() => fixture.listening, { timeout: 20_000 }).toBe(1);
    await page.getByText(/Connection lost/).first().waitFor({ state: "detached" });
  });
});

describe("one credential", () => {
  test("follows live events at once", async () => {
    const page = await start({ fleet: "full" });
    const detail = fixture.fleet.credentials[0];
    if (detail === undefined) throw new Error("the fleet is empty");
    await visit.open(`/credentials/${detail.credential.ref}`);
    await page.getByRole("heading", { name: "Exposed" }).waitFor();
    await expect.poll(() => fixture.listening).toBe(1);
    detail.credential.verdict = "closed";
    detail.credential.places = { present: 0, unknown: 0, gone: 41 };
    fixture.emit({ event: "findings", host: "h", findings: [], credentials: [detail.credential.ref] });
    await page.getByRole("heading", { name: "Closed" }).waitFor();
    await page.getByText("Verified gone in all 41 places.").waitFor();
    await visit.picture("credential-closed");
  });

  test("the lines of its score add up, and a disagreement is said", async () => {
    const page = await start({ fleet: "full" });
    const detail = fixture.fleet.credentials[0];
    if (detail === undefined) throw new Error("the fleet is empty");
    await visit.open(`/credentials/${detail.credential.ref}/score`);
    await page.getByText("3 lines add up to 97").waitFor();
    detail.score.lines.pop();
    await page.reload();
    await page.getByText(/The lines sent add up to \d+, not to 97/).waitFor();
  });

  test("that is not there is not a dead end", async () => {
    const page = await start({ fleet: "full" });
    await visit.open("/overview-that-is-not");
    await page.getByRole("link", { name: "Go to the overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.goto(`${fixture.url}/credentials/cr_nothing`);
    await page.getByText("There is no such credential.").waitFor();
  });
});

describe("by keyboard", () => {
  test("from the overview to a credential, on to the next and back to the same row", async () => {
    const page = await start({ fleet: "full" });
    await visit.open("/");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("c");
    await page.getByRole("heading", { name: "Credentials", exact: true }).waitFor();
    await page.locator("[data-row]").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const focused = () => page.evaluate(() => (document.activeElement as HTMLElement | null)?.dataset["row"]);
    const second = fixture.fleet.credentials.filter((each) => each.credential.verdict !== "closed")[1]?.credential.ref;
    expect(await focused()).toBe(second);
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(`/credentials/${second ?? ""}`));
    await page.getByText("2 / 28").waitFor();
    await page.keyboard.press("2");
    await page.waitForURL(/\/timeline$/);
    await page.keyboard.press("]");
    await page.getByText("3 / 28").waitFor();
    await page.keyboard.press("[");
    await page.getByText("2 / 28").waitFor();
    await page.keyboard.press("u");
    await page.getByRole("heading", { name: "Credentials", exact: true }).waitFor();
    await expect.poll(focused).toBe(second);
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("previous, next of that list").waitFor();
    await visit.picture("keys");
    expect(await visit.axe()).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("t");
    await page.waitForURL(/tz=utc/);
  });
});

describe("ids and secrets", () => {
  test("a viewer sees masked ids, and so does whoever hides them", async () => {
    const page = await start({ fleet: "full", role: "viewer" });
    const whole = fixture.fleet.credentials.find((each) => each.credential.credential_id !== undefined)?.credential;
    await visit.open(`/credentials/${whole?.ref ?? ""}`);
    await page.getByRole("heading").first().waitFor();
    await page.getByText(`${whole?.credential_id?.slice(0, 6) ?? ""}…`).first().waitFor();
    expect(await page.content()).not.toContain(whole?.credential_id ?? "nothing");
  });

  test("hiding ids hides them everywhere at once", async () => {
    const page = await start({ fleet: "full" });
    const whole = fixture.fleet.credentials[0]?.credential;
    await visit.open(`/credentials/${whole?.ref ?? ""}`);
    await page.getByText(whole?.credential_id ?? "").first().waitFor();
    await page.getByRole("button", { name: "Hide ids" }).click();
    await page.getByText(`${whole?.credential_id?.slice(0, 6) ?? ""}…`).first().waitFor();
    expect(await page.locator("body").innerText()).not.toContain(whole?.credential_id ?? "nothing");
    expect(await page.title()).not.toContain(whole?.credential_id ?? "nothing");
  });

  test("what looks like a secret is refused before any request", async () => {
    const page = await start({ fleet: "full" });
    await visit.open("/");
    await expect.poll(() => fixture.listening).toBe(1);
    const generated = Array.from({ length: 36 }, (_, at) => "aB3xY9kQ7z"[at % 10]).join("");
    const before = fixture.heard.length;
    const field = page.getByRole("combobox", { name: "Search" });
    await field.click();
    await page.keyboard.insertText(generated);
    await page.getByText("This looks like a secret, so it was not searched or sent.").waitFor();
    await visit.picture("search-refused");
    expect(await field.inputValue()).toBe("");
    expect(fixture.heard.slice(before).filter(({ call }) => call.startsWith("POST"))).toEqual([]);
    expect(JSON.stringify(fixture.heard)).not.toContain(generated);
    expect(page.url()).not.toContain(generated);
  });

  test("a key id is asked for in a body and leads to its credential", async () => {
    const page = await start({ fleet: "full" });
    await visit.open("/");
    const whole = fixture.fleet.credentials.find((each) => each.credential.provider !== "github" && each.credential.credential_id !== undefined)?.credential;
    await page.getByRole("combobox", { name: "Search" }).fill(whole?.credential_id ?? "");
    await page.getByText("Credential with this id").click();
    await page.waitForURL(new RegExp(whole?.ref ?? "x"));
    expect(fixture.heard.filter(({ call }) => call.includes(whole?.credential_id ?? "x"))).toEqual([]);
  });
});

describe("size", () => {
  test("a long list is virtual, keeps its roles and loads page by page", async () => {
    const page = await start({ fleet: "large" });
    await visit.open("/findings");
    await page.getByText("1–200 of").waitFor();
    await page.getByRole("button", { name: /^Load \d+ more$/ }).click();
    await page.getByText("1–400 of").waitFor();
    expect(await page.getByRole("table", { name: "Findings" }).first().getAttribute("aria-rowcount")).toBe(String(fixture.fleet.findings.filter((each) => each.state !== "gone").length));
    expect(await page.locator("[data-row]").count()).toBeLessThan(100);
    await visit.picture("large-findings");
    expect(await visit.axe()).toEqual([]);
  });

  test("on a phone the verdict, the reach and every link are there", async () => {
    const page = await start({ fleet: "full" }, { ...english, width: 390, height: 844 });
    await visit.open(`/credentials/${fixture.fleet.credentials[0]?.credential.ref ?? ""}`);
    await page.getByRole("heading", { name: "Exposed" }).waitFor();
    expect(await visit.layoutFaults()).toEqual([]);
    await visit.picture("phone-credential");
    await visit.open("/sign-in");
    await visit.picture("phone-sign-in");
    expect(await visit.layoutFaults()).toEqual([]);
  });

  test("retiring a host names what happens to its findings", async () => {
    const page = await start({ fleet: "full" });
    const live = fixture.fleet.hosts.find((each) => each.host.state === "live")?.host;
    await visit.open(`/hosts/${live?.id ?? ""}`);
    await page.getByRole("button", { name: "Retire host" }).click();
    await page.getByText(/as not verified, not as gone\./).last().waitFor();
    await visit.picture("retire");
    expect(await visit.axe()).toEqual([]);
    await page.getByRole("button", { name: "Retire 1 host" }).click();
    await expect.poll(() => fixture.heard.some(({ call }) => call === `POST /api/v1/hosts/${live?.id ?? ""}/retire`)).toBe(true);
  });
});

describe("decisions", () => {
  test("the next step is one button or one key, and a reason is asked where one is needed", async () => {
    const page = await start({ fleet: "full", role: "responder" });
    const detail = fixture.fleet.credentials.find((each) => each.credential.disposition === "new" && each.credential.places.present > 0);
    await visit.open(`/credentials/${detail?.credential.ref ?? ""}`);
    await page.getByRole("button", { name: "Acknowledge" }).waitFor();
    await page.keyboard.press("a");
    await page.getByText("Acknowledged, on record").waitFor();
    await page.getByRole("button", { name: "Start rotation" }).click();
    await page.getByText("Rotating, on record").waitFor();
    await page.getByRole("button", { name: "Mark rotated…" }).waitFor();
    await visit.picture("decide-rotating");
    await page.keyboard.press("r");
    await page.getByRole("dialog").getByText(/becomes? an alarm/).waitFor();
    await visit.picture("decide-rotated");
    expect(await visit.axe()).toEqual([]);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "False positive…" }).click();
    await page.getByRole("button", { name: "Mark as false positive" }).click();
    await page.getByText("Say why: colleagues will ask.").waitFor();
    await page.getByLabel("Why").fill("a test's key, never valid anywhere");
    await page.keyboard.press("Control+Enter");
    await page.getByText("False positive, on record").waitFor();
    await page.getByText("a test's key, never valid anywhere").first().waitFor();
    await visit.picture("decide-false-positive");
    const sent = fixture.heard.filter(({ call }) => call.startsWith("PUT")).map(({ body }) => JSON.parse(body) as { version: number });
    expect(sent.map((each) => each.version)).toEqual([0, 1, 2]);
  });

  test("the slower of two responders is told who was faster, and sees what stands", async () => {
    const page = await start({ fleet: "full", role: "admin" });
    const detail = fixture.fleet.credentials.find((each) => each.credential.disposition === "new");
    await visit.open(`/credentials/${detail?.credential.ref ?? ""}`);
    await page.getByRole("button", { name: "Acknowledge" }).waitFor();
    if (detail !== undefined) {
      detail.decision = { disposition: "rotating", version: 4, by: "ben", at: Date.now() };
      detail.credential.disposition = "rotating";
    }
    await page.keyboard.press("a");
    await page.getByText(/ben has decided since you looked: rotating/).waitFor();
    await page.getByRole("button", { name: "Mark rotated…" }).waitFor();
    visit.faults.splice(0);
  });

  test("a viewer decides nothing, and an auditor sees the log alone", async () => {
    const page = await start({ fleet: "full", role: "viewer" });
    await visit.open(`/credentials/${fixture.fleet.credentials[0]?.credential.ref ?? ""}`);
    await page.getByRole("tab", { name: /Blast radius/ }).waitFor();
    expect(await page.getByRole("button", { name: /Acknowledge|Start rotation|More/ }).count()).toBe(0);
    expect(await page.getByRole("link", { name: "Audit" }).count()).toBe(0);
    await visit.close();
    await fixture.close();
    const log = await start({ fleet: "full", role: "auditor" });
    await visit.open("/");
    await log.getByRole("heading", { name: "Audit" }).waitFor();
    await log.getByText("1–200 of 240").waitFor();
    expect(await log.getByRole("link", { name: "Credentials" }).count()).toBe(0);
    await log.getByRole("button", { name: "Load 40 more" }).click();
    await log.getByText("1–240 of 240").waitFor();
    await visit.picture("audit-auditor");
  });
});

describe("enrollment", () => {
  test("a string is shown once, with what to do, and is nowhere afterwards", async () => {
    const page = await start({ fleet: "full", role: "admin" });
    await visit.open("/enrollment");
    await page.getByText("3 of 10").waitFor();
    await visit.picture("enrollment");
    expect(await visit.axe()).toEqual([]);
    await page.getByRole("button", { name: "New enrollment token" }).click();
    await page.getByLabel("Labels for its hosts (optional)").fill("prod");
    await page.getByRole("button", { name: "Create token" }).click();
    await page.getByText("A label looks like env=prod.").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "New enrollment token" }).click();
    await page.getByLabel("Labels for its hosts (optional)").fill("env=prod");
    await page.getByLabel("Note (optional)").fill("the web tier");
    await visit.picture("enrollment-new");
    await page.getByRole("button", { name: "Create token" }).click();
    const shown = page.getByText(/^akwatch1:/);
    await shown.waitFor();
    const text = await shown.innerText();
    await visit.picture("enrollment-made");
    expect(await visit.axe()).toEqual([]);
    expect(page.url()).not.toContain("akwatch1");
    const asked = fixture.heard.filter(({ call }) => call === "POST /api/v1/enrollment-tokens").map(({ body }) => JSON.parse(body) as object);
    expect(asked).toEqual([{ uses: 1, seconds: 3600, labels: { env: "prod" }, note: "the web tier" }]);
    await page.getByRole("button", { name: "I have copied it" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByText("the web tier").waitFor();
    expect(await page.content()).not.toContain(text);
    await page.getByRole("button", { name: "Revoke token T0ken1dForTest" }).click();
    await page.getByRole("button", { name: "Revoke token", exact: true }).click();
    await page.getByText("Token revoked").waitFor();
    await page.getByText("the web tier").waitFor({ state: "detached" });
  });

  test("who may not let hosts in does not see the page", async () => {
    const page = await start({ fleet: "full", role: "responder" });
    await visit.open("/");
    await page.getByRole("link", { name: "Hosts" }).first().waitFor();
    expect(await page.getByRole("link", { name: "Enrollment" }).count()).toBe(0);
  });
});

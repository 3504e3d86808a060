// Every page with a full, an empty, a partial and a hostile fleet, in both languages and themes and at
// two sizes: no fault, no foreign request, nothing serious for axe, no layout broken, and a picture.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { launch, nameOf, views, Visit } from "./browser";
import { serve, type Fixture } from "./fixture/server";
import type { FleetName } from "./fixture/fleet";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => browser?.close());

const worst = (fixture: Fixture) => fixture.fleet.credentials[0]?.credential.ref ?? "none";
const anyHost = (fixture: Fixture, state: string) => fixture.fleet.hosts.find((host) => host.host.state === state)?.host.id ?? "none";

type Paths = Array<[name: string, path: (fixture: Fixture) => string]>;

const all: Paths = [
  ["overview", () => "/"],
  ["credentials", () => "/credentials"],
  ["credential", (fixture) => `/credentials/${worst(fixture)}`],
  ["credential-timeline", (fixture) => `/credentials/${worst(fixture)}/timeline`],
  ["credential-score", (fixture) => `/credentials/${worst(fixture)}/score`],
  ["findings", () => "/findings"],
  ["finding", (fixture) => `/findings?row=${fixture.fleet.findings[0]?.ref ?? ""}`],
  ["hosts", () => "/hosts"],
  ["host", (fixture) => `/hosts/${anyHost(fixture, "live")}`],
  ["host-silent", (fixture) => `/hosts/${anyHost(fixture, "silent")}`],
  ["host-findings", (fixture) => `/hosts/${fixture.fleet.hosts[0]?.host.id ?? ""}/findings`],
  ["host-cost", (fixture) => `/hosts/${anyHost(fixture, "live")}/cost`],
  ["audit", () => "/audit"],
  ["enrollment", () => "/enrollment"],
  ["host-platform", (fixture) => `/hosts/${anyHost(fixture, "live")}/platform`],
];
const lists: Paths = all.filter(([name]) => ["overview", "credentials", "findings", "hosts"].includes(name));
const some: Paths = all.filter(([name]) => ["overview", "credentials", "credential", "findings", "finding", "hosts", "host"].includes(name));

const fleets: Array<[FleetName, Paths]> = [["full", all], ["empty", lists], ["partial", lists], ["clean", lists], ["hostile", some]];

for (const [name, paths] of fleets) {
  describe(`a ${name} fleet`, () => {
    let fixture: Fixture;
    beforeAll(async () => {
      fixture = await serve({ fleet: name });
    });
    afterAll(async () => fixture?.close());
    for (const view of name === "full" ? views : views.slice(0, 2)) {
      test(nameOf(view), async () => {
        const visit = await Visit.to(browser, fixture.url, view);
        try {
          for (const [page, path] of paths) {
            await visit.open(path(fixture));
            await visit.page.waitForLoadState("load");
            await visit.page.locator("[role=status][aria-label]").waitFor({ state: "detached" }).catch(() => undefined);
            await visit.page.waitForTimeout(150);
            await visit.picture(`${name}-${page}-${nameOf(view)}`);
            expect.soft(await visit.layoutFaults(), `layout of ${page}`).toEqual([]);
            expect.soft(await visit.axe(), `axe on ${page}`).toEqual([]);
            expect.soft(visit.faults.splice(0), `faults on ${page}`).toEqual([]);
          }
        } finally {
          await visit.close();
        }
      });
    }
  });
}

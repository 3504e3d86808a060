// The order in which a credential's places are worked through.
import { expect, test } from "vitest";

import type { FindingRow } from "../../api/types";
import { groupPlaces, type Grouping } from "./groups";

function place(ref: string, over: Partial<FindingRow> & { unit?: string } = {}): FindingRow {
  const { unit, ...rest } = over;
  return {
    ref, host: "h", host_name: "web-01", credential: "cr_1", rule: "aws.access-key", provider: "aws", kind: "access-key-pair", confidence: "paired",
    location: { type: "file", path: `/${ref}`, line: 1, end_line: 1 }, reach: {}, origin: unit === undefined ? {} : { unit }, presence: { state: "present", since: 0 },
    state: "present", delivered: false, score: 50, why_new: "host-new", returns: 0, first_seen: 0, last_verified: 0, received: 0, ...rest,
  };
}

function check(places: FindingRow[], grouping: Grouping, expected: Array<[string, string, string[]]>) {
  expect(groupPlaces(places, grouping).map((group) => [group.kind, group.name, group.rows.map((row) => row.ref)])).toEqual(expected);
}

test("services with most open places first, then the rest, deliveries last", () => {
  check(
    [place("a"), place("b", { unit: "one.service" }), place("c", { unit: "two.service" }), place("d", { unit: "two.service" }), place("e", { delivered: true, unit: "one.service" })],
    "service",
    [["named", "two.service", ["c", "d"]], ["named", "one.service", ["b"]], ["rest", "", ["a"]], ["delivered", "", ["e"]]],
  );
});

test("present before unknown before gone, the worse first", () => {
  check(
    [place("a", { state: "gone" }), place("b", { state: "unknown" }), place("c", { score: 40 }), place("d", { score: 90 })],
    "none",
    [["named", "", ["d", "c", "b", "a"]]],
  );
});

test("by host", () => {
  check([place("a"), place("b", { host: "i", host_name: "db-02" }), place("c", { host: "i", host_name: "db-02", state: "gone" })], "host",
    [["named", "db-02", ["b", "c"]], ["named", "web-01", ["a"]]]);
});

test("two hosts that claim one name are two groups", () => {
  check([place("a"), place("b", { host: "j" })], "host", [["named", "web-01", ["a"]], ["named", "web-01", ["b"]]]);
});

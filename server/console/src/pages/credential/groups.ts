// How a credential's places are put together: by the service that they would break, by host, or not
// at all; present before unknown before gone. Pure, so that the order is tested.
import type { FindingRow } from "../../api/types";

export type Grouping = "service" | "host" | "none";

export interface Group {
  key: string;
  /** A service or host by name, places of no service, or what a secret store delivers. */
  kind: "named" | "rest" | "delivered";
  name: string;
  rows: FindingRow[];
}

const rank = { present: 0, unknown: 1, gone: 2 } as const;

/** The groups, the one with most open places first, deliveries last. */
export function groupPlaces(places: readonly FindingRow[], grouping: Grouping): Group[] {
  const groups = new Map<string, Group>();
  for (const place of places) {
    const [kind, name] = nameOf(place, grouping);
    // Two hosts may claim one name: they stay two groups.
    const key = `${kind}\u0000${name}\u0000${grouping === "host" ? place.host : ""}`;
    const group = groups.get(key) ?? { key, kind, name, rows: [] };
    group.rows.push(place);
    groups.set(key, group);
  }
  const all = [...groups.values()];
  for (const group of all) group.rows.sort(before);
  return all.sort((a, b) => order(a) - order(b) || open(b) - open(a) || b.rows.length - a.rows.length || compare(a.name, b.name));
}

function nameOf(place: FindingRow, grouping: Grouping): [Group["kind"], string] {
  if (place.delivered) return ["delivered", ""];
  if (grouping === "none") return ["named", ""];
  if (grouping === "host") return ["named", place.host_name];
  const service = place.origin.unit ?? place.origin.container ?? (place.location.type === "process" ? place.location.workload : undefined);
  return service === undefined || service === null || service === "" ? ["rest", ""] : ["named", service];
}

const order = (group: Group): number => (group.kind === "delivered" ? 2 : group.kind === "rest" ? 1 : 0);
const open = (group: Group): number => group.rows.filter((row) => row.state !== "gone").length;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function before(a: FindingRow, b: FindingRow): number {
  return rank[a.state] - rank[b.state] || b.score - a.score || compare(a.host_name, b.host_name) || compare(a.location.path, b.location.path) || compare(a.ref, b.ref);
}

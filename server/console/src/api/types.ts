// The names that the console uses for the collector's answers. Their shapes are generated from the
// collector's own description (`npm run gen`); nothing is written by hand here.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Confidence = Schemas["Confidence"];
export type Cause = Schemas["Cause"];
export type CostReceipt = Schemas["CostReceipt"];
export type Coverage = Schemas["Coverage"];
export type Covered = Schemas["Covered"];
export type AuditEntry = Schemas["AuditEntry"];
export type CredentialDetail = Schemas["CredentialDetail"];
export type CredentialRow = Schemas["CredentialRow"];
export type Day = Schemas["Day"];
export type Decide = Schemas["Decide"];
export type Decision = Schemas["Decision"];
export type Disposition = Schemas["Disposition"];
export type EnrollmentToken = Schemas["EnrollmentToken"];
export type NewEnrollmentToken = Schemas["NewEnrollmentToken"];
export type Event = Schemas["Event"];
export type FindingRow = Schemas["FindingRow"];
export type Git = Schemas["Git"];
export type HostDetail = Schemas["HostDetail"];
export type HostRow = Schemas["HostRow"];
export type HostState = Schemas["HostState"];
export type HostsChosen = Schemas["HostsChosen"];
export type Kind = Schemas["Kind"];
export type Location = Schemas["Location"];
export type Me = Schemas["Me"];
export type Overview = Schemas["Overview"];
export type PauseHosts = Schemas["PauseHosts"];
export type Presence = Schemas["Presence"];
export type PresenceCounts = Schemas["PresenceCounts"];
export type Preview = Schemas["Preview"];
export type Proof = Schemas["Proof"];
export type Reach = Schemas["Reach"];
export type Refused = Schemas["Refused"];
export type Role = Schemas["Role"];
export type Score = Schemas["Score"];
export type ScoreLine = Schemas["ScoreLine"];
export type SetAside = Schemas["SetAside"];
export type SourceCoverage = Schemas["SourceCoverage"];
export type TimelineEntry = Schemas["TimelineEntry"];
export type Verdict = Schemas["Verdict"];

/** One page of a list. */
export interface Page<Row> {
  rows: Row[];
  total: number;
  next?: string | null;
}

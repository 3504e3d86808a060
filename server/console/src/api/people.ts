// The collector's answers as it writes them, by hand until its description is generated.
export type Time = number;
export type HostState = "pending" | "live" | "silent" | "retired";
export type Verdict =
  | "exposed" | "rotated-still-present" | "not-verified" | "rotated-not-verified"
  | "gone-not-rotated" | "closed";
export type Disposition =
  | "new" | "acknowledged" | "rotating" | "rotated" | "false-positive" | "accepted";
export type Role = "viewer" | "responder" | "admin" | "auditor";
export type Confidence = "contextual" | "strong" | "paired" | "proven" | "unknown";
export type Covered = "whole" | "partly" | "unknown";
export type PresenceState = "present" | "gone" | "unknown";
export type Kind =
  | "access-key-pair" | "secret-key" | "temporary-credential" | "private-key" | "token"
  | "password" | "reference" | "unknown";
export type WhyNew = "place-changed" | "rule-new" | "host-new" | "unknown";
export type Rung = "full" | "reduced" | "heartbeat-only" | "paused" | "unknown";
export type Encoding = string;

export interface FirstSignIn { token: string; name: string; password: string }
export interface SignIn { name: string; password: string }
export interface Me { name: string; role: Role; collector: string; version: string; time: Time }
export interface PresenceCounts { present: number; gone: number; unknown: number }
export interface ScoreLine { what: string; because: string; points: number }
export interface Score { value: number; lines: ScoreLine[] }
export interface HostCounts { pending: number; live: number; silent: number; retired: number }
export interface CoverageCounts { whole: number; partly: number; unknown: number }
export interface Day { day: string; new: number; gone: number }
export interface Overview {
  time: Time;
  hosts: HostCounts;
  verdicts: Record<string, number>;
  bands: Record<string, number>;
  places: PresenceCounts;
  references: number;
  coverage: CoverageCounts;
  waiting: number;
  top_credentials: CredentialRow[];
  top_hosts: HostRow[];
  days: Day[];
}
export interface HostRow {
  id: string; name: string; state: HostState; covered: Covered; score: number;
  credentials: number; places: PresenceCounts; os: string; agent: string; rules: string;
  labels: Record<string, string>; last_heard?: Time | null;
}
export interface CloudFacts {
  provider: string; account: string; region: string; zone: string; instance: string;
}
export interface HostFacts {
  hostname: string; machine: string; os: string; kernel: string; architecture: string;
  addresses: string[]; time_zone: string; agent: string; labels: Record<string, string>;
  cloud?: CloudFacts | null;
}
export interface NotRead { why: string; count: number; example?: string | null }
export interface SourceCoverage {
  source: string; mechanism: string; covered: Covered; last_verified?: Time | null;
  read: number; waiting?: number; not_read?: NotRead[]; overflowed?: number; raced?: number;
}
export interface Coverage {
  rules: string; rung: Rung; rung_reason?: string | null; sources: SourceCoverage[];
  missing_walls?: string[];
}
export interface CostReceipt {
  cpu_ms?: number; bytes_read?: number; peak_rss_kib?: number; network_bytes?: number; seconds?: number;
}
export interface HostDetail {
  host: HostRow; score: Score; facts: HostFacts; peer?: string | null;
  coverage?: Coverage | null; cost?: CostReceipt; unsent: number; clock_ahead_ms: number;
  enrolled: Time; certificate_until?: Time | null;
}
export interface Preview { prefix?: string | null; length: number }
export interface CredentialRow {
  ref: string; credential_id?: string | null; preview?: Preview | null; provider: string; kind: Kind;
  confidence: Confidence; verdict: Verdict; disposition: Disposition; score: number;
  hosts: number; places: PresenceCounts; first_seen: Time; last_seen: Time;
}
export type Proof =
  | { proof: "checksum"; holds: boolean } | { proof: "structure"; holds: boolean }
  | { proof: "account"; id: string; canary: boolean } | { proof: "expires"; at: Time }
  | { proof: "encrypted" } | { proof: "ambiguous"; candidates: number } | { proof: "unknown" };
export interface TimelineEntry {
  time: Time; what: string; host?: string | null; host_name?: string | null;
  finding?: string | null; place?: string | null; why?: string | null; person?: string | null;
}
export interface CredentialDetail {
  credential: CredentialRow; score: Score; proof: Proof[]; places: FindingRow[];
  references: number; timeline: TimelineEntry[];
}
export interface Location {
  type: string; path: string; pid?: number | null; line: number; end_line: number;
  inside?: string[]; field?: string | null; encoding?: Encoding[]; user?: string | null;
  workload?: string | null;
}
export interface Reach {
  mode?: string | null; owner?: string | null; group?: string | null; world_readable?: boolean;
  group_readable?: boolean; acl?: boolean;
}
export interface Origin {
  pid?: number | null; exe?: string | null; user?: string | null; unit?: string | null;
  unit_files?: string[]; container?: string | null;
}
export type Presence =
  | { state: "present"; since: Time }
  | { state: "gone"; at: Time; proof: string }
  | { state: "unknown"; since: Time; why: string };
export interface Cause { path: string; line: number }
export interface FindingRow {
  ref: string; host: string; host_name: string; credential: string; rule: string;
  provider: string; kind: Kind; credential_id?: string | null; confidence: Confidence;
  preview?: Preview | null; location: Location; reach: Reach; origin: Origin; presence: Presence;
  state: PresenceState; cause?: Cause | null; delivered: boolean; score: number;
  why_new: WhyNew; returns: number; first_seen: Time; last_verified: Time; received: Time;
}
export interface Refused { code: string; message: string; hint?: string | null; request?: string | null }
export type Event =
  | { event: "findings"; host: string; findings: string[]; credentials: string[] }
  | { event: "host"; host: string }
  | { event: "reload" };

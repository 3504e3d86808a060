// What the pages ask, by noun: one function a question, so that a live event knows what to ask again.
import { infiniteQueryOptions, QueryCache, QueryClient, queryOptions } from "@tanstack/react-query";

import { answered, collector, statusOf } from "./client";
import type { operations } from "./schema";
import type { AuditEntry, CredentialRow, Decide, FindingRow, HostRow, HostsChosen, NewEnrollmentToken, Page, PauseHosts } from "./types";

/** Rows fetched at a time. */
export const PAGE = 200;

/** The cache. Nothing is kept on disk; a fault is tried once more unless the collector said no. */
export const cache: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // Any call may be the first to hear that the session is over; the frame then asks who is here.
    onError: (fault, query) => {
      if (statusOf(fault) === 401 && query.queryKey[0] !== "me") askWhoIsHere();
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      retry: (failures, fault) => failures < 1 && (statusOf(fault) ?? 500) >= 500,
      retryDelay: 400,
    },
  },
});

/** Asks again who is signed in, so that an ended session is noticed. */
export function askWhoIsHere(): void {
  void cache.invalidateQueries({ queryKey: ["me"] });
}

type HostFilter = NonNullable<operations["hosts"]["parameters"]["query"]>;
type CredentialFilter = NonNullable<operations["credentials"]["parameters"]["query"]>;
type AuditFilter = NonNullable<operations["audit"]["parameters"]["query"]>;
type FindingFilter = NonNullable<operations["findings"]["parameters"]["query"]>;

/** A filter as an address has it: the collector says what of it is wrong. */
export type Asked<Filter> = { [Key in keyof Filter]?: Filter[Key] | string | undefined };

export const ask = {
  me: () =>
    queryOptions({
      queryKey: ["me"],
      queryFn: ({ signal }) => answered(collector.GET("/api/v1/me", { signal })),
      staleTime: 5 * 60_000,
    }),
  overview: () =>
    queryOptions({
      queryKey: ["overview"],
      queryFn: ({ signal }) => answered(collector.GET("/api/v1/overview", { signal })),
    }),
  host: (id: string) =>
    queryOptions({
      queryKey: ["host", id],
      queryFn: ({ signal }) => answered(collector.GET("/api/v1/hosts/{id}", { params: { path: { id } }, signal })),
    }),
  credential: (reference: string) =>
    queryOptions({
      queryKey: ["credential", reference],
      queryFn: ({ signal }) =>
        answered(collector.GET("/api/v1/credentials/{ref}", { params: { path: { ref: reference } }, signal })),
    }),
  hosts: (filter: Asked<HostFilter>) =>
    list<HostRow>("hosts", filter, (query, signal) => answered(collector.GET("/api/v1/hosts", { params: { query }, signal }))),
  credentials: (filter: Asked<CredentialFilter>) =>
    list<CredentialRow>("credentials", filter, (query, signal) =>
      answered(collector.GET("/api/v1/credentials", { params: { query }, signal }))),
  enrollmentTokens: () =>
    queryOptions({
      queryKey: ["enrollment-tokens"],
      queryFn: ({ signal }) => answered(collector.GET("/api/v1/enrollment-tokens", { signal })),
    }),
  audit: (filter: Asked<AuditFilter>) =>
    list<AuditEntry>("audit", filter, (query, signal) => answered(collector.GET("/api/v1/audit", { params: { query }, signal }))),
  findings: (filter: Asked<FindingFilter>) =>
    list<FindingRow>("findings", filter, (query, signal) =>
      answered(collector.GET("/api/v1/findings", { params: { query }, signal }))),
};

function list<Row>(noun: string, filter: object, page: (query: object, signal: AbortSignal) => Promise<Page<Row>>) {
  return infiniteQueryOptions({
    queryKey: [noun, filter],
    queryFn: ({ signal, pageParam }) => page({ ...filter, cursor: pageParam, limit: PAGE }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page<Row>) => last.next ?? undefined,
  });
}

/** What changes something, and never says a secret in an address. */
export const tell = {
  signIn: (body: { name: string; password: string }) => answered(collector.POST("/api/v1/sessions", { body })),
  firstSignIn: (body: { token: string; name: string; password: string }) =>
    answered(collector.POST("/api/v1/first-sign-in", { body })),
  signOut: () => answered(collector.DELETE("/api/v1/sessions/current", {})),
  rescan: (id: string) => answered(collector.POST("/api/v1/hosts/{id}/rescan", { params: { path: { id } } })),
  retire: (id: string) => answered(collector.POST("/api/v1/hosts/{id}/retire", { params: { path: { id } } })),
  pauseHosts: (body: PauseHosts) => answered(collector.POST("/api/v1/hosts/pause", { body })),
  resumeHosts: (body: HostsChosen) => answered(collector.POST("/api/v1/hosts/resume", { body })),
  decide: (ref: string, body: Decide) =>
    answered(collector.PUT("/api/v1/credentials/{ref}/disposition", { params: { path: { ref } }, body })),
  createEnrollmentToken: (body: NewEnrollmentToken) => answered(collector.POST("/api/v1/enrollment-tokens", { body })),
  revokeEnrollmentToken: (id: string) => answered(collector.DELETE("/api/v1/enrollment-tokens/{id}", { params: { path: { id } } })),
  whoHoldsId: (id: string) => answered(collector.POST("/api/v1/who-holds", { body: { id } })),
};

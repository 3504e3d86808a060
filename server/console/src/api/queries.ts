// What the pages ask, by noun: one function a question, so that a live event knows what to ask again.
import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";

import { call, statusOf, type Query } from "./client";
import type {
  CredentialDetail, CredentialRow, FindingRow, HostDetail, HostRow, Me, Overview, Page,
} from "./types";

/** Rows fetched at a time. */
export const PAGE = 200;

/** The cache. Nothing is kept on disk; a fault is tried once more unless the collector said no. */
export const cache = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      retry: (failures, fault) => failures < 1 && (statusOf(fault) ?? 500) >= 500,
      retryDelay: 400,
    },
  },
});

export const ask = {
  me: () =>
    queryOptions({
      queryKey: ["me"],
      queryFn: ({ signal }) => call<Me>("GET", "/me", { signal }),
      staleTime: 5 * 60_000,
    }),
  overview: () =>
    queryOptions({
      queryKey: ["overview"],
      queryFn: ({ signal }) => call<Overview>("GET", "/overview", { signal }),
    }),
  host: (id: string) =>
    queryOptions({
      queryKey: ["host", id],
      queryFn: ({ signal }) => call<HostDetail>("GET", `/hosts/${encodeURIComponent(id)}`, { signal }),
    }),
  credential: (reference: string) =>
    queryOptions({
      queryKey: ["credential", reference],
      queryFn: ({ signal }) =>
        call<CredentialDetail>("GET", `/credentials/${encodeURIComponent(reference)}`, { signal }),
    }),
  hosts: (query: Query) => list<HostRow>("hosts", query),
  credentials: (query: Query) => list<CredentialRow>("credentials", query),
  findings: (query: Query) => list<FindingRow>("findings", query),
};

function list<Row>(noun: "hosts" | "credentials" | "findings", query: Query) {
  return infiniteQueryOptions({
    queryKey: [noun, query],
    queryFn: ({ signal, pageParam }) =>
      call<Page<Row>>("GET", `/${noun}`, { query: { ...query, cursor: pageParam, limit: PAGE }, signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: Page<Row>) => page.next ?? undefined,
  });
}

/** What changes something, and never says a secret in an address. */
export const tell = {
  signIn: (body: { name: string; password: string }) => call<Me>("POST", "/sessions", { body }),
  firstSignIn: (body: { token: string; name: string; password: string }) =>
    call<Me>("POST", "/first-sign-in", { body }),
  signOut: () => call<void>("DELETE", "/sessions/current"),
  rescan: (host: string) => call<void>("POST", `/hosts/${encodeURIComponent(host)}/rescan`),
  retire: (host: string) => call<void>("POST", `/hosts/${encodeURIComponent(host)}/retire`),
  whoHoldsId: (id: string) =>
    call<{ credential?: CredentialRow | null }>("POST", "/who-holds", { body: { id } }),
};

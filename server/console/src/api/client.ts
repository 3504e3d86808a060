// The one way to the collector: same origin, the session in a cookie that no script can read. A
// refusal becomes a Refusal that keeps the request id for people; nothing is retried here.
import createClient from "openapi-fetch";

import type { paths } from "./schema";
import type { Refused } from "./types";

/** The collector, typed by its own description. */
export const collector = createClient<paths>({
  credentials: "same-origin",
  headers: { accept: "application/json" },
  // Looked up at each call, so that tests and the browser's tools see every request.
  fetch: (request) => globalThis.fetch(request),
});

/** An answer that was not the one asked for. */
export class Refusal extends Error {
  constructor(
    /** HTTP status; 0 when the collector was not reached at all. */
    readonly status: number,
    /** The collector's own words; absent when something else answered. */
    readonly body: Refused | undefined,
  ) {
    super(body?.message ?? `status ${status}`);
    this.name = "Refusal";
  }
}

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Gives the answer, or throws the refusal. */
export async function answered<T>(asked: Promise<Answered<T>>): Promise<T> {
  let all: Answered<T>;
  try {
    all = await asked;
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "AbortError") throw fault;
    throw new Refusal(0, undefined);
  }
  if (!all.response.ok) throw new Refusal(all.response.status, refused(all.error));
  return all.data as T;
}

function refused(body: unknown): Refused | undefined {
  return typeof body === "object" && body !== null && "code" in body && "message" in body ? (body as Refused) : undefined;
}

/** The refusal's status, or undefined for anything else that went wrong. */
export function statusOf(fault: unknown): number | undefined {
  return fault instanceof Refusal ? fault.status : undefined;
}

// The one way to the collector: same origin, JSON, the session in a cookie that no script can read.
// A refusal becomes a Refusal that keeps the request id for people; nothing is retried here.
import type { Refused } from "./people";

/** An answer that was not the one asked for. */
export class Refusal extends Error {
  constructor(
    /** HTTP status; 0 when the collector was not reached at all. */
    readonly status: number,
    /** The collector's own words. */
    readonly body: Refused,
  ) {
    super(body.message);
    this.name = "Refusal";
  }
}

/** Query parameters; absent and empty ones are left out. */
export type Query = Record<string, string | number | undefined | null>;

/** Calls `/api/v1` + `path` and gives the parsed answer. */
export async function call<T>(
  method: "GET" | "POST" | "DELETE",
  path: string,
  options: { query?: Query; body?: unknown; signal?: AbortSignal } = {},
): Promise<T> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== null && value !== "") query.set(key, String(value));
  }
  const address = `/api/v1${path}${query.size > 0 ? `?${query.toString()}` : ""}`;
  let answer: Response;
  try {
    answer = await fetch(address, {
      method,
      credentials: "same-origin",
      headers: {
        accept: "application/json",
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
    });
  } catch (fault) {
    if (options.signal?.aborted === true) throw fault;
    throw new Refusal(0, { code: "unreachable", message: "the collector was not reached" });
  }
  const text = await answer.text();
  const parsed = parse(text);
  if (!answer.ok) throw new Refusal(answer.status, refused(parsed, answer));
  return parsed as T;
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(parsed: unknown, answer: Response): Refused {
  if (typeof parsed === "object" && parsed !== null && "code" in parsed && "message" in parsed) {
    return parsed as Refused;
  }
  return { code: "unknown", message: answer.statusText, request: answer.headers.get("x-request-id") };
}

/** The refusal's status, or undefined for anything else that went wrong. */
export function statusOf(fault: unknown): number | undefined {
  return fault instanceof Refusal ? fault.status : undefined;
}

// Listens to the collector's event stream and says what changed. It holds no rows: a page that hears
// of a change decides whether to ask again at once or to offer it. A lost stream is shown, tried
// again after five seconds, and treated as "anything may have changed" when it is back.
import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { askWhoIsHere } from "./queries";
import type { Event } from "./types";

export interface Live {
  state: "connecting" | "live" | "lost";
  /** When the stream was lost, by this browser's clock. */
  lostAt: number | undefined;
  /** When it is tried again. */
  retryAt: number | undefined;
}

type Listener = (event: Event) => void;

const LiveContext = createContext<Live>({ state: "connecting", lostAt: undefined, retryAt: undefined });
const SubscribeContext = createContext<(listener: Listener) => () => void>(() => () => undefined);

const RETRY_MS = 5000;
const AGAIN_MS = 300;

export function LiveEvents({ children }: { children: ReactNode }) {
  const [live, setLive] = useState<Live>({ state: "connecting", lostAt: undefined, retryAt: undefined });
  const listeners = useRef(new Set<Listener>());
  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wasLost = false;
    let healthy = false;
    const tellAll = (event: Event) => listeners.current.forEach((listener) => listener(event));
    const heard = (message: MessageEvent<string>) => {
      const event = understand(message.data);
      if (event !== undefined) tellAll(event);
    };
    const open = () => {
      source = new EventSource("/api/v1/events");
      for (const name of ["message", "findings", "host", "reload"]) {
        source.addEventListener(name, heard as EventListener);
      }
      source.onopen = () => {
        setLive({ state: "live", lostAt: undefined, retryAt: undefined });
        if (wasLost) tellAll({ event: "reload" });
        wasLost = false;
        healthy = true;
      };
      source.onerror = () => {
        source?.close();
        wasLost = true;
        // The collector ends a healthy stream after ten minutes; that one is asked for again at once.
        const wait = healthy ? AGAIN_MS : RETRY_MS;
        setLive((now) => (healthy ? { ...now, lostAt: Date.now() } : { state: "lost", lostAt: now.lostAt ?? Date.now(), retryAt: Date.now() + wait }));
        if (!healthy) askWhoIsHere();
        healthy = false;
        timer = setTimeout(open, wait);
      };
    };
    open();
    return () => {
      source?.close();
      clearTimeout(timer);
    };
  }, []);
  const subscribe = useMemo(
    () => (listener: Listener) => {
      listeners.current.add(listener);
      return () => void listeners.current.delete(listener);
    },
    [],
  );
  return (
    <SubscribeContext.Provider value={subscribe}>
      <LiveContext.Provider value={live}>{children}</LiveContext.Provider>
    </SubscribeContext.Provider>
  );
}

function understand(text: string): Event | undefined {
  try {
    const event: unknown = JSON.parse(text);
    if (typeof event !== "object" || event === null || !("event" in event)) return undefined;
    return event as Event;
  } catch {
    return undefined;
  }
}

/** Whether the stream is up. */
export function useLive(): Live {
  return useContext(LiveContext);
}

/** Calls `listener` for every event while the component is shown. */
export function useEvents(listener: Listener): void {
  const subscribe = useContext(SubscribeContext);
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => subscribe((event) => latest.current(event)), [subscribe]);
}

// Keys that work on every page and keys of one page. They never fire in inputs, with modifiers, or
// while a dialog is open, and each does only what a link or a button on the page does too.
import { useEffect, useRef } from "react";

export interface PageKeys {
  back?: () => void;
  previous?: () => void;
  next?: () => void;
  tab?: (number: number) => void;
}

type Handler = (key: string) => boolean;

const handlers: Handler[] = [];

/** Calls `handler` for plain keys while mounted; the last mounted is asked first. */
export function useKeys(handler: Handler): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const each: Handler = (key) => latest.current(key);
    handlers.unshift(each);
    if (handlers.length === 1) window.addEventListener("keydown", heard);
    return () => {
      handlers.splice(handlers.indexOf(each), 1);
      if (handlers.length === 0) window.removeEventListener("keydown", heard);
    };
  }, []);
}

function heard(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target instanceof HTMLElement ? event.target : undefined;
  if (target?.closest("input, textarea, select, [contenteditable=true]") != null) return;
  if (document.querySelector(".ant-modal-wrap:not([style*='display: none']), .ant-drawer-open") !== null && event.key !== "Escape") return;
  if (handlers.some((handler) => handler(event.key))) event.preventDefault();
}

export function usePageKeys(keys: PageKeys | undefined): void {
  useKeys((key) => {
    const action =
      key === "u" || (key === "Escape" && document.querySelector(".ant-popover:not(.ant-popover-hidden), .ant-drawer-open") === null) ? keys?.back
      : key === "[" ? keys?.previous
      : key === "]" ? keys?.next
      : undefined;
    if (action !== undefined) {
      action();
      return true;
    }
    if (/^[1-5]$/.test(key) && keys?.tab !== undefined) {
      keys.tab(Number(key));
      return true;
    }
    return false;
  });
}

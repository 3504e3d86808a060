// The address as state: what a page reads from it and how it writes to it.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";

import type { Address } from "./address";

/** The address's pairs, and a way to change some of them. Filters replace the entry in the history
 * only when asked, so that Back leads where a person expects. */
export function useAddress(): [Address, (change: Address, replace?: boolean) => void] {
  const address = useSearch({ strict: false }) as Address;
  const navigate = useNavigate();
  const set = useCallback(
    (change: Address, replace = false) => {
      void navigate({
        to: ".",
        search: (old: Address) => ({ ...old, ...change }),
        replace,
        resetScroll: false,
      });
    },
    [navigate],
  );
  return [address, set];
}

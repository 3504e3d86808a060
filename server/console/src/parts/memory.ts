// What the console remembers while it is open: which list a person came from, so that "back",
// "previous" and "next" lead where they were. Nothing of it is kept when the page closes.
import type { Address } from "../address/address";

type Noun = "credentials" | "hosts" | "findings";

interface List {
  address: Address;
  keys: string[];
  opened?: string;
}

const lists: Partial<Record<Noun, List>> = {};

/** Keeps the rows of a list as they are shown now. */
export function rememberList(noun: Noun, address: Address, keys: string[]): void {
  lists[noun] = { ...lists[noun], address, keys };
}

/** Notes which row was opened. */
export function rememberOpened(noun: Noun, key: string): void {
  const list = lists[noun];
  if (list !== undefined) list.opened = key;
}

/** The list that a person came from, if they came from one. */
export function rememberedList(noun: Noun): List | undefined {
  return lists[noun];
}

/** The row that was opened last, once: a list that is shown again puts the focus there. */
export function takeOpened(noun: Noun): string | undefined {
  const list = lists[noun];
  const opened = list?.opened;
  if (list !== undefined) list.opened = undefined;
  return opened;
}

/** The neighbours of `key` in the list, and where it stands. */
export function neighbours(noun: Noun, key: string): { at: number; of: number; previous?: string; next?: string } | undefined {
  const keys = lists[noun]?.keys;
  const at = keys?.indexOf(key) ?? -1;
  if (keys === undefined || at === -1) return undefined;
  return { at: at + 1, of: keys.length, previous: keys[at - 1], next: keys[at + 1] };
}

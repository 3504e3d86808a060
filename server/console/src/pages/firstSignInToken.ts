// The one-time link's token: read from the address once, kept in this page's memory only, and wiped
// from the address, so that it stands in no history entry, title, referrer or screenshot.
let token: string | undefined;

/** Moves the token out of `#/first-sign-in?token=…` or `/first-sign-in?token=…`. */
export function takeFirstSignInToken(): void {
  const { hash, pathname, search } = window.location;
  const inHash = /^#\/first-sign-in(\?.*)?$/.exec(hash);
  const query = inHash !== null ? (inHash[1] ?? "") : pathname === "/first-sign-in" ? search : undefined;
  if (query === undefined) return;
  token = new URLSearchParams(query).get("token") ?? undefined;
  window.history.replaceState(null, "", "/first-sign-in");
}

/** The token of this page's one-time link. */
export function firstSignInToken(): string | undefined {
  return token;
}

/** Forgets it, once it was used. */
export function forgetFirstSignInToken(): void {
  token = undefined;
}

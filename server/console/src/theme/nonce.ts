// The page's nonce for styles, and the one place that hands it on. A few library parts make style
// elements without asking for it (measuring scroll bars, locking the page behind a drawer); they are
// made by our own code, so they get it at their making. Markup that is injected as text never does.

/** The nonce of this page, absent when it is served without one. */
export const nonce: string | undefined = read();

function read(): string | undefined {
  const content = document.querySelector('meta[name="csp-nonce"]')?.getAttribute("content");
  return content === null || content === "" ? undefined : content;
}

/** Gives the nonce to every style element that a script of ours makes from now on. */
export function giveNonceToStyles(): void {
  if (nonce === undefined) return;
  const make = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = make(name, options);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
}

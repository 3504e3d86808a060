// Where the console starts: words and colours first, so that nothing flashes, then the router.
// A one-time link is taken out of the address before anything else can see it.
import "./words/i18n";
import "./theme/base.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { cache } from "./api/queries";
import { takeFirstSignInToken } from "./pages/firstSignInToken";
import { router } from "./router";
import { giveNonceToStyles } from "./theme/nonce";
import { Theme } from "./theme/Theme";

giveNonceToStyles();
takeFirstSignInToken();
// A one-time link opened in a tab that already shows the console changes only the part after `#`.
window.addEventListener("hashchange", () => {
  if (window.location.hash.startsWith("#/first-sign-in")) window.location.reload();
});

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no root element");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={cache}>
      <Theme>
        <RouterProvider router={router} />
      </Theme>
    </QueryClientProvider>
  </StrictMode>,
);

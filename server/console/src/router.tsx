// Which address shows which page. Every page is a chunk of its own, loaded when it is first opened;
// addresses are flat and readable, and `tz` follows a person from page to page.
import {
  createRootRoute, createRoute, createRouter, lazyRouteComponent, retainSearchParams,
} from "@tanstack/react-router";

import { parseAddress, writeAddress, type Address } from "./address/address";
import { cache } from "./api/queries";
import { NotFound } from "./pages/NotFound";
import { Shell } from "./pages/Shell";
import { Loading } from "./parts/States";

const root = createRootRoute({
  validateSearch: (search: Record<string, unknown>): Address => search as Address,
  search: { middlewares: [retainSearchParams(["tz"])] },
  notFoundComponent: NotFound,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  component: lazyRouteComponent(() => import("./pages/SignIn"), "SignIn"),
});

const firstSignIn = createRoute({
  getParentRoute: () => root,
  path: "/first-sign-in",
  component: lazyRouteComponent(() => import("./pages/FirstSignIn"), "FirstSignIn"),
});

const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });

const overview = createRoute({
  getParentRoute: () => shell,
  path: "/",
  component: lazyRouteComponent(() => import("./pages/Overview"), "OverviewPage"),
});

const credentials = createRoute({
  getParentRoute: () => shell,
  path: "/credentials",
  component: lazyRouteComponent(() => import("./pages/Credentials"), "Credentials"),
});

const credential = createRoute({
  getParentRoute: () => shell,
  path: "/credentials/$ref/{-$tab}",
  component: lazyRouteComponent(() => import("./pages/Credential"), "CredentialPage"),
});

const findings = createRoute({
  getParentRoute: () => shell,
  path: "/findings",
  component: lazyRouteComponent(() => import("./pages/Findings"), "Findings"),
});

const hosts = createRoute({
  getParentRoute: () => shell,
  path: "/hosts",
  component: lazyRouteComponent(() => import("./pages/Hosts"), "Hosts"),
});

const host = createRoute({
  getParentRoute: () => shell,
  path: "/hosts/$id/{-$tab}",
  component: lazyRouteComponent(() => import("./pages/Host"), "HostPage"),
});

const enrollment = createRoute({
  getParentRoute: () => shell,
  path: "/enrollment",
  component: lazyRouteComponent(() => import("./pages/Enrollment"), "Enrollment"),
});

const audit = createRoute({
  getParentRoute: () => shell,
  path: "/audit",
  component: lazyRouteComponent(() => import("./pages/Audit"), "Audit"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn, firstSignIn,
    shell.addChildren([overview, credentials, credential, findings, hosts, host, enrollment, audit]),
  ]),
  parseSearch: parseAddress,
  stringifySearch: writeAddress,
  scrollRestoration: true,
  defaultPreload: false,
  defaultPendingComponent: () => <Loading rows={12} />,
  defaultPendingMs: 200,
  context: { cache },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

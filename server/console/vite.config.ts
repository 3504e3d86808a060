// How the console is built: hashed assets under /assets, one entry, no inline script, nothing
// fetched from elsewhere. The collector embeds `dist` and fills in the nonce at each answer.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    target: "es2022",
    sourcemap: false,
    // A module preload polyfill would be an inline script; browsers that need it are not served.
    modulePreload: { polyfill: false },
    // No asset becomes a data: address: the policy of the page allows none for scripts and styles.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
  },
  server: {
    proxy: { "/api": { target: process.env["AKWATCH_CONSOLE_URL"] ?? "https://127.0.0.1:8443", secure: false } },
  },
});

// The tests of the pure parts: no browser, no network, milliseconds.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["src/**/*.test.ts"], environment: "node" } });

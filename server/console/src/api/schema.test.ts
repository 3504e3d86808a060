// The generated client is the one that the committed description of the collector gives.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const description = fileURLToPath(new URL("../../../../docs/openapi/people.json", import.meta.url));
const schema = fileURLToPath(new URL("./schema.ts", import.meta.url));
const program = fileURLToPath(new URL("../../node_modules/.bin/openapi-typescript", import.meta.url));

test("the client is generated from the committed description", () => {
  expect(existsSync(description), "docs/openapi/people.json is there").toBe(true);
  expect(() => execFileSync(program, [description, "-o", schema, "--check"], { stdio: "pipe" }), "run `npm run gen`").not.toThrow();
});

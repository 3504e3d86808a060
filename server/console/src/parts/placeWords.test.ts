// What a location reads as, for each kind of place.
import { expect, test } from "vitest";

import type { Location } from "../api/types";
import { placeWords } from "./placeWords";

const words = { env: "env", arguments: "arguments", pid: (pid: number) => `pid ${pid}` };

function check(location: Partial<Location>, expected: { main: string; members: string[]; spot: string[] }) {
  expect(placeWords({ type: "file", path: "/", line: 0, end_line: 0, ...location }, words)).toEqual(expected);
}

test("a file with its line and field", () => {
  check({ path: "/etc/app.yml", line: 18, field: "cos.secretKey" }, { main: "/etc/app.yml:18", members: [], spot: ["cos.secretKey"] });
  check({ path: "/etc/app.yml" }, { main: "/etc/app.yml", members: [], spot: [] });
});

test("a member of an archive keeps its line", () => {
  check({ path: "/b.tar.gz", inside: ["etc.zip", "app.yml"], line: 3 }, { main: "/b.tar.gz", members: ["etc.zip", "app.yml:3"], spot: [] });
});

test("a process by what starts it, with its variable and pid", () => {
  check({ type: "process", path: "/proc/4121/environ", pid: 4121, workload: "payments.service", field: "COS_SECRETKEY", line: 1 },
    { main: "payments.service", members: [], spot: ["env COS_SECRETKEY", "pid 4121"] });
  check({ type: "process", path: "/proc/7/cmdline", pid: 7, line: 1 }, { main: "/proc/7/cmdline", members: [], spot: ["arguments", "pid 7"] });
});

test("a history with its user and line", () => {
  check({ type: "history", path: "/root/.bash_history", line: 211, user: "root" }, { main: "/root/.bash_history:211", members: [], spot: ["root"] });
});

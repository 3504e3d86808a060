// A location as words: what leads, which members it lies in, and the spot. Pure, so that it is tested.
import type { Location } from "../api/types";
import { visible } from "./places";

/** The main part of a location and what stands behind it, as text. */
export function placeWords(location: Location, words: { env: string; arguments: string; pid: (pid: number) => string }): {
  main: string; members: string[]; spot: string[];
} {
  const members = (location.inside ?? []).map(visible);
  const field = location.field === undefined || location.field === null ? [] : [visible(location.field)];
  if (location.type === "process") {
    const capture = location.path.endsWith("/cmdline") ? words.arguments : words.env;
    const name = location.workload ?? location.path;
    return {
      main: visible(name), members,
      spot: [[capture, ...field].join(" "), ...(location.pid === undefined || location.pid === null ? [] : [words.pid(location.pid)])],
    };
  }
  const line = location.line > 0 ? `:${location.line}` : "";
  const main = visible(location.path);
  if (location.type === "history") {
    return { main: `${main}${line}`, members, spot: [visible(location.user ?? ""), ...field].filter((word) => word !== "") };
  }
  // The line counts in the innermost member.
  const last = members.pop();
  if (last === undefined) return { main: `${main}${line}`, members, spot: field };
  return { main, members: [...members, `${last}${line}`], spot: field };
}

// A location as people read it: the path cut in the middle, the spot beside it, the whole of it one
// copy away. The same sentence in lists, drawers and the credential's page.
import { useTranslation } from "react-i18next";

import type { Cause, Location, Reach as Readers } from "../api/types";
import { useMedia } from "../theme/Theme";
import { CopyButton } from "./Copy";
import { HostText } from "./HostText";
import { shortPath, visible } from "./places";

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
  return { main: members.length === 0 ? `${main}${line}` : main, members, spot: [...(members.length === 0 ? [] : [`:${location.line}`]), ...field] };
}

export function Place({ location, cause, longest: asked, copy = true }: {
  location: Location; cause?: Cause | null; longest?: number; copy?: boolean;
}) {
  const { t } = useTranslation();
  const roomy = useMedia("(min-width: 1600px)");
  const longest = asked ?? (roomy ? 52 : 36);
  const { main, members, spot } = placeWords(location, {
    env: t("place.env"), arguments: t("place.arguments"), pid: (pid) => t("place.pid", { pid: String(pid) }),
  });
  const cutAt = main.lastIndexOf(":");
  const [path, line] = cutAt > 0 && location.type !== "process" ? [main.slice(0, cutAt), main.slice(cutAt)] : [main, ""];
  const names = [shortPath(path, members.length > 0 ? Math.floor(longest / 2) : longest) + line, ...members.map((name) => shortPath(name, Math.floor(longest / 2)))];
  const whole = [main, ...members].join(" ▸ ") + spot.map((word) => ` · ${word}`).join("");
  return (
    <span className="place" title={whole}>
      <span className="path"><HostText text={names.join(" ▸ ")} /></span>
      {spot.length > 0 && <span className="spot">· <HostText text={spot.join(" · ")} /></span>}
      {cause !== undefined && cause !== null && (
        <span className="spot">· {t("place.from", { path: shortPath(visible(cause.path), 28) })}</span>
      )}
      {copy && <CopyButton text={whole} label={t("place.copy")} />}
    </span>
  );
}

/** Who can read it, in words: all users, a group, the owner. */
export function Reach({ reach, location }: { reach: Readers; location: Location }) {
  const { t } = useTranslation();
  const owner = reach.owner === undefined || reach.owner === null ? undefined : visible(reach.owner);
  const group = reach.group === undefined || reach.group === null ? "" : visible(reach.group);
  let words = owner === undefined ? t("reach.notKnown") : t("reach.owner", { name: owner });
  if (location.type === "process") words = location.user === undefined || location.user === null ? words : t("reach.same", { name: visible(location.user) });
  else if (reach.world_readable === true) words = t("reach.all");
  else if (reach.group_readable === true) words = t("reach.group", { name: group });
  const wide = reach.world_readable === true && location.type !== "process";
  const unknown = words === t("reach.notKnown");
  return (
    <span className={wide ? "strong" : unknown ? "m-unknown" : undefined} title={reach.mode ?? undefined}>
      <bdi>{words}</bdi>{reach.acl === true && <span className="quiet"> · {t("reach.acl")}</span>}
    </span>
  );
}

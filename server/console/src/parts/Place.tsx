// A location as people read it: the path cut in the middle, the spot beside it, the whole of it one
// copy away. The same sentence in lists, drawers and the credential's page.
import { useTranslation } from "react-i18next";

import type { Cause, Location, Reach as Readers } from "../api/types";
import { useMedia } from "../theme/Theme";
import { CopyButton } from "./Copy";
import { HostText } from "./HostText";
import { shortPath, visible } from "./places";
import { placeWords } from "./placeWords";

/** Cuts a name in the middle, never its line. */
function cutName(name: string, room: number, process: boolean): string {
  const line = process ? undefined : /:\d+$/.exec(name)?.[0];
  return line === undefined ? shortPath(name, room) : shortPath(name.slice(0, -line.length), room) + line;
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
  const room = members.length > 0 ? Math.floor(longest / 2) : longest;
  const names = [main, ...members].map((name) => cutName(name, room, location.type === "process"));
  const whole = [main, ...members].join(" ▸ ") + spot.map((word) => ` · ${word}`).join("");
  return (
    <span className="place" title={whole}>
      <span className="path"><HostText text={names.join(" ▸ ")} /></span>
      {spot.length > 0 && <span className="spot">· <HostText text={spot.join(" · ")} /></span>}
      {cause !== undefined && cause !== null && (
        <span className="spot">· {t(cause.gone === true ? "place.fromEdited" : "place.from", { path: shortPath(visible(cause.path), 28) })}</span>
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

// What Git says of a place: pushed, not pushed, unknown. Pushed stands out, because then removing it
// takes nothing back; unknown is violet and hatched as everywhere, and never reads as not pushed.
import { useTranslation } from "react-i18next";

import type { Git } from "../api/types";
import { en } from "../words/en";
import { HostText } from "./HostText";
import { visible } from "./places";
import { Meaning } from "./Shape";

/** Where it was pushed to: `HOST/REPO`, or a remote's name where that is all that is known. */
export function pushedTo(git: Git): string[] {
  return (git.remotes ?? []).filter((remote) => remote.reached === true).map((remote) => visible(remote.address ?? remote.name));
}

/** A state in a word; where to, or why nobody can say, beside it where `full`. */
export function Pushed({ git, full = false }: { git: Git; full?: boolean }) {
  const { t } = useTranslation();
  const why = useUntraced();
  if (git.state === "pushed") {
    const names = pushedTo(git).join(", ");
    const words = names === "" ? t("git.pushed") : t("git.to", { names });
    return (
      <Meaning meaning="high" shape="pushed" title={words}>
        {full ? <HostText text={words} /> : <>{t("git.pushed")}{names !== "" && <span className="hidden-words"> {names}</span>}</>}
      </Meaning>
    );
  }
  if (git.state === "not-pushed") return <Meaning meaning="ink" shape="dash">{t("git.not-pushed")}</Meaning>;
  const reason = why(git.why);
  return (
    <Meaning meaning="unknown" shape="unknown" title={reason}>
      {full ? <>{t("git.unknownFull")} · {reason}</> : <>{t("git.unknown")}<span className="hidden-words"> · {reason}</span></>}
    </Meaning>
  );
}

/** Why nobody can say, in words; a reason that this console is too old to know is none. */
function useUntraced(): (why: Git["why"]) => string {
  const { t } = useTranslation();
  return (why) => t(`untraced.${why !== undefined && why !== null && Object.hasOwn(en.untraced, why) ? why : "unknown"}`);
}

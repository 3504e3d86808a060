// Says when the event stream is lost, since when, and when it is tried again: what is shown then may
// be old, and that is not known, so it is violet.
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { useLive } from "../../api/events";
import { Partial } from "../../parts/States";
import { useTimeWords } from "../../parts/Time";

export function LiveBanner() {
  const { t } = useTranslation();
  const live = useLive();
  const words = useTimeWords();
  const [, tick] = useState(0);
  const lost = live.state === "lost";
  useEffect(() => {
    if (!lost) return;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [lost]);
  // Shown only once a second try has been due: a blink of the network is not a message.
  if (live.state !== "lost" || live.lostAt === undefined || Date.now() - live.lostAt < 2000) return null;
  return (
    <Partial>
      {t("live.banner", {
        ago: words.length(Date.now() - live.lostAt),
        time: words.clock(live.lostAt),
        seconds: Math.max(0, Math.ceil(((live.retryAt ?? Date.now()) - Date.now()) / 1000)),
      })}
    </Partial>
  );
}

// What a credential is called: its id, masked for viewers and while ids are hidden, else the public
// prefix and length class of its secret. There is nothing to reveal, here or anywhere.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";

import { ask } from "../api/queries";
import type { Kind, Preview } from "../api/types";
import { usePreferences } from "../theme/preferences";
import { CopyButton } from "./Copy";
import { useNow, useTimeWords } from "./Time";
import { maskId, previewText, visible } from "./places";
import { useProvider } from "./why";

interface Named {
  credential_id?: string | null;
  preview?: Preview | null;
  provider: string;
  kind: Kind;
  expires?: number | null;
}

/** Whether ids are to be masked here, whatever the collector sent. */
export function useMasked(): boolean {
  const me = useQuery(ask.me());
  const { hideIds } = usePreferences();
  return hideIds || me.data?.role === "viewer";
}

/** The name as text, for titles and links. */
export function useCredentialName(): (named: Named) => string {
  const { t } = useTranslation();
  const masked = useMasked();
  return (named) => {
    if (named.credential_id !== undefined && named.credential_id !== null && named.credential_id !== "") {
      const id = visible(named.credential_id);
      return masked ? maskId(id) : id;
    }
    return named.preview === undefined || named.preview === null ? t(`kind.${named.kind}`) : visible(previewText(named.preview));
  };
}

/** That a temporary credential has expired, or that it will: when is its title. */
function Expiry({ at }: { at: number }) {
  const { t } = useTranslation();
  const words = useTimeWords();
  const past = at <= useNow();
  return (
    <span className={past ? "tag" : "second nowrap"} title={words.at(at)}>
      {past ? t("credential.expiredWord") : t("credential.expires")}
    </span>
  );
}

export function CredentialName({ named, reference, kind = true, copy = true, short = false }: {
  named: Named; reference?: string; kind?: boolean; copy?: boolean; short?: boolean;
}) {
  const { t } = useTranslation();
  const provider = useProvider();
  const nameOf = useCredentialName();
  const name = nameOf(named);
  const hasId = named.credential_id !== undefined && named.credential_id !== null && named.credential_id !== "";
  // In a table a whole id is cut like a masked one; the copy button says which one it gives.
  const shown = short && hasId ? maskId(name) : name;
  const text = <bdi className="code nowrap">{shown}</bdi>;
  return (
    <span className="identity" title={name}>
      {reference === undefined ? text : (
        <Link to="/credentials/$ref/{-$tab}" params={{ ref: reference, tab: undefined }} onClick={(event) => event.stopPropagation()}>{text}</Link>
      )}
      {copy && hasId && (
        <CopyButton text={name} label={t("copy.id")} said={name.includes("…") ? t("copy.masked") : t("copy.full")} />
      )}
      {kind && <span className="second cut">{provider(named.provider)} · {t(`kind.${named.kind}`)}</span>}
      {named.expires !== undefined && named.expires !== null && <Expiry at={named.expires} />}
    </span>
  );
}

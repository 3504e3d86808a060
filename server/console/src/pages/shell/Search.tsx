// The search of the top bar. What looks like a secret is refused before any request leaves the page;
// a whole key id is asked for in a request body and never enters an address.
import { SearchOutlined } from "@ant-design/icons";
import { AutoComplete, Input } from "antd";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { statusOf } from "../../api/client";
import { tell } from "../../api/queries";
import { looksLikeId, looksSecret } from "../../parts/places";

export function Search() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [said, setSaid] = useState<string>();
  const word = text.trim();
  const options = word === "" || said !== undefined ? [] : choices(word).map((value) => ({
    value,
    label: value === "hosts" ? t("search.hosts", { text: word }) : value === "places" ? t("search.places", { text: word })
      : value === "id" ? t("search.id") : t("search.reference"),
  }));
  const change = (next: string) => {
    setSaid(undefined);
    if (looksSecret(next)) {
      setText("");
      setSaid(t("search.secret"));
    } else setText(next);
  };
  const go = async (choice: string) => {
    if (choice === "id") {
      try {
        const { credential } = await tell.whoHoldsId(word);
        if (credential === undefined || credential === null) return setSaid(t("search.noId"));
        await navigate({ to: "/credentials/$ref/{-$tab}", params: { ref: credential.ref, tab: undefined } });
      } catch (fault) {
        return setSaid(statusOf(fault) === 403 ? t("search.forbidden") : t("error.unreachable"));
      }
    } else if (choice === "reference") await navigate({ to: "/credentials/$ref/{-$tab}", params: { ref: word, tab: undefined } });
    else if (choice === "hosts") await navigate({ to: "/hosts", search: { q: word } });
    else await navigate({ to: "/findings", search: { q: word } });
    setText("");
  };
  return (
    <span className="search wide-only" data-search role="search">
      <AutoComplete
        style={{ width: "100%" }}
        options={options}
        value={text}
        onChange={change}
        onSelect={(value: string) => void go(value)}
        defaultActiveFirstOption
        open={said !== undefined ? true : undefined}
        notFoundContent={said === undefined ? null : <span role="alert" className="search-said">{said}</span>}
        onBlur={() => setSaid(undefined)}
      >
        <Input size="small" prefix={<SearchOutlined aria-hidden />} placeholder={t("bar.search")} aria-label={t("search.label")} title={t("search.hint")} maxLength={200} autoComplete="off" spellCheck={false} />
      </AutoComplete>
    </span>
  );
}

function choices(word: string): string[] {
  if (looksLikeId(word)) return ["id"];
  if (/^cr_[A-Za-z0-9_]{1,40}$/.test(word)) return ["reference"];
  return word.includes("/") ? ["places", "hosts"] : ["hosts", "places"];
}

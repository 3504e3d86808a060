// What is known of the credential itself: a column at the right where the screen is wide, else a
// strip. Proofs were made offline; nothing was sent anywhere to find out.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { CredentialDetail, Proof } from "../../api/types";
import { Confidence } from "../../parts/Badges";
import { Facts, Panel } from "../../parts/Page";
import { previewText, visible } from "../../parts/places";
import { At, useTimeWords } from "../../parts/Time";
import { useProvider } from "../../parts/why";

export function CredentialFacts({ data }: { data: CredentialDetail }) {
  const { t } = useTranslation();
  const provider = useProvider();
  const proofFacts = useProofFacts();
  const { credential } = data;
  const delivered = data.places.filter((place) => place.delivered).length;
  return (
    <Panel title={t("credential.facts")} className="facts-strip">
      <Facts
        facts={[
          [t("credential.provider"), provider(credential.provider)],
          [t("credential.kind"), t(`kind.${credential.kind}`)],
          [t("column.confidence"), <Confidence key="c" confidence={credential.confidence} kind={credential.kind} />],
          [t("credential.preview"), credential.preview === undefined || credential.preview === null ? undefined : (
            <span key="p" className="code" title={t("secret.none")}>{visible(previewText(credential.preview))}</span>
          )],
          [t("credential.firstSeen"), <At key="f" time={credential.first_seen} />],
          [t("credential.lastSeen"), <At key="l" time={credential.last_seen} />],
          [t("credential.references"), data.references === 0 ? undefined
            : <Link key="r" to="/findings" search={{ credential: credential.ref, kind: "reference" }}>{t("credential.referencesValue", { n: data.references })}</Link>],
          [t("credential.delivered"), delivered === 0 ? undefined : t("credential.deliveredCount", { n: delivered })],
          ...data.proof.flatMap(proofFacts),
        ]}
      />
    </Panel>
  );
}

function useProofFacts(): (proof: Proof) => Array<readonly [string, ReactNode]> {
  const { t } = useTranslation();
  const words = useTimeWords();
  return (proof) => {
    switch (proof.proof) {
      case "checksum":
      case "structure": return [[t(`credential.${proof.proof}`), t(proof.holds ? "credential.holds" : "credential.fails")]];
      case "account": return [[t("credential.account"), `${visible(proof.id)}${proof.canary ? ` · ${t("credential.canary")}` : ""}`]];
      case "expires": {
        const past = proof.at < Date.now();
        return [[t("credential.expires"), past ? t("credential.expired", { time: words.at(proof.at) }) : words.at(proof.at)]];
      }
      case "encrypted": return [[t("credential.proof"), t("credential.encrypted")]];
      case "ambiguous": return [[t("credential.proof"), t("credential.ambiguous", { n: proof.candidates })]];
      default: return [];
    }
  };
}

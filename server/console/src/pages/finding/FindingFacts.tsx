// Everything that is known of one finding, and the next step for this kind of place.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { FindingRow, Git } from "../../api/types";
import { Confidence, Score } from "../../parts/Badges";
import { CopyButton } from "../../parts/Copy";
import { CredentialName } from "../../parts/CredentialName";
import { HostText } from "../../parts/HostText";
import { Facts } from "../../parts/Page";
import { Place, Reach } from "../../parts/Place";
import { causeOf, previewText, visible } from "../../parts/places";
import { Presence } from "../../parts/Presence";
import { Pushed } from "../../parts/Pushed";
import { At } from "../../parts/Time";
import { useProvider } from "../../parts/why";
import { HostName } from "../Hosts";

export function FindingFacts({ finding }: { finding: FindingRow }) {
  const { t } = useTranslation();
  const provider = useProvider();
  const { location, origin, reach } = finding;
  const cause = causeOf(finding);
  const text = (value: string | null | undefined) => (value === undefined || value === null || value === "" ? undefined : <HostText text={value} />);
  const code = (value: string | null | undefined) => (value === undefined || value === null || value === "" ? undefined : <span className="code"><HostText text={value} /></span>);
  const gitFacts = useGitFacts(finding.git ?? undefined);
  const whoFacts = useWhoFacts(finding);
  const pod = origin.pod;
  return (
    <div className="stack" style={{ gap: 16 }}>
      <div className="row"><Score value={finding.score} word /><Presence presence={finding.presence} returns={finding.returns} full /></div>
      <p>
        <span className="strong">{t("finding.next")}</span><br />
        {t(`finding.${nextStep(finding)}`)}
      </p>
      <Facts
        facts={[
          [t("finding.credential"), <CredentialName key="c" named={finding} reference={finding.credential} kind={false} />],
          [t("column.kind"), `${provider(finding.provider)} · ${t(`kind.${finding.kind}`)}`],
          [t("finding.host"), <HostName key="h" id={finding.host} name={finding.host_name} />],
          [t("finding.where"), <WholePlace key="w" finding={finding} />],
          ...gitFacts,
          [t("column.confidence"), <Confidence key="k" confidence={finding.confidence} kind={finding.kind} />],
          [t("credential.preview"), finding.preview === undefined || finding.preview === null ? undefined : <span key="p" className="code" title={t("secret.none")}>{previewText(finding.preview)}</span>],
          [t("finding.reach"), <Reach key="r" reach={reach} location={location} />],
          [t("finding.mode"), [reach.mode, reach.owner, reach.group].filter((word) => word !== undefined && word !== null).map((word) => visible(word ?? "")).join(" · ")],
          [t("finding.cause"), cause === undefined ? undefined : <span key="f" className={cause.gone === true ? undefined : "code"}><HostText text={cause.gone === true ? t("place.fromEdited", { path: cause.path }) : `${cause.path}:${cause.line}`} /></span>],
          [t("finding.heldBy"), finding.held_by === undefined || finding.held_by === null ? undefined : <Place key="h2" location={finding.held_by} longest={400} />],
          ...whoFacts,
          [t("finding.unit"), text(origin.unit)],
          [t("finding.unitFiles"), (origin.unit_files ?? []).length === 0 ? undefined : (origin.unit_files ?? []).map((file) => <div key={file} className="code"><HostText text={file} /></div>)],
          [t("finding.container"), text(origin.container)],
          [t("finding.pathInside"), code(origin.path_inside)],
          [t("finding.image"), code(origin.image)],
          [t("finding.containerId"), origin.container_id === origin.container ? undefined : code(origin.container_id)],
          [t("finding.pod"), pod === undefined || pod === null ? undefined : text([pod.namespace, pod.name, pod.container ?? ""].filter((word) => word !== "").join("/"))],
          [t("finding.exe"), text(origin.exe)],
          [t("finding.script"), code(origin.script)],
          [t("finding.cgroup"), code(origin.cgroup)],
          [t("finding.user"), text(origin.user)],
          [t("finding.rule"), <Link key="u" to="/findings" search={{ rule: finding.rule }}><HostText text={finding.rule} /></Link>],
          [t("whyNew.label"), t(`whyNew.${finding.why_new}`)],
          [t("finding.firstSeen"), <At key="1" time={finding.first_seen} />],
          [t("finding.verified"), <At key="2" time={finding.last_verified} />],
          [t("finding.received"), <At key="3" time={finding.received} />],
          [t("finding.returns"), finding.returns > 0 ? t("finding.times", { n: finding.returns }) : undefined],
        ]}
      />
      <p className="caption">{t("secret.none")}</p>
    </div>
  );
}

/** When it was typed, where the history says so; who put it into the file, and that nobody can say. */
function useWhoFacts(finding: FindingRow): Array<[string, ReactNode]> {
  const { t } = useTranslation();
  const { location, written_by: by } = finding;
  if (location.type === "history") {
    const typed = location.typed;
    return [[t("finding.typed"), typed === undefined || typed === null ? t("finding.typedUnknown") : <At key="t" time={typed} />]];
  }
  if (location.type !== "file") return [];
  if (by === undefined || by === null) return [[t("finding.writtenBy"), <span key="w" className="second">{t("finding.writtenUnknown")}</span>]];
  const line = (name: "writtenUser" | "writtenLogin" | "writtenUnit" | "writtenContainer", value: string | null | undefined) => (
    value === undefined || value === null ? null : <span key={name}>{t(`finding.${name}`, { name: visible(value) })}</span>
  );
  return [[t("finding.writtenBy"), (
    <div key="w" className="stack" style={{ gap: 2 }}>
      <span className="code"><HostText text={by.exe} /></span>
      {by.script !== undefined && by.script !== null && <span className="code"><HostText text={by.script} /></span>}
      {line("writtenUser", by.user)}
      {line("writtenLogin", by.login)}
      {line("writtenUnit", by.unit)}
      {line("writtenContainer", by.container)}
    </div>
  )]];
}

/** What Git says: where it went, by which commit; nothing at all outside a repository. */
function useGitFacts(git: Git | undefined): Array<[string, ReactNode]> {
  const { t } = useTranslation();
  if (git === undefined) return [];
  const remotes = git.remotes ?? [];
  return [
    [t("git.label"), <Pushed key="g" git={git} full />],
    [t("git.commit"), git.commit === undefined || git.commit === null ? undefined : (
      <span key="m" className="row" style={{ gap: 4 }}><span className="code">{git.commit.slice(0, 12)}</span><CopyButton text={git.commit} label={t("git.copy")} /></span>
    )],
    [t("git.authored"), git.authored === undefined || git.authored === null ? undefined : <At key="a" time={git.authored} />],
    [t("git.path"), git.path === undefined || git.path === null ? undefined : <span key="p" className="code"><HostText text={git.path} /></span>],
    [t("git.repository"), <span key="y" className="code"><HostText text={git.repository} /></span>],
    [t("git.remotes"), remotes.length === 0 ? undefined : remotes.map((remote) => (
      <div key={remote.name}><HostText text={remote.address === undefined || remote.address === null ? visible(remote.name) : t("join.named", { name: visible(remote.name), value: visible(remote.address) })} /></div>
    ))],
  ];
}

/** In the drawer there is room: the path in one piece, wrapped where it must be. */
function WholePlace({ finding }: { finding: FindingRow }) {
  const { t } = useTranslation();
  const { location } = finding;
  const lines = location.line === 0 ? "" : location.end_line > location.line
    ? t("finding.lines", { from: location.line, to: location.end_line }) : t("finding.line", { n: location.line });
  return (
    <div className="stack" style={{ gap: 2 }}>
      {location.type === "process" ? <Place location={location} longest={400} /> : (
        <span className="code"><HostText text={[location.path, ...(location.inside ?? [])].join(" ▸ ")} /></span>
      )}
      <span className="second">
        {[location.type === "process" ? "" : lines, location.field ?? ""].filter((word) => word !== "").map((word) => visible(word)).join(" · ")}
        {(location.encoding ?? []).length > 0 && <> · {t("place.encoded", { names: (location.encoding ?? []).join(" → ") })}</>}
      </span>
      {finding.delivered && <span>{t("place.delivered")}</span>}
    </div>
  );
}

function nextStep(finding: FindingRow) {
  if (finding.presence.state === "unknown") return "nextUnknown" as const;
  if (finding.presence.state === "gone") return finding.held_by === undefined || finding.held_by === null ? ("nextGone" as const) : ("nextHeld" as const);
  if (finding.delivered) return "nextDelivered" as const;
  if (finding.git?.state === "pushed") return "nextPushed" as const;
  if (finding.location.type === "process") return causeOf(finding)?.gone === true ? ("nextRestart" as const) : ("nextProcess" as const);
  return finding.location.type === "history" ? ("nextHistory" as const) : ("nextFile" as const);
}

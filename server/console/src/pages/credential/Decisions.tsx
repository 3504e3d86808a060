// What people decide about a credential: the next step as the one filled button, everything else
// behind "More". Whoever was slower than another responder is told so, and sees what stands now.
import { MoreOutlined } from "@ant-design/icons";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App, Button, Dropdown } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { statusOf } from "../../api/client";
import { ask, tell } from "../../api/queries";
import type { CredentialDetail, Decide, Disposition } from "../../api/types";
import { useKeys } from "../../parts/keys";
import { visible } from "../../parts/places";
import { DecisionForm } from "./DecisionForm";

/** The step that follows in the work; none when nothing is left to decide. */
const following: Partial<Record<Disposition, Disposition>> = {
  new: "acknowledged", acknowledged: "rotating", rotating: "rotated", "false-positive": "new", accepted: "new",
};

const every: readonly Disposition[] = ["acknowledged", "rotating", "rotated", "false-positive", "accepted", "new"];

/** Whether a decision is asked about before it is made. */
const asks = (disposition: Disposition) => disposition === "rotated" || disposition === "false-positive" || disposition === "accepted";

export function Decisions({ data }: { data: CredentialDetail }) {
  const { t } = useTranslation();
  const me = useQuery(ask.me());
  const [asked, setAsked] = useState<Disposition | undefined>(undefined);
  const decide = useDecide(data, () => setAsked(undefined));
  const { disposition } = data.credential;
  const next = following[disposition];
  const may = me.data?.role === "responder" || me.data?.role === "admin";
  const start = (to: Disposition) => (asks(to) ? setAsked(to) : decide.mutate({ disposition: to }));
  useKeys((key) => {
    if (!may || decide.isPending) return false;
    if (key === "a" && disposition === "new") start("acknowledged");
    else if (key === "r" && (next === "rotating" || next === "rotated")) start(next);
    else return false;
    return true;
  });
  if (!may) return null;
  const items = every.filter((each) => each !== disposition && each !== next).map((each) => ({ key: each, label: t(`decide.${each}`) }));
  return (
    <>
      <Dropdown trigger={["click"]} menu={{ items, onClick: ({ key }) => start(key as Disposition) }}>
        <Button type="text" icon={<MoreOutlined aria-hidden />}>{t("decide.more")}</Button>
      </Dropdown>
      {next !== undefined && (
        <Button type={next === "new" ? "default" : "primary"} loading={decide.isPending && asked === undefined} onClick={() => start(next)}>
          {t(`decide.${next}`)}
        </Button>
      )}
      <DecisionForm data={data} to={asked} busy={decide.isPending} close={() => setAsked(undefined)} send={(body) => decide.mutate(body)} />
    </>
  );
}

function useDecide(data: CredentialDetail, done: () => void) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const cache = useQueryClient();
  const again = () => {
    for (const key of ["credential", "credentials", "findings", "overview"]) void cache.invalidateQueries({ queryKey: [key] });
  };
  return useMutation({
    mutationFn: (body: Omit<Decide, "version">) => tell.decide(data.credential.ref, { ...body, version: data.decision?.version ?? 0 }),
    onSuccess: (decision) => {
      void message.success({ key: "decided", content: t("decide.done", { disposition: t(`disposition.${decision.disposition}`) }) });
      done();
      again();
    },
    onError: (fault: Error) => {
      const content = statusOf(fault) === 409 ? t("decide.conflict", { said: visible(fault.message) }) : visible(fault.message);
      void message.error({ key: "decided", content, duration: 8 });
      if (statusOf(fault) === 409) {
        done();
        again();
      }
    },
  });
}

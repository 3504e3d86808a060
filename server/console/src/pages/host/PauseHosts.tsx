// Asks hosts to read nothing for a while, or to read again: one host, or all that carry a label.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App, Button, Form, Input, Modal, Select } from "antd";
import { useTranslation } from "react-i18next";

import { tell } from "../../api/queries";
import type { HostRow, HostsChosen } from "../../api/types";
import { visible } from "../../parts/places";

const lengths = [["quarter", 900], ["hour", 3600], ["fourHours", 14_400], ["day", 86_400]] as const;

interface Answers {
  labels?: string;
  seconds?: number;
}

/** Without a host it asks for labels. */
export function PauseHosts({ host, open, close }: { host?: HostRow; open: boolean; close: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const cache = useQueryClient();
  const [form] = Form.useForm<Answers>();
  const end = () => {
    form.resetFields();
    close();
  };
  const ask = useMutation({
    mutationFn: ({ resume, answers }: { resume: boolean; answers: Answers }) => {
      const hosts = chosen(host, answers);
      return resume ? tell.resumeHosts(hosts) : tell.pauseHosts({ hosts, seconds: answers.seconds ?? 3600 });
    },
    onSuccess: ({ hosts }) => {
      void message.success(t("pause.asked", { n: hosts }));
      void cache.invalidateQueries({ queryKey: host === undefined ? ["hosts"] : ["host", host.id] });
      end();
    },
    onError: (fault: Error) => void message.error(visible(fault.message), 8),
  });
  const submit = (resume: boolean) => void form.validateFields().then((answers) => ask.mutate({ resume, answers }), () => undefined);
  return (
    <Modal
      open={open} onCancel={end} destroyOnHidden title={host === undefined ? t("pause.titleLabels") : t("pause.title", { name: visible(host.name) })}
      footer={[
        <Button key="c" onClick={end}>{t("pause.cancel")}</Button>,
        <Button key="r" loading={ask.isPending} onClick={() => submit(true)}>{t("pause.resume")}</Button>,
        <Button key="p" type="primary" loading={ask.isPending} onClick={() => submit(false)}>{t("pause.do")}</Button>,
      ]}
    >
      <Form form={form} layout="vertical" requiredMark={false} initialValues={{ seconds: 3600 }}>
        <p style={{ marginBottom: 12 }}>{t("pause.means")}</p>
        {host === undefined && (
          <Form.Item name="labels" label={t("pause.labels")} extra={t("pause.labelsHint")} rules={[{ validator: (_, value?: string) => (areLabels(value) ? Promise.resolve() : Promise.reject(new Error(t("pause.labelsWrong")))) }]}>
            <Input placeholder="env=prod" maxLength={1000} />
          </Form.Item>
        )}
        <Form.Item name="seconds" label={t("pause.length")}>
          <Select options={lengths.map(([word, seconds]) => ({ value: seconds, label: t(`pause.lengths.${word}`) }))} style={{ width: 160 }} />
        </Form.Item>
      </Form>
    </Modal>
  );
}

function chosen(host: HostRow | undefined, answers: Answers): HostsChosen {
  if (host !== undefined) return { host: host.id, labels: {} };
  const pairs = split(answers.labels).map((label): [string, string] => {
    const at = label.indexOf("=");
    return [label.slice(0, at), label.slice(at + 1)];
  });
  return { host: null, labels: Object.fromEntries(pairs) };
}

function areLabels(text: string | undefined): boolean {
  const labels = split(text);
  return labels.length > 0 && labels.every((label) => /^[^=\s]+=\S+$/.test(label));
}

function split(text: string | undefined): string[] {
  return (text ?? "").split(/[\s,，]+/).filter((label) => label !== "");
}

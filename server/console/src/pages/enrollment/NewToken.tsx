// Asks what a token may do, then shows its string once, with what to do with it on the host.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App, Button, Form, Input, Modal, Select } from "antd";
import { useTranslation } from "react-i18next";

import { tell } from "../../api/queries";
import { CopyButton } from "../../parts/Copy";
import { visible } from "../../parts/places";

const COMMAND = "sudo akwatch-agent enroll";
const times = [["hour", 3600], ["day", 86_400], ["week", 604_800]] as const;

interface Answers {
  uses?: number | string;
  seconds?: number;
  labels?: string;
  note?: string;
}

export function NewToken({ open, close }: { open: boolean; close: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const cache = useQueryClient();
  const [form] = Form.useForm<Answers>();
  const create = useMutation({
    mutationFn: (answers: Answers) => tell.createEnrollmentToken({
      uses: Number(answers.uses ?? 1), seconds: answers.seconds ?? 3600, labels: labelsOf(split(answers.labels)),
      note: answers.note === undefined || answers.note.trim() === "" ? null : answers.note.trim(),
    }),
    // The answer holds a secret: it lives as long as the dialog.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["enrollment-tokens"] }),
    onError: (fault: Error) => void message.error(visible(fault.message), 8),
  });
  const end = () => {
    create.reset();
    form.resetFields();
    close();
  };
  const made = create.data;
  return (
    <Modal
      open={open} onCancel={end} destroyOnHidden mask={{ closable: made === undefined }} title={t(made === undefined ? "enroll.create" : "enroll.made")}
      footer={made === undefined
        ? [<Button key="c" onClick={end}>{t("enroll.cancel")}</Button>, <Button key="o" type="primary" loading={create.isPending} onClick={() => form.submit()}>{t("enroll.do")}</Button>]
        : [<Button key="d" type="primary" onClick={end}>{t("enroll.done")}</Button>]}
    >
      {made === undefined ? (
        <Form form={form} layout="vertical" requiredMark={false} onFinish={(answers) => create.mutate(answers)} initialValues={{ uses: 1, seconds: 3600 }}>
          <Form.Item name="uses" label={t("enroll.usesAsk")} rules={[{ validator: (_, value: unknown) => (Number.isInteger(Number(value)) && Number(value) >= 1 && Number(value) <= 100_000 ? Promise.resolve() : Promise.reject(new Error(t("enroll.usesWrong")))) }]}><Input type="number" min={1} max={100_000} step={1} style={{ width: 160 }} /></Form.Item>
          <Form.Item name="seconds" label={t("enroll.time")}>
            <Select options={times.map(([word, seconds]) => ({ value: seconds, label: t(`enroll.times.${word}`) }))} style={{ width: 160 }} />
          </Form.Item>
          <Form.Item
            name="labels" label={t("enroll.labels")} extra={t("enroll.labelsHint")}
            rules={[{ validator: (_, value?: string) => (split(value).every((label) => /^[^=\s]+=\S+$/.test(label)) ? Promise.resolve() : Promise.reject(new Error(t("enroll.labelsWrong")))) }]}
          >
            <Input placeholder="env=prod, team=payments" maxLength={1000} />
          </Form.Item>
          <Form.Item name="note" label={t("enroll.noteAsk")}><Input maxLength={100} /></Form.Item>
        </Form>
      ) : (
        <div className="stack" style={{ gap: 12 }}>
          <p>{t("enroll.once")}</p>
          <Copied text={made.bootstrap} label={t("enroll.copyString")} />
          <ol className="steps">
            <li>{t("enroll.step1")}</li>
            <li>{t("enroll.step2")}<Copied text={COMMAND} label={t("enroll.copyCommand")} /></li>
            <li>{t("enroll.step3")}</li>
          </ol>
        </div>
      )}
    </Modal>
  );
}

function Copied({ text, label }: { text: string; label: string }) {
  return <div className="copied"><code>{text}</code><CopyButton text={text} label={label} /></div>;
}

/** Labels as they are typed: apart by commas or spaces. */
function split(text: string | undefined): string[] {
  return (text ?? "").split(/[\s,，]+/).filter((label) => label !== "");
}

function labelsOf(labels: readonly string[]): Record<string, string> {
  return Object.fromEntries(labels.map((label) => {
    const at = label.indexOf("=");
    return [label.slice(0, at).trim(), label.slice(at + 1).trim()];
  }));
}

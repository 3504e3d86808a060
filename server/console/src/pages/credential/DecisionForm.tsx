// Asks what a decision needs before it counts: why, and until when. What it costs is said first.
import { Form, Input, Modal, Select, type GetRef } from "antd";
import { useRef } from "react";
import { useTranslation } from "react-i18next";

import type { CredentialDetail, Decide, Disposition } from "../../api/types";

const DAY = 86_400_000;
const lengths = [7, 30, 90, 180, 365] as const;

type TextAreaRef = GetRef<typeof Input.TextArea>;

interface Answers {
  note?: string;
  days?: number;
}

export function DecisionForm({ data, to, busy, close, send }: {
  data: CredentialDetail; to: Disposition | undefined; busy: boolean; close: () => void; send: (body: Omit<Decide, "version">) => void;
}) {
  const { t } = useTranslation();
  const [form] = Form.useForm<Answers>();
  const field = useRef<TextAreaRef>(null);
  const reason = to === "false-positive" || to === "accepted";
  const { present, unknown } = data.credential.places;
  const said = to === "rotated" ? t("decide.aboutRotated", { n: present + unknown })
    : to === "accepted" ? t("decide.aboutAccepted")
    : t("decide.aboutFalsePositive");
  const submit = ({ note, days }: Answers) => {
    if (to === undefined) return;
    const text = note?.trim() ?? "";
    send({ disposition: to, ...(text === "" ? {} : { note: text }), ...(to === "accepted" ? { until: Date.now() + (days ?? 90) * DAY } : {}) });
  };
  return (
    <Modal
      open={to !== undefined} onCancel={close} destroyOnHidden confirmLoading={busy} okText={to === undefined ? "" : t(`decide.do.${to}`)} cancelText={t("decide.cancel")}
      title={to === undefined ? "" : t(`decide.title.${to}`)} onOk={() => form.submit()}
      afterOpenChange={(open) => { if (open) field.current?.focus(); }}
    >
      <p style={{ marginBottom: 12 }}>{said}</p>
      <Form form={form} layout="vertical" requiredMark={false} preserve={false} onFinish={submit} initialValues={{ days: 90 }}>
        {to === "accepted" && (
          <Form.Item name="days" label={t("decide.until")}>
            <Select options={lengths.map((days) => ({ value: days, label: t("decide.days", { n: days }) }))} />
          </Form.Item>
        )}
        <Form.Item
          name="note" label={t(reason ? "decide.why" : "decide.note")} extra={t("decide.noSecret")}
          rules={reason ? [{ required: true, whitespace: true, message: t("decide.whyMissing") }] : []}
        >
          <Input.TextArea
            ref={field} rows={3} maxLength={300}
            onKeyDown={(event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.submit(); }}
          />
        </Form.Item>
      </Form>
    </Modal>
  );
}

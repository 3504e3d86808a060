// Signing in with name and password. Wrong name, wrong password and lockout are one neutral sentence.
import { Alert, Button, Form, Input } from "antd";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { useAddress } from "../address/useAddress";
import { statusOf } from "../api/client";
import { ask, tell } from "../api/queries";
import { Door, safeNext } from "./Door";

export function SignIn() {
  const { t } = useTranslation();
  const [address] = useAddress();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const [fault, setFault] = useState<"refused" | "lost">();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = `${t("page.signIn")} · ${t("app.name")}`;
  }, [t]);
  const submit = async (values: { name: string; password: string }) => {
    setBusy(true);
    setFault(undefined);
    try {
      const me = await tell.signIn(values);
      cache.clear();
      cache.setQueryData(ask.me().queryKey, me);
      await navigate({ href: safeNext(address["next"]), replace: true });
    } catch (caught) {
      const status = statusOf(caught);
      setFault(status !== undefined && status >= 400 && status < 500 ? "refused" : "lost");
    } finally {
      setBusy(false);
    }
  };
  return (
    <Door title={t("page.signIn")} lead={t("signIn.address", { host: window.location.host })}>
      {address["ended"] === "1" && fault === undefined && (
        <Alert type="info" showIcon title={t("signIn.ended")} style={{ marginBottom: 16 }} />
      )}
      {fault !== undefined && <Alert type="error" showIcon title={t(`signIn.${fault}`)} style={{ marginBottom: 16 }} role="alert" />}
      <Form layout="vertical" requiredMark={false} onFinish={(values) => void submit(values as { name: string; password: string })} disabled={busy}>
        <Form.Item label={t("signIn.name")} name="name" rules={[{ required: true, message: t("signIn.nameMissing") }]}>
          <Input autoFocus autoComplete="username" maxLength={128} spellCheck={false} />
        </Form.Item>
        <Form.Item label={t("signIn.password")} name="password" rules={[{ required: true, message: t("signIn.passwordMissing") }]}>
          <Input.Password autoComplete="current-password" maxLength={1024} visibilityToggle={false} />
        </Form.Item>
        <Button type="primary" htmlType="submit" block loading={busy}>{t("signIn.submit")}</Button>
      </Form>
      <p className="caption" style={{ marginTop: 16 }}>{t("signIn.where")}</p>
    </Door>
  );
}

// The one-time link: it names the first administrator and sets a password. The token stays in memory
// and is forgotten once it was used.
import { Alert, Button, Form, Input } from "antd";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { statusOf } from "../api/client";
import { ask, tell } from "../api/queries";
import { Door } from "./Door";
import { firstSignInToken, forgetFirstSignInToken } from "./firstSignInToken";

/** The collector refuses anything shorter. */
const SHORTEST = 12;

interface Values {
  name: string;
  password: string;
  again: string;
}

export function FirstSignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const [fault, setFault] = useState<"refused" | "lost">();
  const [busy, setBusy] = useState(false);
  const token = firstSignInToken();
  useEffect(() => {
    document.title = `${t("page.firstSignIn")} · ${t("app.name")}`;
  }, [t]);
  const submit = async ({ name, password }: Values) => {
    setBusy(true);
    setFault(undefined);
    try {
      const me = await tell.firstSignIn({ token: token ?? "", name: name.trim(), password });
      forgetFirstSignInToken();
      cache.clear();
      cache.setQueryData(ask.me().queryKey, me);
      await navigate({ to: "/", replace: true });
    } catch (caught) {
      const status = statusOf(caught);
      setFault(status !== undefined && status >= 400 && status < 500 ? "refused" : "lost");
    } finally {
      setBusy(false);
    }
  };
  const message = token === undefined ? t("firstSignIn.noToken")
    : fault === undefined ? undefined : fault === "lost" ? t("signIn.lost") : t("firstSignIn.refused");
  return (
    <Door title={t("firstSignIn.title")} lead={<>{t("firstSignIn.lead")}<br />{t("signIn.address", { host: window.location.host })}</>}>
      {message !== undefined && <Alert type={token === undefined ? "warning" : "error"} showIcon title={message} style={{ marginBottom: 16 }} role="alert" />}
      {token !== undefined && (
        <Form layout="vertical" requiredMark={false} onFinish={(values) => void submit(values as Values)} disabled={busy}>
          <Form.Item label={t("firstSignIn.name")} name="name" rules={[{ required: true, whitespace: true, message: t("firstSignIn.nameMissing") }]}>
            <Input autoFocus autoComplete="username" maxLength={64} spellCheck={false} />
          </Form.Item>
          <Form.Item
            label={t("firstSignIn.password")}
            name="password"
            validateTrigger="onBlur"
            rules={[{
              validator: (_rule, value: string | undefined) => {
                const missing = SHORTEST - [...(value ?? "")].length;
                return missing <= 0 ? Promise.resolve() : Promise.reject(new Error(t("firstSignIn.short", { n: missing })));
              },
            }]}
          >
            <Input.Password autoComplete="new-password" maxLength={1024} visibilityToggle={false} />
          </Form.Item>
          <Form.Item
            label={t("firstSignIn.again")}
            name="again"
            dependencies={["password"]}
            validateTrigger="onBlur"
            rules={[({ getFieldValue }) => ({
              validator: (_rule, value: string | undefined) =>
                value === getFieldValue("password") ? Promise.resolve() : Promise.reject(new Error(t("firstSignIn.differ"))),
            })]}
          >
            <Input.Password autoComplete="new-password" maxLength={1024} visibilityToggle={false} />
          </Form.Item>
          <Button type="primary" htmlType="submit" block loading={busy}>{t("firstSignIn.submit")}</Button>
        </Form>
      )}
      <p style={{ marginTop: 16 }}><Link to="/sign-in">{t("firstSignIn.known")}</Link></p>
    </Door>
  );
}

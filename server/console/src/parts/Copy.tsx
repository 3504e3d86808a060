// Copies what is shown, and says what was copied: a masked id is never mistaken for a whole one.
import { CopyOutlined } from "@ant-design/icons";
import { App } from "antd";
import { useTranslation } from "react-i18next";

export function useCopy(): (text: string, said: string) => void {
  const { t } = useTranslation();
  const { message } = App.useApp();
  return (text, said) => {
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    written.then(
      () => void message.success(said),
      () => void message.warning(t("copy.failed")),
    );
  };
}

export function CopyButton({ text, label, said }: { text: string; label: string; said?: string }) {
  const { t } = useTranslation();
  const copy = useCopy();
  return (
    <button
      type="button"
      className="copy"
      aria-label={label}
      title={label}
      onClick={(event) => {
        event.stopPropagation();
        copy(text, said ?? t("copy.text"));
      }}
    >
      <CopyOutlined aria-hidden />
    </button>
  );
}

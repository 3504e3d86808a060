// The list of keys, shown by `?`.
import { Modal } from "antd";
import { useTranslation } from "react-i18next";

const rows = [
  ["go", "goDoes"], ["move", "moveDoes"], ["open", "openDoes"], ["back", "backDoes"], ["neighbours", "neighboursDoes"],
  ["acknowledge", "acknowledgeDoes"], ["rotate", "rotateDoes"], ["tabs", "tabsDoes"], ["filters", "filtersDoes"], ["search", "searchDoes"], ["link", "linkDoes"], ["utc", "utcDoes"], ["help", "helpDoes"],
] as const;

export function KeysHelp({ open, close }: { open: boolean; close: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal open={open} onCancel={close} title={t("keys.title")} footer={null} destroyOnHidden>
      <table className="keys-table">
        <tbody>
          {rows.map(([key, does]) => (
            <tr key={key}>
              <td className="code nowrap">{t(`keys.${key}`)}</td>
              <td>{t(`keys.${does}`)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}

// Why this score: its lines, which add up to it. When they do not, the page says so rather than
// hiding a disagreement.
import { useTranslation } from "react-i18next";

import type { Score } from "../../api/types";
import { Score as Badge } from "../../parts/Badges";
import { Empty, Partial } from "../../parts/States";
import { useScoreWords } from "./scoreWords";

export function ScoreLines({ score }: { score: Score }) {
  const { t } = useTranslation();
  const words = useScoreWords();
  if (score.lines.length === 0) return <Empty>{t("empty.lines")}</Empty>;
  const sum = score.lines.reduce((all, line) => all + line.points, 0);
  return (
    <div style={{ padding: 16, maxWidth: 720 }}>
      {sum !== score.value && <Partial>{t("credential.sumWrong", { sum, total: score.value })}</Partial>}
      <table className="plain-table">
        <thead><tr><th>{t("column.what")}</th><th>{t("column.because")}</th><th className="end">{t("column.points")}</th></tr></thead>
        <tbody>
          {score.lines.map((line, at) => (
            <tr key={at}>
              <td className="nowrap">{words.what(line.what)}</td>
              <td><bdi>{words.because(line)}</bdi></td>
              <td className="end number">{signed(line.points)}</td>
            </tr>
          ))}
          <tr>
            <td className="strong">{t("credential.total")}</td>
            <td className="second">{t("credential.sum", { n: score.lines.length, total: sum })}</td>
            <td className="end"><Badge value={score.value} word /></td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}

function signed(points: number): string {
  return points > 0 ? `+${points}` : points < 0 ? `−${-points}` : "0";
}

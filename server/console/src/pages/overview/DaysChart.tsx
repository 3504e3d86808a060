// New findings up, gone findings down, a column a day. The chart never stands alone: a sentence says
// what it shows, and a table says it in numbers.
import { BarChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { Button } from "antd";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import type { Day } from "../../api/types";
import { Panel } from "../../parts/Page";
import { grouped } from "../../parts/numbers";
import { meanings, surfaces, type Palette } from "../../theme/tokens";
import { fillDays, type Drawn } from "./days";
import { usePalette } from "../../theme/Theme";

echarts.use([BarChart, GridComponent, LegendComponent, TooltipComponent, AriaComponent, SVGRenderer]);

export default function DaysChart({ days }: { days: readonly Day[] }) {
  const { t } = useTranslation();
  const [table, setTable] = useState(false);
  const sum = (key: "new" | "gone") => days.reduce((all, day) => all + day[key], 0);
  const none = sum("new") + sum("gone") === 0;
  return (
    <Panel
      title={t("overview.chart")}
      extra={none ? null : <Button type="text" size="small" onClick={() => setTable(!table)}>{t(table ? "overview.chartPicture" : "overview.chartTable")}</Button>}
    >
      <p className="second" style={{ marginBottom: 8 }}>
        {none ? t("overview.chartNone") : t("overview.chartCaption", { new: sum("new"), gone: sum("gone"), days: days.length })}
      </p>
      {!none && (table ? <DaysTable days={days} /> : <Drawing days={days} />)}
    </Panel>
  );
}

function DaysTable({ days }: { days: readonly Day[] }) {
  const { t } = useTranslation();
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t("overview.chart")} style={{ maxHeight: 240, overflowY: "auto" }}>
      <table className="plain-table">
        <thead><tr><th>{t("overview.day")}</th><th className="end">{t("overview.new")}</th><th className="end">{t("overview.gone")}</th></tr></thead>
        <tbody>
          {[...days].reverse().map((day) => (
            <tr key={day.day}><td className="number">{day.day}</td><td className="end number">{grouped(day.new)}</td><td className="end number">{grouped(day.gone)}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Drawing({ days: known }: { days: readonly Day[] }) {
  const days = useMemo(() => fillDays(known, Date.now()), [known]);
  const { t } = useTranslation();
  const palette = usePalette();
  const box = useRef<HTMLDivElement>(null);
  const names = useMemo(() => ({ new: t("overview.new"), gone: t("overview.gone") }), [t]);
  useEffect(() => {
    if (box.current === null) return;
    const chart = echarts.init(box.current, undefined, { renderer: "svg" });
    chart.setOption(options(days, palette, names));
    const resized = new ResizeObserver(() => chart.resize());
    resized.observe(box.current);
    return () => {
      resized.disconnect();
      chart.dispose();
    };
  }, [days, palette, names]);
  return <div ref={box} className="chart" role="img" aria-label={t("overview.chart")} />;
}

function options(days: readonly Drawn[], palette: Palette, names: { new: string; gone: string }) {
  const own = surfaces[palette];
  const colours = meanings[palette];
  const text = { color: own.colorTextTertiary, fontSize: 12 };
  return {
    animation: false,
    aria: { enabled: true, decal: { show: true } },
    textStyle: text,
    legend: { right: 0, top: 0, itemWidth: 12, itemHeight: 12, textStyle: { ...text, color: own.colorTextSecondary } },
    grid: { left: 8, right: 8, top: 28, bottom: 4, outerBoundsMode: "same" as const, containLabel: false },
    tooltip: {
      trigger: "axis" as const, renderMode: "richText" as const, confine: true,
      backgroundColor: own.colorBgElevated, borderColor: own.colorBorderSecondary, textStyle: { color: own.colorText, fontSize: 12 },
      valueFormatter: (value: unknown) => grouped(Math.abs(Number(value))),
    },
    xAxis: {
      type: "category" as const, data: days.map((day) => day.day.slice(5)), axisLabel: text,
      axisTick: { show: false }, axisLine: { lineStyle: { color: own.colorBorder } },
    },
    yAxis: {
      type: "value" as const, minInterval: 1, splitLine: { lineStyle: { color: own.colorBorderSecondary } },
      axisLabel: { ...text, formatter: (value: number) => grouped(Math.abs(value)) },
    },
    series: [
      { type: "bar" as const, name: names.new, stack: "day", data: days.map((day) => day.new), itemStyle: { color: colours.high[2] }, barMaxWidth: 20 },
      { type: "bar" as const, name: names.gone, stack: "day", data: days.map((day) => (day.gone === null ? null : -day.gone)), itemStyle: { color: colours.verified[2] }, barMaxWidth: 20 },
    ],
  };
}

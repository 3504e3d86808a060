// Every colour of the console, once: Ant Design's tokens are set from here, and the same values
// become CSS variables for our own parts. Measured for contrast on all surfaces; change a value
// only together with its measurement.
import { theme, type ThemeConfig } from "antd";

/** The two palettes. */
export type Palette = "light" | "dark";

/** One meaning: the colour of its text, its tint and its fill. */
type Meaning = readonly [text: string, tint: string, fill: string];

/** What a colour says. Nothing is coloured that has none of these meanings. */
export type MeaningName =
  | "critical" | "high" | "medium" | "low" | "recorded" | "verified" | "unknown" | "work";

export const meanings: Record<Palette, Record<MeaningName, Meaning>> = {
  light: {
    critical: ["#A8101B", "#FDECEC", "#C8242E"],
    high: ["#A63F00", "#FDEFE4", "#D9660F"],
    medium: ["#755400", "#FBF3D6", "#A87F00"],
    low: ["#35587F", "#E9F0F7", "#5F83AC"],
    recorded: ["#566070", "#EEF1F5", "#7F8A9A"],
    verified: ["#14663A", "#E6F4EB", "#2E9B5C"],
    unknown: ["#6230A8", "#F1EAFB", "#8B5BD1"],
    work: ["#1A55C4", "#E7EFFC", "#1F5FD6"],
  },
  dark: {
    critical: ["#FF8A8A", "#3A1619", "#F0555B"],
    high: ["#FFA866", "#372010", "#EE8434"],
    medium: ["#F0CB5A", "#332A0D", "#CFA62B"],
    low: ["#9DC0E8", "#172637", "#6C97C9"],
    recorded: ["#AAB4C2", "#222A34", "#7C8796"],
    verified: ["#74D69B", "#11301F", "#3FB871"],
    unknown: ["#C7A6FF", "#2A1D45", "#9D74E8"],
    work: ["#8CB6FF", "#1B2E52", "#3D7BF0"],
  },
};

const light = {
  colorPrimary: "#1F5FD6", colorInfo: "#1F5FD6", colorPrimaryHover: "#1850BA",
  colorPrimaryActive: "#12419A", colorPrimaryBorder: "#2F6FE0",
  colorLink: "#1A55C4", colorLinkHover: "#12419A", colorLinkActive: "#12419A",
  colorBgBase: "#FFFFFF", colorBgLayout: "#F4F6F9", colorBgContainer: "#FFFFFF",
  colorBgElevated: "#FFFFFF",
  colorTextBase: "#161B22", colorText: "#161B22", colorTextSecondary: "#465061",
  colorTextTertiary: "#596372", colorTextDescription: "#596372",
  colorTextPlaceholder: "#5F6979", colorTextDisabled: "#8A93A1", colorTextHeading: "#161B22",
  colorBorder: "#838D9C", colorBorderSecondary: "#E1E6EC", colorSplit: "#E1E6EC",
  colorError: "#C0202A", colorErrorHover: "#A31820", colorErrorText: "#A8101B",
  colorErrorBg: "#FDECEC", colorErrorBorder: "#F0B4B6",
  colorWarning: "#A34A06", colorWarningText: "#8F3F02", colorWarningBg: "#FDEFE4",
  colorWarningBorder: "#EDBE97",
  colorSuccess: "#14713C", colorSuccessText: "#14663A", colorSuccessBg: "#E6F4EB",
  colorSuccessBorder: "#A6D7BA",
  colorInfoBg: "#E7EFFC", colorInfoBorder: "#B1C9F4",
  controlItemBgActive: "#E7EFFC", controlItemBgHover: "#F0F3F7",
};

const dark: typeof light = {
  colorPrimary: "#3D7BF0", colorInfo: "#3D7BF0", colorPrimaryHover: "#2F62C0",
  colorPrimaryActive: "#28559F", colorPrimaryBorder: "#5B93F5",
  colorLink: "#8CB6FF", colorLinkHover: "#A9C8FF", colorLinkActive: "#A9C8FF",
  colorBgBase: "#0D1117", colorBgLayout: "#0D1117", colorBgContainer: "#151B23",
  colorBgElevated: "#1D242E",
  colorTextBase: "#E6EAF0", colorText: "#E6EAF0", colorTextSecondary: "#B6BFCC",
  colorTextTertiary: "#97A2B1", colorTextDescription: "#97A2B1",
  colorTextPlaceholder: "#8F9AA9", colorTextDisabled: "#667180", colorTextHeading: "#E6EAF0",
  colorBorder: "#6C7786", colorBorderSecondary: "#262E39", colorSplit: "#262E39",
  colorError: "#D9434A", colorErrorHover: "#B23A3E", colorErrorText: "#FF8A8A",
  colorErrorBg: "#3A1619", colorErrorBorder: "#7A2B30",
  colorWarning: "#E08A2B", colorWarningText: "#FFA866", colorWarningBg: "#372010",
  colorWarningBorder: "#75451B",
  colorSuccess: "#3FB871", colorSuccessText: "#74D69B", colorSuccessBg: "#11301F",
  colorSuccessBorder: "#23633E",
  colorInfoBg: "#1B2E52", colorInfoBorder: "#34549A",
  controlItemBgActive: "#1B2E52", controlItemBgHover: "#1F2732",
};

/** The surface, text and line colours that our own style sheet needs. */
export const surfaces: Record<Palette, typeof light> = { light, dark };

const fontFamily =
  '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", ' +
  '"Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';
const fontFamilyCode =
  'ui-monospace, "SF Mono", "Cascadia Mono", Consolas, "DejaVu Sans Mono", ' +
  '"Noto Sans Mono CJK SC", monospace';

/** Ant Design's theme for one palette. */
export function antdTheme(palette: Palette, reducedMotion: boolean): ThemeConfig {
  const own = surfaces[palette];
  return {
    algorithm: palette === "dark" ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: {
      ...own, fontFamily, fontFamilyCode,
      fontSize: 14, borderRadius: 4, borderRadiusLG: 6, borderRadiusSM: 3, controlHeight: 32,
      lineWidthFocus: 2, motionDurationMid: "0.12s", motionDurationSlow: "0.18s",
      motion: !reducedMotion,
      // The algorithm derives muddy tints from seeds this deep, so the smallest size is set too.
      fontSizeSM: 12,
    },
    components: {
      Layout: { headerHeight: 48, headerPadding: "0 16px", headerBg: own.colorBgContainer,
        siderBg: own.colorBgContainer, bodyBg: own.colorBgLayout },
      Menu: { itemHeight: 36, itemBorderRadius: 4, itemSelectedBg: own.controlItemBgActive,
        itemSelectedColor: own.colorLink, itemHoverBg: own.controlItemBgHover },
      Button: { primaryShadow: "none", defaultShadow: "none", dangerShadow: "none" },
      Card: { bodyPadding: 16, headerHeight: 44 },
      Statistic: { contentFontSize: 28 },
      Table: { cellFontSizeSM: 13, cellPaddingBlockSM: 7, cellPaddingInlineSM: 10,
        headerBg: own.colorBgLayout, headerSplitColor: "transparent",
        borderColor: own.colorBorderSecondary, rowHoverBg: own.controlItemBgHover,
        headerSortActiveBg: own.colorBgLayout, headerSortHoverBg: own.controlItemBgHover,
        bodySortBg: own.colorBgContainer },
      Tabs: { itemSelectedColor: own.colorLink, itemHoverColor: own.colorLinkHover },
    },
  };
}

/** Writes the palette as CSS variables: through the style API, which the page's policy allows. */
export function writeVariables(palette: Palette): void {
  const root = document.documentElement;
  root.dataset["theme"] = palette;
  root.style.colorScheme = palette;
  for (const [name, [text, tint, fill]] of Object.entries(meanings[palette])) {
    root.style.setProperty(`--${name}-text`, text);
    root.style.setProperty(`--${name}-tint`, tint);
    root.style.setProperty(`--${name}-fill`, fill);
  }
  const own = surfaces[palette];
  const named: Record<string, string> = {
    "--layout": own.colorBgLayout, "--container": own.colorBgContainer,
    "--elevated": own.colorBgElevated, "--ink": own.colorText,
    "--ink-2": own.colorTextSecondary, "--ink-3": own.colorTextTertiary,
    "--line": own.colorBorderSecondary, "--border": own.colorBorder, "--link": own.colorLink,
    "--link-hover": own.colorLinkHover, "--focus": own.colorPrimaryBorder,
    "--hover": own.controlItemBgHover, "--font": fontFamily, "--code": fontFamilyCode,
  };
  for (const [name, value] of Object.entries(named)) root.style.setProperty(name, value);
}

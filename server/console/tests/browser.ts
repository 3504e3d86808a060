// One Chromium for a test file, and what every page is held to: no fault in the console, no request to
// another place, no serious finding of axe. Pictures go where AKWATCH_SCREENSHOTS says.
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export type View = { language: "en" | "zh"; theme: "light" | "dark"; width: number; height: number };

/** What a picture of each page is taken in. */
export const views: View[] = [
  { language: "en", theme: "light", width: 1366, height: 768 },
  { language: "zh", theme: "dark", width: 1366, height: 768 },
  { language: "zh", theme: "light", width: 1920, height: 1080 },
  { language: "en", theme: "dark", width: 1920, height: 1080 },
];

export function nameOf(view: View): string {
  return `${view.language}-${view.theme}-${view.width}`;
}

export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["AKWATCH_CHROMIUM"] ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/** A page with the language and theme chosen, and everything that went wrong on it. */
export class Visit {
  readonly faults: string[] = [];
  private constructor(readonly context: BrowserContext, readonly page: Page, readonly base: string) {}

  static async to(browser: Browser, base: string, view: View): Promise<Visit> {
    const context = await browser.newContext({
      viewport: { width: view.width, height: view.height }, ignoreHTTPSErrors: true, timezoneId: "Asia/Shanghai",
      locale: view.language === "zh" ? "zh-CN" : "en-GB", reducedMotion: "reduce",
    });
    await context.addInitScript(([language, theme]) => {
      if (localStorage.getItem("akwatch.preferences") === null) localStorage.setItem("akwatch.preferences", JSON.stringify({ language, theme, hideIds: false }));
    }, [view.language, view.theme] as const);
    const page = await context.newPage();
    const visit = new Visit(context, page, base);
    page.on("pageerror", (fault) => visit.faults.push(`fault: ${fault.message}`));
    page.on("console", (message) => {
      // A refused call is named by the browser too; the tests that provoke one look at the page.
      if (message.type() === "error" && !/status of (401|403|404|500)|ERR_(INCOMPLETE|CONNECTION|EMPTY)/.test(message.text())) visit.faults.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(base) && !request.url().startsWith("data:")) visit.faults.push(`request to ${request.url()}`);
    });
    return visit;
  }

  async open(path: string): Promise<Page> {
    await this.page.goto(this.base + path, { waitUntil: "load" });
    await this.page.locator("h1, .door h1").first().waitFor();
    return this.page;
  }

  /** Serious and critical findings of axe, as one line each. */
  async axe(): Promise<string[]> {
    await this.page.evaluate(axeSource);
    const found = await this.page.evaluate(async () => {
      const { axe } = window as unknown as { axe: { run: (root: Document, options: object) => Promise<{ violations: Array<{ id: string; impact: string; nodes: Array<{ html: string; failureSummary: string }> }> }> } };
      const answer = await axe.run(document, { resultTypes: ["violations"] });
      return answer.violations.map((each) => ({ id: each.id, impact: each.impact, nodes: each.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} — ${node.failureSummary}`) }));
    });
    return found.filter((each) => each.impact === "serious" || each.impact === "critical").map((each) => `${each.id}: ${each.nodes.join(" | ")}`);
  }

  /** What no page may do: be wider than the window, show text under 12 px, or clip a heading. */
  async layoutFaults(): Promise<string[]> {
    return this.page.evaluate(() => {
      const faults: string[] = [];
      const root = document.documentElement;
      if (root.scrollWidth > root.clientWidth + 1) faults.push(`the page is ${root.scrollWidth} px wide in a window of ${root.clientWidth}`);
      for (const element of document.querySelectorAll<HTMLElement>("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && (node.textContent ?? "").trim() !== "");
        if (own && element.getClientRects().length > 0 && parseFloat(getComputedStyle(element).fontSize) < 12) faults.push(`text under 12 px: ${element.textContent?.slice(0, 40) ?? ""}`);
      }
      return faults.slice(0, 5);
    });
  }

  async picture(name: string, fullPage = false): Promise<void> {
    const directory = process.env["AKWATCH_SCREENSHOTS"];
    if (directory === undefined) return;
    await mkdir(directory, { recursive: true });
    await this.page.screenshot({ path: join(directory, `${name}.png`), fullPage });
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}

// The filter bar: what is chosen stands in the address, as chips that can be taken away one by one.
import { CloseOutlined, DownOutlined } from "@ant-design/icons";
import i18next from "i18next";
import { Button, Checkbox, Input, Popover, Radio } from "antd";
import { useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { filtersIn, fromWords, strangersIn, words } from "../address/address";
import { useAddress } from "../address/useAddress";
import { visible } from "./places";
import { Partial } from "./States";

/** One filter: a choice of words, or one of several ranges, or free text, or only ever a chip. */
export interface Filter {
  key: string;
  label: string;
  sort: "many" | "one" | "text" | "chip";
  options?: ReadonlyArray<{ value: string; label: string }>;
  /** What a chip says of a value. */
  say?: (value: string) => string;
}

export function Filters({ filters, end }: { filters: readonly Filter[]; end?: ReactNode }) {
  const { t } = useTranslation();
  const [address, set] = useAddress();
  const keys = filters.map((filter) => filter.key);
  const active = filtersIn(address, keys);
  const strangers = strangersIn(address, keys);
  return (
    <>
      <div className="filters" role="group" aria-label={t("filter.label")}>
        {filters.map((filter) =>
          filter.sort === "text" ? <TextFilter key={filter.key} filter={filter} />
          : filter.sort === "chip" ? null
          : <ChoiceFilter key={filter.key} filter={filter} />)}
        {active.map((key) => {
          const filter = filters.find((each) => each.key === key);
          if (filter === undefined || filter.sort === "text") return null;
          const said = visible(sayFilter(filter, address[key] ?? ""));
          return (
            <span key={key} className="tag m-work">
              <span className="cut" style={{ maxWidth: 260 }}><bdi>{said}</bdi></span>
              <button type="button" className="copy" aria-label={t("filter.remove", { name: said })} onClick={() => set({ [key]: undefined })}>
                <CloseOutlined aria-hidden />
              </button>
            </span>
          );
        })}
        {active.length > 0 && (
          <Button type="text" size="small" onClick={() => set(Object.fromEntries(active.map((key) => [key, undefined])))}>
            {t("filter.clear")}
          </Button>
        )}
        <span className="grow" />
        {end}
      </div>
      {strangers.length > 0 && <Partial>{t("filter.unread", { names: strangers.join(", ") })}</Partial>}
    </>
  );
}

/** What a filter's value reads as. */
export function sayFilter(filter: Filter, value: string): string {
  if (filter.say !== undefined) return filter.say(value);
  const named = words(value).map((word) => filter.options?.find((option) => option.value === word)?.label ?? word);
  return i18next.t("join.named", { name: filter.label, value: named.reduce((a, b) => i18next.t("join.two", { a, b })) });
}

function ChoiceFilter({ filter }: { filter: Filter }) {
  const [address, set] = useAddress();
  const chosen = words(address[filter.key]);
  const menu = filter.sort === "many" ? (
    <Checkbox.Group
      className="filter-menu"
      aria-label={filter.label}
      value={chosen}
      options={(filter.options ?? []).map((option) => ({ ...option }))}
      onChange={(list) => set({ [filter.key]: fromWords(list as string[]) })}
    />
  ) : (
    <Radio.Group
      className="filter-menu"
      aria-label={filter.label}
      value={address[filter.key] ?? ""}
      options={(filter.options ?? []).map((option) => ({ ...option }))}
      onChange={(event) => set({ [filter.key]: (event.target.value as string) || undefined })}
    />
  );
  return (
    <Popover content={menu} trigger="click" placement="bottomLeft" arrow={false}>
      <Button data-filter={filter.key}>
        {filter.label} <DownOutlined aria-hidden style={{ fontSize: 10 }} />
      </Button>
    </Popover>
  );
}

function TextFilter({ filter }: { filter: Filter }) {
  const [address, set] = useAddress();
  const inAddress = address[filter.key] ?? "";
  const [text, setText] = useState(inAddress);
  useEffect(() => setText(inAddress), [inAddress]);
  useEffect(() => {
    if (text === inAddress) return;
    const timer = setTimeout(() => set({ [filter.key]: text.trim() || undefined }, true), 300);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <Input
      aria-label={filter.label}
      placeholder={filter.label}
      value={text}
      maxLength={200}
      allowClear
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => setText(event.target.value)}
    />
  );
}

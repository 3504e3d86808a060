// The names that the console uses for the collector's answers; their shapes come from its description.
export type * from "./people";

/** One page of a list. */
export interface Page<Row> {
  rows: Row[];
  total: number;
  next?: string | null;
}

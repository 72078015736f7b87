// The type of the dashboard, from the types of Grafana 12 and of the panels that it uses.
// test_dashboard.py writes the dashboard as a literal of this type, and runs tsc on it.
import type {
  AnnotationQuery,
  Dashboard,
  DataQuery,
  DataTransformerConfig,
  Panel,
  RowPanel,
  TableFieldOptions,
} from "@grafana/schema";
import type { Options as Stat } from "@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { Options as Table } from "@grafana/schema/dist/types/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type {
  FieldConfig as LineField,
  Options as Lines,
} from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has the values of enums as strings.
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Plain<Item>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

type Known<T> = { [Key in keyof T as string extends Key ? never : Key]: T[Key] };

// Fields of the Prometheus plugin, whose types are not in Grafana's package.
interface Query extends DataQuery {
  expr: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  format?: "time_series" | "table" | "heatmap";
}
interface Annotation extends AnnotationQuery<Query> {
  target: Query;
  titleFormat?: string;
  textFormat?: string;
}

type TypedPanel<Kind, Options, Field> = Plain<
  Omit<Panel, "type" | "options" | "fieldConfig" | "targets" | "transformations">
> & {
  type: Kind;
  title: string;
  description: string;
  options: Plain<Partial<Options>>;
  fieldConfig: {
    defaults: Omit<Plain<NonNullable<Panel["fieldConfig"]>["defaults"]>, "custom"> & {
      custom?: Plain<Known<Field>>;
    };
    overrides: [];
  };
  targets: Plain<Query>[];
  transformations: DataTransformerConfig[];
};

export type TypedDashboard = Omit<Plain<Dashboard>, "panels" | "annotations"> & {
  annotations: { list: Plain<Annotation>[] };
  panels: (
    | Plain<RowPanel>
    | TypedPanel<"stat", Stat, never>
    | TypedPanel<"table", Table, TableFieldOptions>
    | TypedPanel<"timeseries", Lines, LineField>
  )[];
};

import { memo } from "react";
import { sparklinePath } from "../sparkline.ts";
import styles from "./sparkline.module.css";

const width = 104;
const height = 24;

/** The last values of a token; decoration for what the neighbouring cells say in figures. */
export const Sparkline = memo(function Sparkline({ values }: { readonly values: readonly number[] }) {
  const line = sparklinePath(values, width, height);
  const first = values[0];
  const last = values.at(-1);
  const trend =
    first === undefined || last === undefined || first === last ? "level" : last > first ? "up" : "down";
  return (
    <svg
      className={styles["sparkline"]}
      data-trend={trend}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {line === "" ? (
        <path className={styles["empty"]} d={`M0 ${height / 2}H${width}`} />
      ) : (
        <>
          <path className={styles["area"]} d={`${line}V${height}H0Z`} />
          <path className={styles["line"]} d={line} />
        </>
      )}
    </svg>
  );
});

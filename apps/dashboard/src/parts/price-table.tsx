import { memo } from "react";
import { formatChange, formatPrice, formatTime, isoTime } from "../format.ts";
import { labelOf, type PriceBoard, type PriceRow } from "../price-board.ts";
import styles from "./price-table.module.css";
import { Sparkline } from "./sparkline.tsx";

export function PriceTable({ board }: { readonly board: PriceBoard }) {
  return (
    <table className={styles["table"]}>
      <caption className="unseen">Token prices, kept up to date</caption>
      <thead>
        <tr>
          <th scope="col" className={styles["token"]}>
            Token
          </th>
          <th scope="col" className={styles["price"]}>
            Price
          </th>
          <th scope="col" className={styles["change"]}>
            Change
          </th>
          <th scope="col" className={styles["trend"]}>
            Trend
          </th>
          <th scope="col" className={styles["time"]}>
            Changed at
          </th>
        </tr>
      </thead>
      <tbody>
        {board.order.map((id) => {
          const row = board.rows.get(id);
          return row === undefined ? undefined : <Row key={id} row={row} />;
        })}
      </tbody>
    </table>
  );
}

const arrows = { up: "▲", down: "▼", level: "" } as const;

const Row = memo(function Row({ row }: { readonly row: PriceRow }) {
  const label = labelOf(row);
  return (
    <tr data-token={row.tokenId}>
      <th scope="row" className={styles["token"]}>
        <div className={styles["label"]}>
          <span className={styles["symbol"]} title={row.tokenId}>
            {label}
          </span>
          {row.name !== undefined && row.name !== label && (
            <span className={styles["name"]} title={row.name}>
              {row.name}
            </span>
          )}
        </div>
      </th>
      <td className={styles["price"]}>
        {/* A new key starts the flash anew. */}
        <span key={row.flashes} className={styles["value"]} {...flashOf(row)} title={row.price?.toString()}>
          {formatPrice(row.price)}
        </span>
      </td>
      <td className={styles["change"]} data-direction={row.direction}>
        <span className={styles["arrow"]} aria-hidden="true">
          {arrows[row.direction]}
        </span>
        {formatChange(row.previous, row.price)}
      </td>
      <td className={styles["trend"]}>
        <Sparkline values={row.history} />
      </td>
      <td className={styles["time"]}>
        <time dateTime={isoTime(row.changedAt)} title={isoTime(row.changedAt)}>
          {formatTime(row.changedAt, Date.now())}
        </time>
      </td>
    </tr>
  );
});

function flashOf(row: PriceRow): { readonly "data-flash"?: "up" | "down" } {
  return row.flashes === 0 || row.direction === "level" ? {} : { "data-flash": row.direction };
}

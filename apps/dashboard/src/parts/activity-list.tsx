import { memo, type PointerEvent, useEffect, useRef, useState } from "react";
import type { Activity, ActivityRow } from "../activity.ts";
import { formatAmount, formatCount, formatPrice, formatTime, isoTime, shortAddress } from "../format.ts";
import { labelOf, type PriceBoard } from "../price-board.ts";
import styles from "./activity-list.module.css";

/** From this far down the reader is reading, not watching. */
const readingFrom = 8;

interface ListProps {
  readonly activity: Activity;
  readonly board: PriceBoard;
  readonly paused: boolean;
  readonly hold: () => void;
  readonly release: () => void;
  readonly showWaiting: () => void;
}

/** Holds still while it is pointed at, scrolled, focused by keyboard, or paused. */
export function ActivityList({ activity, board, paused, hold, release, showWaiting }: ListProps) {
  const scroller = useRef<HTMLElement>(null);
  const [pointed, setPointed] = useState(false);
  const [focused, setFocused] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const held = paused || pointed || focused || scrolled;

  useEffect(() => {
    if (held) hold();
    else release();
  }, [held, hold, release]);

  const point = (event: PointerEvent): void => {
    if (event.pointerType === "mouse") setPointed(event.type === "pointerenter");
  };
  const showNew = (): void => {
    showWaiting();
    scroller.current?.scrollTo({ top: 0 });
  };

  return (
    <div className={styles["frame"]} onPointerEnter={point} onPointerLeave={point}>
      {activity.waitingCount > 0 && (
        <button type="button" className={styles["waiting"]} onClick={showNew}>
          <span aria-hidden="true">↑</span> {formatCount(activity.waitingCount)} new
        </button>
      )}
      <section
        ref={scroller}
        className={styles["scroller"]}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        aria-label="Transactions and transfers, newest first"
        onScroll={(event) => setScrolled(event.currentTarget.scrollTop > readingFrom)}
        onFocus={(event) => setFocused(event.target.matches(":focus-visible"))}
        onBlur={() => setFocused(false)}
      >
        <ol>
          {activity.shown.map((row) => (
            <Row key={row.id} row={row} token={tokenLabel(board, row.tokenId)} />
          ))}
        </ol>
      </section>
    </div>
  );
}

const Row = memo(function Row({ row, token }: { readonly row: ActivityRow; readonly token: string }) {
  return (
    <li className={styles["row"]} data-fresh={row.fresh} data-event={row.id}>
      <div className={styles["line"]}>
        <span className={styles["what"]}>
          <span className={styles["kind"]}>{row.kind}</span>
          <span className={styles["status"]} data-tone={row.tone}>
            {row.status}
          </span>
        </span>
        <span className={styles["figures"]}>
          <span className={styles["amount"]}>{formatAmount(row.amount)}</span>{" "}
          <span className={styles["token"]} title={row.tokenId}>
            {token}
          </span>
        </span>
      </div>
      <div className={styles["line"]} data-part="detail">
        <span className={styles["way"]}>
          <span title={row.from}>{shortAddress(row.from)}</span>
          <span className={styles["arrow"]} role="img" aria-label="to">
            →
          </span>
          <span title={row.to}>{shortAddress(row.to)}</span>
        </span>
        <span className={styles["figures"]}>
          {row.total !== undefined && (
            <span className={styles["total"]} title="Total">
              {formatPrice(row.total)}
            </span>
          )}
          <time dateTime={isoTime(row.at)} title={isoTime(row.at)}>
            {formatTime(row.at, Date.now())}
          </time>
        </span>
      </div>
    </li>
  );
});

function tokenLabel(board: PriceBoard, tokenId: string | undefined): string {
  if (tokenId === undefined) return "";
  const row = board.rows.get(tokenId);
  return row === undefined ? tokenId : labelOf(row);
}

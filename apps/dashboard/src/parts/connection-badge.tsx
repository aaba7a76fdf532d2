import type { Connection } from "../connection.ts";
import styles from "./connection-badge.module.css";
import { useNow } from "./use-now.ts";

/** The connection in words; the colour of the dot only repeats them. */
export function ConnectionBadge({ connection }: { readonly connection: Connection }) {
  return (
    <div className={styles["badge"]} data-tone={connection.tone} title={connection.explanation}>
      <span className={styles["dot"]} aria-hidden="true" />
      <span role="status" aria-live="polite">
        {connection.word}
        <span className="unseen">. {connection.explanation}</span>
      </span>
      {connection.retryAt !== undefined && <Countdown until={connection.retryAt} />}
    </div>
  );
}

/** Outside the live region: nobody wants every second read aloud. */
function Countdown({ until }: { readonly until: number }) {
  const seconds = Math.max(0, Math.ceil((until - useNow(250)) / 1000));
  return (
    <span className={styles["detail"]}>{seconds === 0 ? "trying now" : `next try in ${seconds} s`}</span>
  );
}

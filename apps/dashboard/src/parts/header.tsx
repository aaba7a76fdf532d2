import type { ReactNode } from "react";
import { formatCount, formatRate } from "../format.ts";
import { barsAt, type RateMeter, rateAt } from "../rate.ts";
import styles from "./header.module.css";
import { useNow } from "./use-now.ts";

interface HeaderProps {
  readonly meter?: RateMeter;
  /** The connection badge. */
  readonly children?: ReactNode;
}

export function Header({ meter, children }: HeaderProps) {
  return (
    <header className={styles["header"]}>
      <div className={styles["name"]}>
        <Mark />
        <h1>Sharmo Relay</h1>
      </div>
      {children}
      {meter !== undefined && <Figures meter={meter} />}
    </header>
  );
}

function Figures({ meter }: { readonly meter: RateMeter }) {
  const now = useNow(1000);
  return (
    <dl className={styles["figures"]}>
      <div>
        <dt>Events received</dt>
        <dd>{formatCount(meter.total)}</dd>
      </div>
      <div>
        <dt title="Over the last ten seconds">Per second</dt>
        <dd>{formatRate(rateAt(meter, now))}</dd>
      </div>
      <Bars counts={barsAt(meter, now)} />
    </dl>
  );
}

const barWidth = 3;
const barStep = 4;
const barHeight = 26;

/** The last seconds as bars, the newest on the right; decoration for the figures beside it. */
function Bars({ counts }: { readonly counts: readonly number[] }) {
  const most = Math.max(4, ...counts);
  const path = counts
    .map((value, index) => {
      const height = value === 0 ? 1 : Math.max(2, Math.round((value / most) * barHeight));
      return `M${index * barStep} ${barHeight}v${-height}h${barWidth}v${height}z`;
    })
    .join("");
  const width = counts.length * barStep;
  return (
    <svg className={styles["bars"]} width={width} height={barHeight} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

/** Events come in on one side and go out, in one order, to many. */
function Mark() {
  return (
    <svg className={styles["mark"]} viewBox="0 0 24 24" aria-hidden="true">
      <rect width="24" height="24" rx="6.5" />
      <path d="M5 12h6.2M11.2 12c2.4 0 2.2-4.6 4.6-4.6H18M11.2 12c2.4 0 2.2 4.6 4.6 4.6H18M11.2 12H18.6" />
      <circle cx="11.2" cy="12" r="1.9" />
    </svg>
  );
}

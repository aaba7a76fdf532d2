import { useState, useSyncExternalStore } from "react";
import type { Connection } from "../connection.ts";
import { formatCount, formatTime } from "../format.ts";
import { gapSentence } from "../gap.ts";
import type { Live, LiveState } from "../live-state.ts";
import { ActivityList } from "../parts/activity-list.tsx";
import { ConnectionBadge } from "../parts/connection-badge.tsx";
import { Empty, FirstEvent } from "../parts/empty.tsx";
import { Header } from "../parts/header.tsx";
import { Notice } from "../parts/notice.tsx";
import { Panel } from "../parts/panel.tsx";
import { PriceTable } from "../parts/price-table.tsx";
import { useNow } from "../parts/use-now.ts";
import styles from "./live.module.css";

interface LivePageProps {
  readonly live: Live;
  /** In development the page tells how to make a first event. */
  readonly development: boolean;
}

type Choice = "prices" | "activity";

export function LivePage({ live, development }: LivePageProps) {
  const state = useSyncExternalStore(live.subscribe, live.state);
  const [choice, setChoice] = useState<Choice>("prices");
  const [paused, setPaused] = useState(false);
  const { board, activity, refusals } = state;
  return (
    <>
      <Header meter={state.meter}>
        <ConnectionBadge connection={state.connection} />
      </Header>
      <Notices state={state} live={live} />
      <nav className={styles["choice"]} aria-label="Part of the page">
        <ChoiceButton is="prices" choice={choice} choose={setChoice} label="Prices" />
        <ChoiceButton is="activity" choice={choice} choose={setChoice} label="Activity" />
      </nav>
      <main className={styles["main"]}>
        <Panel title="Prices" note={tokenCount(board.order.length)} chosen={choice === "prices"}>
          <Refused sentences={refusals.prices} />
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
          <section className={styles["scroller"]} tabIndex={0} aria-label="Token prices">
            {board.order.length > 0 ? (
              <PriceTable board={board} />
            ) : (
              refusals.prices.length === 0 && <NoPrices state={state} development={development} />
            )}
          </section>
        </Panel>
        <Panel
          title="Activity"
          note={activity.held ? "Held while you read" : "Transactions and transfers"}
          chosen={choice === "activity"}
          actions={
            <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
              {paused ? "Resume" : "Pause"}
            </button>
          }
        >
          <Refused sentences={refusals.activity} />
          {activity.shown.length + activity.waitingCount > 0 ? (
            <ActivityList
              activity={activity}
              board={board}
              paused={paused}
              hold={live.holdActivity}
              release={live.releaseActivity}
              showWaiting={live.showWaiting}
            />
          ) : (
            refusals.activity.length < 2 && (
              <Empty title="No transactions yet">
                <p>New transactions and transfers appear here, the newest on top.</p>
              </Empty>
            )
          )}
        </Panel>
      </main>
    </>
  );
}

function Notices({ state, live }: { readonly state: LiveState; readonly live: Live }) {
  const { connection } = state;
  return (
    <div className={styles["notices"]} role="status" aria-live="polite">
      {connection.brokenSince !== undefined && (
        <Broken connection={connection} since={connection.brokenSince} retry={live.reconnect} />
      )}
      {state.gaps.map((gap) => (
        <Notice
          key={gap.reason}
          tone="warn"
          actions={
            <>
              {gap.resyncs.length > 0 && (
                <button type="button" onClick={() => live.reload(gap)}>
                  Reload values
                </button>
              )}
              <button type="button" onClick={() => live.dismiss(gap)}>
                Dismiss
              </button>
            </>
          }
        >
          {gapSentence(gap.reason, gap.missing)}
        </Notice>
      ))}
    </div>
  );
}

/** Short breaks are the badge's business; a longer one, or one that does not mend itself, is told to the reader. */
const tellAfter = 3_000;

interface BrokenProps {
  readonly connection: Connection;
  readonly since: number;
  readonly retry: () => void;
}

function Broken({ connection, since, retry }: BrokenProps) {
  const refused = connection.state === "refused";
  if (useNow(1_000) - since < tellAfter && !refused) return undefined;
  return (
    <Notice
      tone="bad"
      actions={
        <button type="button" onClick={retry}>
          Try now
        </button>
      }
    >
      {connection.explanation}{" "}
      {!refused && `The page tries again by itself; what it shows is as of ${formatTime(since, Date.now())}.`}
    </Notice>
  );
}

function NoPrices({ state, development }: { readonly state: LiveState; readonly development: boolean }) {
  if (state.loading) {
    const broken = state.connection.brokenSince !== undefined;
    return <Empty title={broken ? "The relay does not answer yet" : "Loading the last values…"} />;
  }
  return (
    <Empty title="Waiting for the first event">
      {development ? (
        <FirstEvent origin={location.origin} />
      ) : (
        <p>
          Prices appear here as soon as Sharmo sends its first webhook to{" "}
          <code>{location.origin}/api/sharmo-webhooks</code>.
        </p>
      )}
    </Empty>
  );
}

function Refused({ sentences }: { readonly sentences: readonly string[] }) {
  return sentences.map((sentence) => (
    <Notice key={sentence} tone="plain">
      {sentence}
    </Notice>
  ));
}

interface ChoiceButtonProps {
  readonly is: Choice;
  readonly choice: Choice;
  readonly choose: (choice: Choice) => void;
  readonly label: string;
}

function ChoiceButton({ is, choice, choose, label }: ChoiceButtonProps) {
  return (
    <button type="button" aria-pressed={choice === is} onClick={() => choose(is)}>
      {label}
    </button>
  );
}

function tokenCount(tokens: number): string {
  if (tokens === 0) return "";
  return tokens === 1 ? "1 token" : `${formatCount(tokens)} tokens`;
}

/**
 * Stories: what happens to one thing over time - a transaction, a user's KYC, a property - written as one
 * generator each, and the stage that plays many of them at once, a step at a time.
 *
 * A story changes the world right before it yields the event that tells of the change, so every event is true
 * at the moment it is sent.
 */
import type { EventData, EventType } from "@sharmo-relay/protocol";

/** An event without its envelope. */
export type Draft = {
  readonly [T in EventType]: { readonly type: T; readonly data: EventData<T> };
}[EventType];

/** Yields an event to send now, or the number of steps to wait. */
export type Story = Generator<Draft | number, void, void>;

/** Something that can happen next; one whose weight is 0 cannot. */
export interface Activity {
  weight(): number;
  begin(): Story;
}

interface Waiting {
  readonly due: number;
  readonly story: Story;
}

export interface Stage {
  /** The next event. Calls `choose` for a new story whenever none that runs is due. */
  next(): Draft;
}

export function createStage(choose: () => Story): Stage {
  // A few dozen at most: every kind of story has its limit.
  const waiting: Waiting[] = [];
  let step = 0;

  const take = (): Story | undefined => {
    let first = -1;
    let due = step + 1;
    for (let i = 0; i < waiting.length; i += 1) {
      const item = waiting[i];
      if (item !== undefined && item.due < due) {
        first = i;
        due = item.due;
      }
    }
    return first < 0 ? undefined : waiting.splice(first, 1)[0]?.story;
  };

  return {
    next: () => {
      for (;;) {
        step += 1;
        const story = take() ?? choose();
        const { done, value } = story.next();
        if (done === true) continue;
        if (typeof value === "number") {
          waiting.push({ due: step + Math.max(1, value), story });
          continue;
        }
        waiting.push({ due: step + 1, story });
        return value as Draft;
      }
    },
  };
}

/** Draws one of the activities by weight. At least one must be possible. */
export function drawActivity(activities: readonly Activity[], share: number): Activity {
  const weights = activities.map((activity) => activity.weight());
  let rest = share * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, activity] of activities.entries()) {
    rest -= weights[index] ?? 0;
    if (rest < 0) return activity;
  }
  throw new Error("no activity is possible");
}
